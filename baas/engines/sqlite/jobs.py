"""JobQueue in the same file as the documents, written by the same writer.

Every change is a step of the writer's current group, so a thousand jobs added at once are a few
commits. A worker is known by a lock on a file of its own, which the system frees when it dies: so
its leases can be ended at once, without waiting for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import apsw
import msgspec

from baas.clock import Clock
from baas.engines.settling import Settling
from baas.engines.sqlite import jobrows
from baas.engines.sqlite import jobtables as sql
from baas.engines.sqlite.jobnames import WorkerName
from baas.engines.sqlite.readers import Readers
from baas.engines.sqlite.steps import Transaction, Work
from baas.engines.sqlite.writer import Writer
from baas.engines.waiting import Waiters
from baas.ports.documents import MaybeAwaitable, StepResult, WriteInfo
from baas.ports.jobs import (
    SETTLED,
    Depth,
    Job,
    JobState,
    NewJob,
)

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = list[Row]
Jobs: TypeAlias = list[Job]
Ids: TypeAlias = list[str]
Depths: TypeAlias = list[Depth]
#: How often other processes' jobs are looked for while somebody waits, in seconds.
POLL: Final = 0.075
#: Jobs that one transaction removes, so that no other write waits long.
_BATCH: Final = 200
_READY: Final = "SELECT EXISTS(SELECT 1 FROM baas_jobs WHERE queue=? AND ready<=?)"
#: From one name to the next by the index, so that many jobs of one queue cost nothing more.
#: Parameters: where names begin, where they end, now.
_READY_AMONG: Final = """
WITH RECURSIVE named(queue) AS (
  SELECT min(queue) FROM baas_jobs WHERE ready IS NOT NULL AND queue>=?1 AND queue<?2
  UNION ALL
  SELECT (SELECT min(j.queue) FROM baas_jobs j
          WHERE j.ready IS NOT NULL AND j.queue>named.queue AND j.queue<?2)
  FROM named WHERE named.queue IS NOT NULL)
SELECT queue FROM named WHERE queue IS NOT NULL
  AND EXISTS(SELECT 1 FROM baas_jobs j WHERE j.queue=named.queue AND j.ready<=?3)
