"""The one writer of this process: group commit.

Batches run on the event loop, in order, inside one open transaction; a thread then commits it,
while further batches wait for the next group. Whoever wrote hears of it when the group is on disk.
A batch that fails is undone alone (a savepoint); if BEGIN or COMMIT fails, the whole group fails.

    IDLE -> LOCKING -> OPEN (-> WAITING -> OPEN)* -> COMMITTING -> IDLE or OPEN

DESIGN.md lists the invariants.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from enum import Enum
from typing import Any, Final

import apsw

from baas.engines.sqlite import steps
from baas.engines.sqlite.checkpointer import Checkpointer
from baas.engines.sqlite.commits import CommitThread
from baas.engines.sqlite.connection import Database, unavailable
from baas.engines.sqlite.lock import FileLock
from baas.engines.sqlite.nearby import is_search
from baas.engines.sqlite.readers import timed_out
from baas.engines.sqlite.steps import Pending, Transaction
from baas.errors import Problem
from baas.ports.documents import (
    BatchResult,
    Change,
    DuplicateKey,
    Insert,
    Once,
    Step,
    StepResult,
    WriteInfo,
)
from baas.settings import DatabaseSettings

_log: Final = logging.getLogger("baas.sqlite")
#: A group is committed after this many batches or seconds of statements, whichever comes first.
_GROUP_BATCHES: Final = 512
_GROUP_SECONDS: Final = 0.01
#: Steps of one batch between two turns of the loop for others.
_PAUSE_EVERY: Final = 200

Exclusive = Callable[[Transaction], Any]


class State(Enum):
    IDLE = "no transaction"
    LOCKING = "another process writes; a thread waits for the lock"
    OPEN = "a transaction is open and takes batches"
    WAITING = "a batch waits for a long read, or lets the loop go round"
    COMMITTING = "a thread commits"
    CLOSED = "nothing more is taken"


class Job:
    """A batch under way, or an `exclusive` piece of work with a group of its own."""

    __slots__ = ("exclusive", "future", "info", "once", "outcome", "steps")

    def __init__(
        self,
        steps: tuple[Step, ...],
        info: WriteInfo,
        once: Once | None,
        future: asyncio.Future[Any],
        exclusive: Exclusive | None = None,
    ) -> None:
        self.steps = steps
        self.info = info
        self.once = once
        self.future = future
        self.exclusive = exclusive
        self.outcome: Any = None


class Writer:
    """See the module. `committed` is called on the loop after every group that wrote."""

    def __init__(
        self,
        database: Database,
        transaction: Transaction,
        lock: FileLock,
        checkpointer: Checkpointer,
        settings: DatabaseSettings,
        committed: Callable[[], None],
    ) -> None:
        self._database = database
        self._transaction = transaction
        self._lock = lock
        self._checkpointer = checkpointer
        self._budget = settings.inline_budget_ms / 1000
        self._timeout = settings.read_timeout
        self._committed = committed
        self._loop = asyncio.get_running_loop()
        self._state = State.IDLE
        self._queue: deque[Job] = deque()
        self._group: list[Job] = []
        self._started = 0.0
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = CommitThread(self._loop)

    # -- what callers use --------------------------------------------------------------------------

    def write(
        self, steps: tuple[Step, ...], info: WriteInfo, once: Once | None
    ) -> asyncio.Future[BatchResult]:
        job = Job(steps, info, once, self._loop.create_future())
        return self._take(job)

    def exclusive(self, work: Exclusive) -> asyncio.Future[Any]:
        """`work` in a thread, in a transaction of its own while all writers wait. For changes of
        tables. What it raises undoes the transaction."""
        job = Job((), WriteInfo(), None, self._loop.create_future(), work)
        return self._take(job)

    @property
    def waiting(self) -> int:
        """Batches that were accepted and are not durable yet."""
        return len(self._queue) + len(self._group)

    async def close(self) -> None:
        """Finishes what was taken. The connection stays open."""
        if self._state is State.CLOSED:
            return
        await self._idle.wait()
        self._state = State.CLOSED
        await asyncio.to_thread(self._thread.close)

    # -- the loop's side ---------------------------------------------------------------------------

    def _take(self, job: Job) -> asyncio.Future[Any]:
        if self._state is State.OPEN and not self._queue and job.exclusive is None:
            self._execute(job)
        elif self._state is State.CLOSED:
            job.future.set_exception(unavailable())
        else:
            self._queue.append(job)
            if self._state is State.IDLE:
                self._idle.clear()
                self._next_group()
        return job.future

    def _next_group(self) -> None:
        if self._queue[0].exclusive is not None:
            self._state = State.COMMITTING
            job = self._queue.popleft()
            self._group = [job]
            self._thread.submit(lambda: self._run_exclusive(job), self._finished)
        elif self._lock.try_acquire():
            self._begin(None)
        else:
            self._state = State.LOCKING
            self._thread.submit(self._lock.acquire, self._begin)

    def _begin(self, fault: BaseException | None) -> None:
        if fault is None:
            try:
                self._database.raw.execute("BEGIN IMMEDIATE")
                self._transaction.refresh()
            except apsw.Error as error:
                fault = error
        if fault is not None:
            _log.error("a write transaction could not begin: %r", fault)
            self._group = [self._queue.popleft() for _ in range(len(self._queue))]
            self._abandon()
            return
        self._state = State.OPEN
        self._started = time.monotonic()
        self._drain()
        if self._state is State.OPEN:
            # Not at once: what else this turn of the loop has to write joins the group.
            self._loop.call_soon(self._commit)

    def _drain(self) -> None:
        """Runs waiting batches until the group is full or one has to wait."""
        while self._queue and self._state is State.OPEN and self._queue[0].exclusive is None:
            full = len(self._group) >= _GROUP_BATCHES
            if full or time.monotonic() - self._started > _GROUP_SECONDS:
                break
            self._execute(self._queue.popleft())

    def _commit(self) -> None:
        if self._state is not State.OPEN:
            return  # a batch began to wait meanwhile; its end commits
        self._state = State.COMMITTING
        if any(isinstance(job.outcome, BatchResult) for job in self._group):
            self._thread.submit(self._commit_and_unlock, self._finished)
        else:
            self._abandon()

    def _finished(self, fault: BaseException | None) -> None:
        """The group is on disk, or all of it has failed."""
        if fault is not None:
            if not isinstance(fault, Exception) or isinstance(fault, apsw.Error):
                _log.error("a group of writes failed: %r", fault)
                fault = unavailable()
            for job in self._group:
                job.outcome = fault
            self._transaction.forget()
        self._settle()

    def _abandon(self) -> None:
        """Nothing of the group is kept: every batch in it failed, or BEGIN did."""
        try:
            if self._database.raw.in_transaction:
                self._database.raw.execute("ROLLBACK")
            self._transaction.reload()
        except apsw.Error as error:  # the disk is gone: the next BEGIN will say so again
            _log.error("a write transaction could not be rolled back: %r", error)
        self._lock.release()
        for job in self._group:
            if not isinstance(job.outcome, BaseException):
                job.outcome = unavailable()
        self._settle()

    def _settle(self) -> None:
        group, self._group = self._group, []
        wrote = False
        for job in group:
            outcome, future = job.outcome, job.future
            failed = isinstance(outcome, BaseException)
            wrote = wrote or not failed
            if future.done():
                continue  # whoever asked has gone; the write counts all the same
            if failed:
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        if wrote:
            self._committed()
        if self._queue:
            self._next_group()
        else:
            self._state = State.IDLE
            self._idle.set()

    # -- one batch ---------------------------------------------------------------------------------

    def _execute(self, job: Job) -> None:
        self._group.append(job)
        self._transaction.begin_batch(job.info)
        batch = job.steps
        if len(batch) == 1 and job.once is None and type(batch[0]) in (Insert, Change):
            self._execute_single(job, batch[0])
        elif self._sql("SAVEPOINT batch"):
            self._resume(job, self._batch(job), None)

    def _execute_single(self, job: Job, step: Any) -> None:
        """Without a savepoint: whatever refuses such a step does so before it has written."""
        try:
            result = self._transaction.run_quick(step)
            job.outcome = BatchResult((result,))
        except apsw.Error as error:
            self._fail_group(error)
        except Exception as error:
            job.outcome = error

    def _batch(self, job: Job) -> Generator[Pending, list[Any], BatchResult]:
        if job.once is not None:
            answer = steps.recorded(self._transaction, job.once)
            if answer is not None:
                return BatchResult((), answer)
        results: list[StepResult] = []
        for position, step in enumerate(job.steps):
            if position % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                yield None
            try:
                results.append((yield from self._transaction.run(step)))
            except Problem as problem:
                if len(job.steps) > 1 and problem.operation is None:
                    problem.operation = position
                raise
            except DuplicateKey as duplicate:
                duplicate.step = position
                raise
        done = tuple(results)
        if job.once is not None:
            steps.record(self._transaction, job.once, done)
        return BatchResult(done)

    def _resume(self, job: Job, batch: Any, rows: Any) -> None:
        """Goes on with a batch, with the rows (or the exception) that it waited for."""
        try:
            while True:
                pending = batch.throw(rows) if isinstance(rows, BaseException) else batch.send(rows)
                if pending is None:
                    self._state = State.WAITING
                    self._loop.call_soon(self._continue, job, batch, None)
                    return
                if is_search(pending[0]):
                    self._read_in_thread(job, batch, pending)
                    return
                try:
                    rows = self._read(pending, self._budget)
                except apsw.InterruptError:
                    self._read_in_thread(job, batch, pending)
                    return
                except Problem as problem:
                    rows = problem
        except StopIteration as end:
            if self._sql("RELEASE batch"):
                job.outcome = end.value
        except apsw.Error as error:
            self._fail_group(error)
        except Exception as error:
            self._undo(job, error)

    def _read(self, statement: Any, seconds: float) -> list[Any]:
        self._database.allow(seconds)
        try:
            return self._database.rows(*statement)
        finally:
            self._database.allow(0)

    def _read_in_thread(self, job: Job, batch: Any, statement: Any) -> None:
        self._state = State.WAITING
        found: list[list[Any]] = []

        def work() -> None:
            try:
                found.append(self._read(statement, self._timeout))
            except apsw.InterruptError:
                raise timed_out(self._timeout) from None

        self._thread.submit(work, lambda fault: self._continue(job, batch, fault or found[0]))

    def _continue(self, job: Job, batch: Any, rows: Any) -> None:
        self._state = State.OPEN
        self._resume(job, batch, rows)
        if self._state is State.OPEN:
            self._drain()
        if self._state is State.OPEN:
            self._commit()

    def _undo(self, job: Job, error: Exception) -> None:
        if self._sql("ROLLBACK TO batch; RELEASE batch"):
            job.outcome = error
            self._transaction.refresh()

    def _sql(self, statement: str) -> bool:
        """Runs a statement of the engine's own; False if that failed, and with it the group."""
        try:
            self._database.raw.execute(statement)
        except apsw.Error as error:
            self._fail_group(error)
            return False
        return True

    def _fail_group(self, error: BaseException) -> None:
        """The file or the disk failed in the middle: nothing of this transaction can be kept."""
        _log.error("a write failed: %r", error)
        for job in self._group:
            job.outcome = unavailable()
        self._state = State.COMMITTING
        self._loop.call_soon(self._abandon)

    # -- the thread's side -------------------------------------------------------------------------

    def _commit_and_unlock(self) -> None:
        raw = self._database.raw
        try:
            raw.execute("COMMIT")
            self._checkpointer.catch_up(raw)
        except apsw.Error:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            raise
        finally:
            self._lock.release()

    def _run_exclusive(self, job: Job) -> None:
        raw = self._database.raw
        self._lock.acquire()
        try:
            raw.execute("BEGIN IMMEDIATE")
            self._transaction.refresh()
            job.outcome = job.exclusive(self._transaction) if job.exclusive else None
            self._transaction.reload()
            raw.execute("COMMIT")
        except BaseException:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            raise
        finally:
            self._lock.release()
