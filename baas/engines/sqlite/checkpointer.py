"""Moves committed pages from the write-ahead log into the database file, beside the writer.

A thread with a connection of its own: a checkpoint inside COMMIT would make one group in a few
wait for two more syncs (measured: twice the p99).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import apsw

_log: Final = logging.getLogger("baas.sqlite")
#: Pages in the log (of 4 KiB) at which a checkpoint begins.
_PAGES: Final = 1000


class Checkpointer:
    def __init__(self, open: Callable[[], apsw.Connection]) -> None:
        self._connection = open()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="baas-checkpoint", daemon=True)
        self._thread.start()

    def watch(self, writer: apsw.Connection) -> None:
        """Learns of every commit of this connection, and how long the log is by then."""
        writer.set_wal_hook(self._committed)

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._connection.close()

    def _committed(self, connection: apsw.Connection, database: str, pages: int) -> int:
        if pages >= _PAGES:
            self._wake.set()
        return apsw.SQLITE_OK

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self._checkpoint(apsw.SQLITE_CHECKPOINT_PASSIVE)
        # The last one empties the log, if nobody else has the file open.
        self._checkpoint(apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def _checkpoint(self, mode: int) -> None:
        try:
            self._connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            pass  # others read or checkpoint; the next commit asks again
        except apsw.Error as error:
            _log.error("a checkpoint failed: %r", error)