"""
_LAST: Final = "\U0010ffff"
_NO_INFO: Final = WriteInfo()


class SqliteJobs(Settling):
    """See the port."""

    def __init__(self, folder: Path, readers: Readers, writer: Writer, clock: Clock) -> None:
        self._readers = readers
        self._writer = writer
        self._clock = clock
        self._waiters = Waiters()
        self._name = WorkerName(folder)

    # -- promising ---------------------------------------------------------------------------------

    async def add(self, jobs: Sequence[NewJob]) -> Ids:
        found = await self._write(lambda tx: jobrows.add(tx, jobs))
        self._wake()
        return found

    async def tick(self, timer: str, scheduled_ms: int, job: NewJob | None) -> bool:
        def work(tx: Transaction) -> bool:
            tx.execute(
                "INSERT INTO baas_marks(name,value) VALUES(?,?) ON CONFLICT(name) DO UPDATE"
                " SET value=excluded.value WHERE value<excluded.value",
                (_tick(timer), scheduled_ms),
            )
            if not tx.database.raw.changes():
                return False
            jobrows.add(tx, () if job is None else (job,))
            return True

        return await self._write(work, wake=True)

    async def last_tick(self, timer: str) -> int | None:
        rows = await self._rows("SELECT value FROM baas_marks WHERE name=?", (_tick(timer),))
        return rows[0][0] if rows else None

    async def ticks(self) -> dict[str, int]:
        beginning = _tick("")
        text = "SELECT substr(name,?),value FROM baas_marks WHERE name>=? AND name<?"
        rows = await self._rows(text, (len(beginning) + 1, beginning, beginning + _LAST))
        return dict(rows)

    async def mark(self, name: str) -> str | None:
        rows = await self._rows("SELECT value FROM baas_marks WHERE name=?", (_mark(name),))
        return rows[0][0] if rows else None

    async def advance(
        self, name: str, before: str | None, after: str, jobs: Sequence[NewJob]
    ) -> bool:
        def work(tx: Transaction) -> bool:
            select = "SELECT value FROM baas_marks WHERE name=?"
            if tx.execute(select, (_mark(name),)).get != before:
                return False
            tx.execute(
                "INSERT OR REPLACE INTO baas_marks(name,value) VALUES(?,?)", (_mark(name), after)
            )
            jobrows.add(tx, jobs)
            return True

        return await self._write(work, wake=bool(jobs))

    async def lead(self, name: str, lease_seconds: float) -> bool:
        holder = self._name.get()
        rows = await self._rows("SELECT holder,until FROM baas_marks WHERE name=?", (_lead(name),))
        if rows and rows[0][0] != holder and rows[0][1] > self._clock.now_ms():
            return False  # without a write: whoever does not lead asks often

        def work(tx: Transaction) -> bool:
            now = self._clock.now_ms()
            tx.execute(
                "INSERT INTO baas_marks(name,holder,until) VALUES(?,?,?) ON CONFLICT(name)"
                " DO UPDATE SET holder=excluded.holder,until=excluded.until"
                " WHERE holder=excluded.holder OR until<=?",
                (_lead(name), holder, now + _ms(lease_seconds), now),
            )
            return bool(tx.database.raw.changes())

        return await self._write(work)

    # -- claiming ----------------------------------------------------------------------------------

    async def claim(self, queues: Sequence[str], limit: int, lease_seconds: float) -> Jobs:
        if not any(self._is_ready(queue) for queue in queues):
            return []
        holder = self._name.get()

        def work(tx: Transaction) -> Jobs:
            now = self._clock.now_ms()
            found: Rows = []
            for queue in queues:
                found += tx.execute(sql.CLAIMABLE, (queue, now, limit)).fetchall()
            found.sort()
            taken = [
                jobrows.take(tx, seq, state, holder, now, _ms(lease_seconds))
                for _, seq, state in found[:limit]
            ]
            return [job for job in taken if job is not None]

        return await self._write(work)

    async def ready(self, queues: Sequence[str]) -> list[str]:
        found: dict[str, None] = {}
        for queue in queues:
            if not queue.endswith("*"):
                rows: Rows = [(queue,)] if self._is_ready(queue) else []
            else:
                rows = await self._rows(_READY_AMONG, self._among(queue))
            found.update((name, None) for (name,) in rows)
        return sorted(found)

    def _among(self, queue: str) -> Row:
        beginning = queue.removesuffix("*")
        return (beginning, beginning + _LAST, self._clock.now_ms())

    async def begin(self, job: NewJob, lease_seconds: float) -> tuple[Job, bool]:
        holder = self._name.get()
        return await self._write(lambda tx: jobrows.begin(tx, job, holder, _ms(lease_seconds)))

    async def renew(self, job: Job, lease_seconds: float) -> JobState:
        def work(tx: Transaction) -> JobState:
            held = jobrows.held_by(tx, job)
            until = self._clock.now_ms() + _ms(lease_seconds)
            tx.execute("UPDATE baas_jobs SET ready=? WHERE seq=?", (until, held.seq))
            return held.state

        return await self._write(work)

    # -- settling ----------------------------------------------------------------------------------

    async def _settle(
        self,
        job: Job,
        state: JobState,
        then: Sequence[NewJob],
        *,
        result: bytes | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        def work(tx: Transaction) -> None:
            held = jobrows.held_by(tx, job)
            held.become(tx, state, self._clock.now_ms(), result=result, error=error)
            jobrows.add(tx, then)

        await self._write(work, wake=bool(then) or job.ordering is not None)

    async def retry(self, job: Job, due_ms: int, error: dict[str, Any]) -> None:
        def work(tx: Transaction) -> None:
            held = jobrows.held_by(tx, job)
            stopping = held.state is JobState.STOPPING
            state = JobState.STOPPED if stopping else JobState.RETRYING
            held.due = due_ms
            held.become(tx, state, self._clock.now_ms(), error=error)

        await self._write(work, wake=True)

    async def release(self, job: Job) -> None:
        def work(tx: Transaction) -> None:
            held = jobrows.held_by(tx, job)
            held.attempt -= 1
            state = JobState.ENQUEUED if held.attempt == 0 else JobState.RETRYING
            if held.state is JobState.STOPPING:
                state = JobState.STOPPED
            held.become(tx, state, self._clock.now_ms(), error=job.error)

        await self._write(work, wake=True)

    async def discard(self, job: Job) -> None:
        def work(tx: Transaction) -> None:
            tx.execute("DELETE FROM baas_jobs WHERE seq=?", (jobrows.held_by(tx, job).seq,))

        await self._write(work)

    async def stop(self, id: str) -> JobState | None:
        def work(tx: Transaction) -> JobState | None:
            held = jobrows.find(tx, id)
            if held is None or held.state in SETTLED or held.state is JobState.STOPPING:
                return None if held is None else held.state
            now = self._clock.now_ms()
            if held.state in jobrows.WAITING:
                held.become(tx, JobState.STOPPED, now)
                return JobState.STOPPED
            tx.execute(
                f"UPDATE baas_jobs SET state='stopping',updated=?,history={sql.HISTORY}"
                " WHERE seq=?",
                (now, "stopping", now, None, held.seq),
            )
            return JobState.STOPPING

        return await self._write(work, wake=True)

    async def redrive(self, id: str, expires_ms: int | None = None) -> bool:
        def work(tx: Transaction) -> bool:
            held = jobrows.find(tx, id)
            if held is None or held.state not in (JobState.FAILED, JobState.EXPIRED):
                return False
            now = self._clock.now_ms()
            tx.execute("UPDATE baas_jobs SET expires=? WHERE seq=?", (expires_ms, held.seq))
            held.attempt, held.due, held.expires = 0, now, expires_ms
            held.become(tx, JobState.ENQUEUED, now, reason="redriven")
            return True

        return await self._write(work, wake=True)

    # -- looking -----------------------------------------------------------------------------------

    def get(self, id: str) -> MaybeAwaitable[Job | None]:
        return self._get(id)

    async def _get(self, id: str) -> Job | None:
        rows = await self._rows(jobrows.GET, (id,))
        return sql.job_of(rows[0]) if rows else None

    async def list(
        self,
        *,
        queue: str | None = None,
        kind: str | None = None,
        states: Sequence[JobState] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> Jobs:
        tests: dict[str, Any] = {}
        if queue is not None:
            tests["queue=?"] = queue
        if kind is not None:
            tests["kind=?"] = kind
        if states:
            names = msgspec.json.encode([state.value for state in states]).decode()
            tests["state IN (SELECT value FROM json_each(?))"] = names
        if before is not None:
            tests["seq<(SELECT seq FROM baas_jobs WHERE id=?)"] = before
        where = " AND ".join(tests) or "1"
        text = f"SELECT {sql.COLUMNS} FROM baas_jobs WHERE {where} ORDER BY seq DESC LIMIT ?"
        rows = await self._rows(text, (*tests.values(), limit))
        return [sql.job_of(row) for row in rows]

    async def counts(self) -> dict[tuple[str, JobState], int]:
        text = "SELECT queue,state,count(*) FROM baas_jobs GROUP BY queue,state"
        return {
            (queue, JobState(state)): count for queue, state, count in await self._rows(text, ())
        }

    async def depths(self) -> Depths:
        rows = await self._rows(sql.DEPTHS, (self._clock.now_ms(),))
        return [Depth(queue, JobState(state), jobs, due) for queue, state, jobs, due in rows]

    async def scan(self) -> AsyncIterator[Job]:
        last = 0
        while rows := await self._rows(sql.PAGE, (last, _BATCH)):
            last = rows[-1][0]
            for _, *row in rows:
                yield sql.job_of(tuple(row))

    async def restore(self, jobs: Sequence[Job]) -> int:
        def work(tx: Transaction) -> int:
            return sum(jobrows.restore(tx, job) for job in jobs)

        return await self._write(work, wake=True)

    async def _rows(self, text: str, params: Row) -> Rows:
        """On the loop where that is quick, else in a reader thread."""
        try:
            return self._readers.inline_rows(text, params)
        except (apsw.InterruptError, apsw.BusyError):
            return await self._readers.in_thread(
                lambda database: database.raw.execute(text, params).fetchall()
            )
        except apsw.Error as error:
            raise self._readers.fault(error) from None

    # -- waiting -----------------------------------------------------------------------------------

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - the port's name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not any(self._is_ready(queue) for queue in queues):
            if (left := deadline - loop.time()) <= 0:
                return False
            await self._waiters.wait(min(left, POLL))
        return True

    def _is_ready(self, queue: str) -> bool:
        try:
            if queue.endswith("*"):
                return bool(self._readers.inline_rows(_READY_AMONG, self._among(queue)))
            rows = self._readers.inline_rows(_READY, (queue, self._clock.now_ms()))
        except (apsw.InterruptError, apsw.BusyError):
            return True  # a busy disk: whoever claims finds out
        except apsw.Error as error:
            raise self._readers.fault(error) from None
        return bool(rows[0][0])

    def _wake(self) -> None:
        self._waiters.wake()

    # -- housekeeping ------------------------------------------------------------------------------

    async def recover(self) -> int:
        rows = await self._rows(
            "SELECT DISTINCT holder FROM baas_jobs WHERE holder IS NOT NULL UNION"
            " SELECT holder FROM baas_marks WHERE holder IS NOT NULL",
            (),
        )
        dead = [holder for (holder,) in rows if self._name.is_dead(holder)]
        if not dead:
            return 0
        names = msgspec.json.encode(dead).decode()

        def work(tx: Transaction) -> int:
            now = self._clock.now_ms()
            among = "holder IN (SELECT value FROM json_each(?))"
            tx.execute(f"UPDATE baas_marks SET holder=NULL,until=0 WHERE {among}", (names,))
            tx.execute(
                f"UPDATE baas_jobs SET ready=min(ready,?),holder=NULL WHERE {among}", (now, names)
            )
            return tx.database.raw.changes()

        ended = await self._write(work, wake=True)
        for holder in dead:
            self._name.forget(holder)
        return ended

    async def purge(
        self, before_ms: int, *, queue: str | None = None, at_most: int | None = None
    ) -> int:
        among, params = ("1", ()) if queue is None else ("queue=?", (queue,))
        old = f"{sql.IS_SETTLED} AND updated<? AND {among}"
        removed = await self._purge(old, (before_ms, *params))
        # What nobody ever claims: it is long overdue, and nobody holds it.
        left = f"{sql.OPEN} AND expires<? AND (ready IS NULL OR ready<=?) AND {among}"
        removed += await self._purge(left, (before_ms, self._clock.now_ms(), *params))
        if at_most is not None:
            text = f"SELECT max(0,count(*)-?) FROM baas_jobs WHERE {sql.IS_SETTLED} AND {among}"
            while over := (await self._rows(text, (at_most, *params)))[0][0]:
                removed += await self._remove(
                    f"{sql.IS_SETTLED} AND {among} ORDER BY updated", params, min(over, _BATCH)
                )
        return removed

    async def _purge(self, where: str, params: Row) -> int:
        removed = 0
        if not (await self._rows(f"SELECT EXISTS(SELECT 1 FROM baas_jobs WHERE {where})", params))[
            0
        ][0]:
            return 0
        while count := await self._remove(where, params, _BATCH):
            removed += count
        return removed

    async def _remove(self, where: str, params: Row, limit: int) -> int:
        def work(tx: Transaction) -> int:
            chosen = f"SELECT seq FROM baas_jobs WHERE {where} LIMIT ?"
            tx.execute(f"DELETE FROM baas_jobs WHERE seq IN ({chosen})", (*params, limit))
            return tx.database.raw.changes()

        return await self._write(work)

    async def close(self) -> None:
        """Lets go of this worker's name; what it still held can be taken over at once."""
        self._name.close()

    async def _write(self, work: Callable[[Transaction], T], *, wake: bool = False) -> T:
        """`work` in the writer's group; what it gives once that is on disk."""
        found: list[T] = []

        def step(tx: Transaction) -> StepResult:
            found.append(work(tx))
            return StepResult()

        steps: Any = (Work(step),)
        written: Awaitable[Any] = self._writer.write(steps, _NO_INFO, None)
        await written
        if wake:
            self._wake()
        return found[0]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _tick(timer: str) -> str:
    return f"tick:{timer}"


def _mark(name: str) -> str:
    return f"mark:{name}"


def _lead(name: str) -> str:
    return f"lead:{name}"
