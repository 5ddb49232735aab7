"""Upkeep of an engine's data, whichever it is: rounds of work that is due, one after the other."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Final

from baas.errors import Problem
from baas.ports.documents import DELETE, KEEP, Lookups, Outcome
from baas.schema.model import CollectionSpec
from baas.schema.values import Document, Path, date_from_ms, is_date, value_at

#: Seconds between two rounds.
INTERVAL: Final = 15.0
#: Documents or rows that one transaction removes, so that no other write waits long.
BATCH: Final = 200
HOUR_MS: Final = 3_600_000


class Rounds(ABC):
    """`fault` is the driver's error: work that it ends is tried again in the next round."""

    def __init__(self, fault: type[Exception], log: logging.Logger) -> None:
        self._faults = (Problem, fault)
        self._log = log
        self._ttl: dict[str, Path] = {}
        #: The least cap that a batch has asked for (`Once.keep_records`), once one has.
        self.keep_records: int | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())

    def remember(self, collections: Mapping[str, CollectionSpec]) -> None:
        """Which documents expire, from their declarations."""
        for name, spec in collections.items():
            self._ttl.pop(name, None)
            if spec.ttl is not None:
                self._ttl[name] = spec.ttl

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self.run_once()
            except self._faults as error:
                self._log.warning("maintenance will be tried again: %r", error)

    async def run_once(self) -> None:
        """One round: everything that is due now is done when this returns."""
        for collection, path in list(self._ttl.items()):
            while await self._expire(collection, path):
                pass
        await self._prune_feed()
        await self._forget_answers()

    @abstractmethod
    async def _expire(self, collection: str, path: Path) -> bool:
        """Removes some expired documents by ordinary writes; whether there may be more."""

    @abstractmethod
    async def _prune_feed(self) -> None:
        """Removes what is too old or too much, but never the last row of all: it tells a reader
        that nothing is missing before it."""

    @abstractmethod
    async def _forget_answers(self) -> None:
        """Removes idempotency records that have expired, and the oldest above the cap."""


class Expire:
    """Deletes the document unless it was given a later date meanwhile."""

    def __init__(self, path: Path, now_ms: int) -> None:
        self._path = path
        self._now = date_from_ms(now_ms)["$date"]

    def __call__(self, document: Document | None, lookups: Lookups) -> Outcome:
        value = None if document is None else value_at(document, self._path)
        return DELETE if is_date(value) and value["$date"] <= self._now else KEEP
