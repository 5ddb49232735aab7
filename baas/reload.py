"""Rule files that change while the gateway runs.

The folder is looked at a few times a second: names, sizes and times of its files, without inotify,
which network and container file systems do not deliver. A changed book is loaded and declared to
the store first and put in force last; one that does not load, or whose unique index meets
duplicates, changes nothing and is shown in the log and in the metrics.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

from baas.errors import ConfigurationError
from baas.observe.metrics import Metrics

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.3
_TICK_NS: Final = 100_000_000
RELOADS: Final = "baas_rule_reloads_total"
FAILURES: Final = "baas_rule_reload_failures_total"
STALE: Final = "baas_rules_stale"


class Rules(Protocol):
    """All that is read from the folder. Equal texts have equal revisions."""

    @property
    def revision(self) -> str: ...


R = TypeVar("R", bound=Rules)

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


def stamp_of(folder: Path) -> Stamp:
    """Name, time of change, size and inode of every file; empty where there is no folder.

    The time is ctime, which follows every write and which tools that restore files do not set back.
    """
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.is_file()]
    except OSError:
        return ()
    return tuple(sorted((name, s.st_ctime_ns, s.st_size, s.st_ino) for name, s in found))


def _has_settled(stamp: Stamp, now: int) -> bool:
    return not any(now - _TICK_NS < changed <= now for _, changed, _, _ in stamp)


class RuleWatcher(Generic[R]):
    """`load` reads the folder (in a thread), `apply` declares the book and puts it in force."""

    def __init__(
        self,
        folder: Path,
        load: Callable[[Path], R],
        apply: Callable[[R], Awaitable[None]],
        metrics: Metrics,
        revision: str,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._folder = folder
        self._load = load
        self._apply = apply
        self._metrics = metrics
        self.revision = revision
        self.stale = False
        self._now_ns = now_ns
        self._seen: Stamp | None = stamp_of(folder)
        self._refused: tuple[Stamp, str] | None = None
        metrics.counter(RELOADS, "Times that changed rule files were put in force.")
        metrics.counter(FAILURES, "Times that changed rule files were refused.")
        metrics.gauge(
            STALE, "1 while the rule files differ from what is in force.", self._staleness
        )

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.look()

    async def look(self) -> bool:
        """One look; whether a new book is now in force.

        A file that changes while it is read is seen as changed again at the next look.
        """
        stamp = stamp_of(self._folder)
        if stamp == self._seen:
            return False
        # A second change within a tick of the file system's clock would look like this one: what
        # was written just now is looked at once more.
        self._seen = stamp if _has_settled(stamp, self._now_ns()) else None
        try:
            book = await asyncio.to_thread(self._load, self._folder)
            if book.revision == self.revision and not self.stale:
                return False
            await self._apply(book)
        except ConfigurationError as fault:
            self._refuse(stamp, str(fault))
            return False
        except Exception:
            log.exception("reloading rules met an unexpected fault")
            self._refuse(stamp, "unexpected fault")
            return False
        self.revision = book.revision
        self.stale = False
        self._refused = None
        self._metrics.increment(RELOADS)
        log.info("rules reloaded, revision %s", book.revision)
        return True

    def _refuse(self, stamp: Stamp, reason: str) -> None:
        if self._refused == (stamp, reason):
            return  # the second look at what was written just now: said already
        self._refused = (stamp, reason)
        self.stale = True
        self._metrics.increment(FAILURES)
        log.error("rules not reloaded, the last good ones stay in force: %s", reason)

    def _staleness(self) -> float:
        return float(self.stale)
