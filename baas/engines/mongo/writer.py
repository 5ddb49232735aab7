"""Batches of steps in the turns of documents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.engines.mongo.catalogue import Catalogue, load
from baas.engines.mongo.driver import Driver, Fault, PyMongoError, Row, fault_of, unavailable
from baas.engines.mongo.names import DOCUMENTS_TURN
from baas.engines.mongo.steps import ParallelArrays, Steps
from baas.engines.mongo.turns import RunAgain, Task, Turn, Turns
from baas.errors import Problem
from baas.ports.documents import (
    BatchResult,
    Change,
    Check,
    DuplicateKey,
    Insert,
    Once,
    Step,
    StepResult,
    WriteInfo,
)
from baas.settings import DatabaseSettings

_log: Final = logging.getLogger("baas.mongo")
_AGAIN: Final = frozenset({Fault.TRANSIENT, Fault.UNKNOWN, Fault.UNREACHABLE})
#: Batches between two turns of the loop for others.
_PAUSE_EVERY: Final = 32
#: What a step weighs beside the bodies it brings, in bytes.
_STEP: Final = 500

#: Work of the engine itself in a turn: a change of the catalogue. Quick; may run again.
Exclusive = Callable[[Turn, Steps], Awaitable[None]]


class Batch(msgspec.Struct, frozen=True):
    steps: tuple[Step, ...]
    info: WriteInfo
    once: Once | None
    exclusive: Exclusive | None = None


class Writer:
    """`single` is called, outside of any transaction, for an index that met parallel arrays."""

    def __init__(
        self,
        driver: Driver,
        settings: DatabaseSettings,
        clock: Clock,
        single: Callable[[ParallelArrays], Awaitable[None]],
        committed: Callable[[], None],
        stuck: Callable[[], Awaitable[None]],
    ) -> None:
        self._driver = driver
        self._settings = settings
        self._clock = clock
        self._single = single
        self._committed = committed
        self.catalogue = Catalogue(-1, {})
        self._turns: Turns[Batch] = Turns(
            driver, DOCUMENTS_TURN, clock, settings.mongo_patience, self._run, self._adopt,
            self._before, stuck=stuck, weigh=_weight,
        )  # fmt: skip
        self._next: Catalogue | None = None
        self._parallel: ParallelArrays | None = None
        self._singles: set[tuple[str, str]] = set()
        #: New ids are hardly ever taken. After one that was, the same tasks go with open eyes.
        self._trusting = True

    def write(
        self, steps: tuple[Step, ...], info: WriteInfo, once: Once | None
    ) -> Awaitable[BatchResult]:
        return self._shielded(self._turns.submit(Batch(steps, info, once)))

    async def exclusive(self, work: Exclusive) -> None:
        """`work` in a turn."""
        await self._turns.submit(Batch((), WriteInfo(), None, work))

    async def _shielded(self, future: asyncio.Future[Any]) -> Any:
        return await asyncio.shield(future)

    async def open(self) -> Row:
        """The id of the session that its turns are taken in."""
        return await self._turns.open()

    @property
    def waiting(self) -> int:
        return self._turns.waiting

    async def close(self) -> None:
        await self._turns.close()

    def _adopt(self) -> None:
        """The transaction took place: what it made of the catalogue holds."""
        if self._next is not None and self._next.version > self.catalogue.version:
            self.catalogue = self._next
        self._next = None
        self._singles.clear()
        self._committed()

    # -- inside a turn -----------------------------------------------------------------------------

    async def _before(self) -> None:
        """Outside of any transaction, for indexes are not built inside one."""
        if self._parallel is not None:
            parallel, self._parallel = self._parallel, None
            await self._single(parallel)
            self._singles.add((parallel.collection, parallel.index.physical))

    def _note_singles(self, steps: Steps) -> None:
        for collection, physical in self._singles:
            if (info := steps.catalogue.get(collection)) is not None:
                steps.put_info(info.with_single(physical))

    async def _run(self, turn: Turn, tasks: list[Task[Batch]]) -> bool:
        if self.catalogue.version != turn.row["catalogue"]:
            self.catalogue = await load(self._driver, int(turn.row["catalogue"]), turn.session)
        trusting, self._trusting = self._trusting, True
        catalogue = self.catalogue.copy()
        steps = Steps(turn, self._settings, self._clock, catalogue, trusting=trusting)
        try:
            return await self._run_steps(turn, steps, tasks)
        except PyMongoError as error:
            if fault_of(error) is Fault.DUPLICATE and steps.guessed:
                self._trusting = False
                raise RunAgain from None
            raise

    async def _run_steps(self, turn: Turn, steps: Steps, tasks: list[Task[Batch]]) -> bool:
        await steps.fetch(_needed(tasks, steps.trusting))
        await steps.fetch_answers(task.work.once.key for task in tasks if task.work.once)
        self._note_singles(steps)
        for position, task in enumerate(tasks):
            if position % _PAUSE_EVERY == _PAUSE_EVERY - 1:
                await asyncio.sleep(0)
            if task.work.exclusive is not None:
                await self._exclusive(turn, steps, task)
            else:
                await self._batch(steps, task)
        if not steps.wrote:
            return False
        await steps.finish()
        self._next = steps.catalogue
        return True

    async def _exclusive(self, turn: Turn, steps: Steps, task: Task[Batch]) -> None:
        assert task.work.exclusive is not None
        steps.begin_batch(WriteInfo())
        await steps.send()
        try:
            await task.work.exclusive(turn, steps)
        except PyMongoError:
            raise
        except Exception as error:
            task.fail(error)
            raise RunAgain from None
        task.outcome = None

    async def _batch(self, steps: Steps, task: Task[Batch]) -> None:
        batch = task.work
        steps.begin_batch(batch.info)
        try:
            if batch.once is not None and (known := steps.recorded(batch.once)) is not None:
                task.outcome = BatchResult((), known)
                return
            results = await self._steps(steps, batch)
            if batch.once is not None:
                steps.record(batch.once, results)
            task.outcome = BatchResult(results)
        except ParallelArrays as parallel:
            self._parallel = parallel
            raise RunAgain from None
        except PyMongoError as error:
            guessed = fault_of(error) is Fault.DUPLICATE and steps.guessed
            if guessed or fault_of(error) in _AGAIN:
                raise
            _log.error("a write failed: %r", error)
            task.fail(unavailable())
            raise RunAgain from None
        except Exception as error:
            task.fail(error)
            if steps.sent or _ended_by(error):
                raise RunAgain from None
            steps.undo_batch()

    async def _steps(self, steps: Steps, batch: Batch) -> tuple[StepResult, ...]:
        results = []
        for position, step in enumerate(batch.steps):
            try:
                results.append(await steps.run(step))
            except DuplicateKey as error:
                error.step = position
                raise
            except Problem as problem:
                if len(batch.steps) > 1 and problem.operation is None:
                    problem.operation = position
                raise
        return tuple(results)


def _weight(batch: Batch) -> int:
    bodies = sum(len(step.body) for step in batch.steps if isinstance(step, Insert))
    return bodies + _STEP * len(batch.steps)


def _ended_by(error: Exception) -> bool:
    """Whether the server has ended the transaction by this: a read that met its time limit."""
    return isinstance(error.__cause__, PyMongoError)


def _needed(tasks: list[Task[Batch]], trusting: bool) -> list[tuple[str, str]]:
    """The documents that steps name by their ids; of new ones only where their ids may be taken."""
    kinds = (Change, Check) if trusting else (Change, Check, Insert)
    return [
        (step.collection, step.id)
        for task in tasks
        for step in task.work.steps
        if isinstance(step, kinds)
    ]
