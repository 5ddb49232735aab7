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

from baas.engines.sqlite.lock import FileLock

_log: Final = logging.getLogger("baas.sqlite")
#: Pages in the log (of 4 KiB) at which a checkpoint begins.
_PAGES: Final = 1000
#: Pages at which the writer itself waits for one (64 MiB).
_TOO_MANY_PAGES: Final = 16_000


class Checkpointer:
    """`last`: the lock to take for emptying the log at the end, which holds up writers; None
    leaves that to the folder's owner."""

    def __init__(self, open: Callable[[], apsw.Connection], last: FileLock | None) -> None:
        self._connection = open()
        self._last = last
        #: Pages in the log after the last commit of the watched connection.
        self.pages = 0
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
        self.pages = pages
        if pages >= _PAGES:
            self._wake.set()
        return apsw.SQLITE_OK

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._wake.clear()
            self._checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_PASSIVE)
        if self._last is not None:
            self._last.acquire()
            self._checkpoint(self._connection, apsw.SQLITE_CHECKPOINT_TRUNCATE)
            self._last.release()

    def catch_up(self, writer: apsw.Connection) -> None:
        """Checkpoints on the writer's own connection where the log has grown too long.

        Beside a writer that never rests the thread never sees the log's end, and only a log that
        is wholly copied begins anew. Called between two groups, with the write lock held.
        """
        if self.pages >= _TOO_MANY_PAGES:
            self._checkpoint(writer, apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _checkpoint(self, connection: apsw.Connection, mode: int) -> None:
        try:
            connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            pass  # others read or checkpoint; the next commit asks again
        except apsw.Error as error:
            _log.error("a checkpoint failed: %r", error)
