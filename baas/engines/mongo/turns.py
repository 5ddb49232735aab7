"""Turns: whoever writes holds one row of the server for as long as its transaction lasts.

Every write of documents is a transaction that first writes the row `documents` in `baas.meta`. Two
of them therefore never run side by side: the second one's first operation meets a conflict, and it
begins again a moment later. So a transaction sees everything before it and nothing beside it, and
the feed's numbers follow each other without gaps. What that costs is paid once for a group: all
that waits in this gateway goes into one transaction.

The row also tells whether a commit whose answer was lost took place: each transaction leaves its
own name there, and the next turn of this gateway, which cannot begin while the last one is
undecided, finds it or not. So nothing is lost or done twice when the primary changes.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from baas.clock import Clock
from baas.engines.mongo.driver import (
    Driver,
    Fault,
    PyMongoError,
    Row,
    Session,
    Transactions,
    fault_of,
    unavailable,
)
from baas.engines.mongo.names import META
from baas.ids import new_id

_log: Final = logging.getLogger("baas.mongo")
#: Tasks of one transaction at most, and what they may weigh together; the rest waits for the next.
_GROUP: Final = 256
_HEAVY: Final = 4 * 1024**2
#: Seconds between two attempts, at first and at most. The actual ones are drawn from below it.
_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.02
#: Seconds that a gateway leaves the row alone after its turn, where others take turns too: else
#: whoever has it would have it again before anyone else has asked.
_COURTESY: Final = 0.003
#: Others that took a turn so recently are taken to want another.
_RECENT_MS: Final = 1000
#: How often a commit is repeated where nobody knows whether it was done, before a new turn tells.
_COMMITS: Final = 3
#: Seconds without a turn after which somebody may have died in the middle of one.
_STUCK: Final = 3.0
#: Names of gateways that are kept in a turn's row.
_FORGOTTEN_MS: Final = 86_400_000

T = TypeVar("T")


class Task(Generic[T]):
    """Something to be done in a transaction, and who waits for it. `outcome` is its result, or
    the exception that it met; it is told once the transaction has ended."""

    def __init__(self, work: T) -> None:
        self.work = work
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.outcome: Any = None
        self.failed = False

    def fail(self, error: BaseException) -> None:
        self.outcome, self.failed = error, True

    def tell(self) -> None:
        if self.future.done():
            return
        if isinstance(self.outcome, BaseException):
            self.future.set_exception(self.outcome)
        else:
            self.future.set_result(self.outcome)


class RunAgain(Exception):
    """The transaction cannot go on, but what remains of its tasks can, in a new one."""


class Turn:
    """An open transaction that holds the row. `changes` is what the row becomes at its end."""

    def __init__(self, driver: Driver, session: Session, row: Row) -> None:
        self.driver = driver
        self.session = session
        self.row = row
        self.changes: Row = {}


Run = Callable[[Turn, list[Task[T]]], Awaitable[bool]]


class Turns(Generic[T]):
    """Runs tasks in groups. `run(turn, tasks)` gives every task its outcome and says whether there
    is anything to commit; `committed` is called after each group that was, and `before` outside of
    any transaction before each attempt; `stuck` when no turn could be had for a while."""

    def __init__(
        self, driver: Driver, name: str, clock: Clock, patience: float, run: Run[T],
        committed: Callable[[], None], before: Callable[[], Awaitable[None]] | None = None,
        *, stuck: Callable[[], Awaitable[None]], weigh: Callable[[T], int] = lambda work: 0,
    ) -> None:  # fmt: skip
        self._driver = driver
        self._name = name
        self._clock = clock
        self._patience = patience
        self._run = run
        self._committed = committed
        self._before = before
        self._stuck = stuck
        self._weigh = weigh
        self._crowded = False
        self._transactions: Transactions | None = None
        #: Transactions that nobody knows to be committed or not, by the names that they left.
        self._undecided: dict[str, list[tuple[Task[T], Any, bool]]] = {}
        self._gateway = new_id()
        self._queue: deque[Task[T]] = deque()
        self._group: list[Task[T]] = []
        self._worker: asyncio.Task[None] | None = None
        self._closed = False

    # -- what callers use --------------------------------------------------------------------------

    def submit(self, work: T) -> asyncio.Future[Any]:
        """Done means durable. Cancelling the future does not undo it."""
        task = Task(work)
        if self._closed:
            task.fail(unavailable())
            task.tell()
            return task.future
        self._queue.append(task)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return task.future

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._group)

    async def open(self) -> Row:
        """The id of the server's session that the turns are taken in."""
        self._transactions = await self._driver.transactions()
        return self._transactions.id

    async def close(self) -> None:
        """Finishes what was taken."""
        while self._worker is not None and not self._worker.done():
            await asyncio.wait((self._worker,))
        self._closed = True
        if self._transactions is not None:
            await self._transactions.close()

    # -- groups ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while self._queue:
            # What else this turn of the loop has to write joins the group.
            await asyncio.sleep(_COURTESY if self._crowded else 0)
            self._group = self._next_group()
            await self._settle(self._group)
            group, self._group = self._group, []
            for task in group:
                task.tell()

    def _next_group(self) -> list[Task[T]]:
        group: list[Task[T]] = []
        weight = 0
        while self._queue and len(group) < _GROUP and weight < _HEAVY:
            task = self._queue.popleft()
            weight += self._weigh(task.work)
            group.append(task)
        return group

    async def _settle(self, group: list[Task[T]]) -> None:
        """Gives every task its outcome. What nobody foresaw is the fault of one of them: then each
        is done alone, so that the others do not suffer for it."""
        try:
            await self._finish(group)
        except Exception as error:
            if len(group) == 1:
                _log.error("a write failed: %r", error, exc_info=error)
                self._give_up(group)
                return
            for task in group:
                if not task.failed:
                    await self._settle([task])

    async def _finish(self, group: list[Task[T]]) -> None:
        """Attempts until every task has an outcome that will stay."""
        end = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        stuck = time.monotonic() + _STUCK
        while True:
            tasks = [task for task in group if not task.failed]
            try:
                if await self._attempt(tasks):
                    return
            except PyMongoError as error:
                if fault_of(error) not in (Fault.TRANSIENT, Fault.UNKNOWN, Fault.UNREACHABLE):
                    raise
                if time.monotonic() > end:
                    _log.error("a group of writes was given up: %r", error)
                    self._give_up(tasks)
                    return
                if time.monotonic() > stuck:
                    stuck += _STUCK
                    await self._stuck()
                await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads, hides nothing
                pause = min(2 * pause, _LONGEST_PAUSE)

    def _give_up(self, tasks: list[Task[T]]) -> None:
        for task in tasks:
            if not task.failed:
                task.fail(unavailable())

    async def _attempt(self, tasks: list[Task[T]]) -> bool:
        """Whether every task has its outcome; False where some have to go again."""
        if not tasks:
            return True
        if self._before is not None:
            await self._before()
        name = new_id()
        assert self._transactions is not None
        transactions = self._transactions
        transactions.begin()
        try:
            turn = Turn(self._driver, transactions.session, await self._take(transactions))
            tasks = self._without_decided(turn, tasks)
            if not tasks:
                return True
            try:
                wrote = await self._run(turn, tasks)
            except RunAgain:
                return False
            if not wrote:
                return True
            await self._put(turn, name)
            await self._commit(transactions, name, tasks)
        finally:
            await transactions.abort()
        self._committed()
        return True

    def _without_decided(self, turn: Turn, tasks: list[Task[T]]) -> list[Task[T]]:
        """What is left to do, now that every earlier turn of this gateway is decided: one whose
        name the row has was committed, whatever became of the answer."""
        last = turn.row.get("last", {}).get(self._gateway, {}).get("name")
        decided = self._undecided.get(last, [])
        self._undecided.clear()
        if not decided:
            return tasks
        for task, outcome, failed in decided:
            task.outcome, task.failed = outcome, failed
        self._committed()
        done = {id(task) for task, _, _ in decided}
        return [task for task in tasks if id(task) not in done]

    async def _take(self, transactions: Transactions) -> Row:
        row = await self._driver.take(
            META, {"_id": self._name}, {"$inc": {"turns": 1}}, session=transactions.session
        )
        if row is None:
            raise RuntimeError(f"{META} has lost its row {self._name!r}")
        recent = self._clock.now_ms() - _RECENT_MS
        self._crowded = any(
            entry["time"] > recent
            for gateway, entry in row.get("last", {}).items()
            if gateway != self._gateway
        )
        return row

    async def _put(self, turn: Turn, name: str) -> None:
        now = self._clock.now_ms()
        last = {f"last.{self._gateway}": {"name": name, "time": now}}
        change: Row = {"$set": {**turn.changes, **last}}
        gone = [
            gateway
            for gateway, entry in turn.row.get("last", {}).items()
            if entry["time"] < now - _FORGOTTEN_MS and gateway != self._gateway
        ]
        if gone:
            change["$unset"] = {f"last.{gateway}": "" for gateway in gone}
        await self._driver.update(META, {"_id": self._name}, change, session=turn.session)

    async def _commit(self, transactions: Transactions, name: str, tasks: list[Task[T]]) -> None:
        for attempt in range(_COMMITS):
            try:
                await transactions.commit()
                return
            except PyMongoError as error:
                if fault_of(error) not in (Fault.UNKNOWN, Fault.UNREACHABLE):
                    raise
                if attempt + 1 == _COMMITS:
                    outcomes = [(task, task.outcome, task.failed) for task in tasks]
                    self._undecided[name] = outcomes
                    raise
