"""JobQueue on the server: one row for each job, changed in turns of the jobs' own.

Every change is a transaction that holds the jobs' row in `baas.meta`, shared by all that waits in
this gateway. A worker that holds leases has a row of its own, which it moves on while it lives and
removes when it ends: so the leases of one that ended are over at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from baas.clock import Clock
from baas.engines.mongo.driver import Driver, Fault, Int64, PyMongoError, Row, fault_of
from baas.engines.mongo.faults import telling
from baas.engines.mongo.jobrows import OPEN, SETTLED_NAMES, WAITING, JobTurn, job_of
from baas.engines.mongo.names import GATEWAYS, JOBS, JOBS_TURN, MARKS
from baas.engines.mongo.turns import Task, Turn, Turns
from baas.engines.settling import Settling
from baas.engines.waiting import Waiters
from baas.ids import new_id
from baas.ports.jobs import SETTLED, Depth, Job, JobState, NewJob
from baas.settings import DatabaseSettings

T = TypeVar("T")
Jobs: TypeAlias = list[Job]
Ids: TypeAlias = list[str]
Depths: TypeAlias = list[Depth]
#: In the class, `list` is a method of the port.
Rows: TypeAlias = list[Row]
Tasks: TypeAlias = "list[Task[Work]]"
Work = Callable[[JobTurn], Awaitable[Any]]
#: How often other gateways' jobs are looked for while somebody waits, in seconds.
POLL: Final = 0.075
#: Jobs that one statement removes, so that no other write waits long.
_BATCH: Final = 200
#: How long a gateway counts as alive after its last sign of life; it gives one every 15 s.
_ALIVE_MS: Final = 60_000
_LAST: Final = "\U0010ffff"
_UNDER_WAY: Final = ("enqueued", "running", "retrying", "stopping", "failed", "expired")


class MongoJobs(Settling):
    """See the port."""

    def __init__(
        self,
        driver: Driver,
        settings: DatabaseSettings,
        clock: Clock,
        stuck: Callable[[], Awaitable[None]],
    ) -> None:
        self._driver = driver
        self._clock = clock
        self._waiters = Waiters()
        self._name: str | None = None
        self._turns: Turns[Work] = Turns(
            driver,
            JOBS_TURN,
            clock,
            settings.mongo_patience,
            self._run,
            lambda: None,
            stuck=stuck,
        )

    async def open(self) -> Row:
        """The id of the session that its turns are taken in."""
        return await self._turns.open()

    # -- promising ---------------------------------------------------------------------------------

    async def add(self, jobs: Sequence[NewJob]) -> Ids:
        found: Ids = await self._write(lambda turn: turn.add(jobs), wake=True)
        return found

    async def tick(self, timer: str, scheduled_ms: int, job: NewJob | None) -> bool:
        async def work(turn: JobTurn) -> bool:
            last = await turn.mark(_tick(timer))
            if last is not None and last >= scheduled_ms:
                return False
            await turn.set_mark(_tick(timer), Int64(scheduled_ms))
            await turn.add(() if job is None else (job,))
            return True

        return bool(await self._write(work, wake=True))

    async def last_tick(self, timer: str) -> int | None:
        value = await self._mark(_tick(timer))
        return None if value is None else int(value)

    async def ticks(self) -> dict[str, int]:
        beginning = _tick("")
        among: Row = {"_id": {"$gte": beginning, "$lt": beginning + _LAST}}
        async with telling("a read"):
            rows = await self._driver.find(MARKS, among)
        return {row["_id"].removeprefix(beginning): int(row["value"]) for row in rows}

    async def mark(self, name: str) -> str | None:
        value = await self._mark(_mark(name))
        return None if value is None else str(value)

    async def _mark(self, name: str) -> Any:
        async with telling("a read"):
            row = await self._driver.find_one(MARKS, {"_id": name})
        return None if row is None else row.get("value")

    async def advance(
        self, name: str, before: str | None, after: str, jobs: Sequence[NewJob]
    ) -> bool:
        async def work(turn: JobTurn) -> bool:
            if await turn.mark(_mark(name)) != before:
                return False
            await turn.set_mark(_mark(name), after)
            await turn.add(jobs)
            return True

        return bool(await self._write(work, wake=bool(jobs)))

    async def lead(self, name: str, lease_seconds: float) -> bool:
        holder, now = await self._holder(), self._clock.now_ms()
        async with telling("a lease"):
            row = await self._driver.find_one(MARKS, {"_id": _lead(name)})
            if row and row.get("holder", holder) != holder and row["until"] > now:
                return False  # without a write: whoever does not lead asks often
            free: Row = {
                "_id": _lead(name),
                "$or": [{"holder": holder}, {"until": {"$lte": now}}],
            }
            lease = {"$set": {"holder": holder, "until": Int64(now + _ms(lease_seconds))}}
            try:
                return await self._driver.update(MARKS, free, lease, upsert=True) > 0
            except PyMongoError as error:
                if fault_of(error) is Fault.DUPLICATE:
                    return False  # somebody else was first
                raise

    # -- claiming ----------------------------------------------------------------------------------

    async def claim(self, queues: Sequence[str], limit: int, lease_seconds: float) -> Jobs:
        if not await self._is_ready(queues):
            return []
        holder = await self._holder()
        found: Jobs = await self._write(
            lambda turn: turn.claim(queues, limit, holder, _ms(lease_seconds))
        )
        return found

    async def ready(self, queues: Sequence[str]) -> list[str]:
        now = self._clock.now_ms()
        found: set[str] = set()
        async with telling("a read"):
            plain = [queue for queue in queues if not queue.endswith("*")]
            for queue in plain:
                one = {"queue": queue, "ready": {"$lte": now}}
                if await self._driver.find_one(JOBS, one, projection={"_id": 1}):
                    found.add(queue)
            for queue in queues:
                if queue.endswith("*"):
                    found.update(await self._ready_among(queue.removesuffix("*"), now))
        return sorted(found)

    async def _ready_among(self, beginning: str, now: int) -> Ids:
        """From one name to the next by the index: many jobs of one queue cost nothing more."""
        found: Ids = []
        above: Row = {"$gte": beginning}
        while True:
            row = await self._driver.find_one(
                JOBS,
                {"queue": {**above, "$lt": beginning + _LAST}, "ready": {"$lte": now}},
                projection={"queue": 1},
                sort=[("queue", 1)],
            )
            if row is None:
                return found
            found.append(row["queue"])
            above = {"$gt": row["queue"]}

    async def begin(self, job: NewJob, lease_seconds: float) -> tuple[Job, bool]:
        holder = await self._holder()
        found: tuple[Job, bool] = await self._write(
            lambda turn: turn.begin(job, holder, _ms(lease_seconds))
        )
        return found

    async def renew(self, job: Job, lease_seconds: float) -> JobState:
        async def work(turn: JobTurn) -> JobState:
            row = await turn.held(job)
            row["ready"] = Int64(turn.now + _ms(lease_seconds))
            await turn.save(row)
            return JobState(row["state"])

        found: JobState = await self._write(work)
        return found

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
        async def work(turn: JobTurn) -> None:
            row = await turn.held(job)
            await turn.become(row, state, result=result, error=error)
            await turn.add(then)

        await self._write(work, wake=bool(then) or job.ordering is not None)

    async def retry(self, job: Job, due_ms: int, error: dict[str, Any]) -> None:
        async def work(turn: JobTurn) -> None:
            row = await turn.held(job)
            stopping = row["state"] == JobState.STOPPING.value
            row["due"] = Int64(due_ms)
            state = JobState.STOPPED if stopping else JobState.RETRYING
            await turn.become(row, state, error=error)

        await self._write(work, wake=True)

    async def release(self, job: Job) -> None:
        async def work(turn: JobTurn) -> None:
            row = await turn.held(job)
            row["attempt"] -= 1
            state = JobState.ENQUEUED if row["attempt"] == 0 else JobState.RETRYING
            if row["state"] == JobState.STOPPING.value:
                state = JobState.STOPPED
            await turn.become(row, state, error=job.error)

        await self._write(work, wake=True)

    async def discard(self, job: Job) -> None:
        async def work(turn: JobTurn) -> None:
            await turn.remove(await turn.held(job))

        await self._write(work)

    async def stop(self, id: str) -> JobState | None:
        async def work(turn: JobTurn) -> JobState | None:
            row = await turn.find(id)
            state = None if row is None else JobState(row["state"])
            if row is None or state in SETTLED or state is JobState.STOPPING:
                return state
            if state in WAITING:
                await turn.become(row, JobState.STOPPED)
                return JobState.STOPPED
            turn.note(row, JobState.STOPPING)
            await turn.save(row)
            return JobState.STOPPING

        found: JobState | None = await self._write(work, wake=True)
        return found

    async def redrive(self, id: str, expires_ms: int | None = None) -> bool:
        async def work(turn: JobTurn) -> bool:
            row = await turn.find(id)
            if row is None or JobState(row["state"]) not in (JobState.FAILED, JobState.EXPIRED):
                return False
            row["attempt"], row["due"] = 0, Int64(turn.now)
            row["expires"] = None if expires_ms is None else Int64(expires_ms)
            await turn.become(row, JobState.ENQUEUED, reason="redriven")
            return True

        return bool(await self._write(work, wake=True))

    # -- looking -----------------------------------------------------------------------------------

    async def get(self, id: str) -> Job | None:
        async with telling("a read"):
            row = await self._driver.find_one(JOBS, {"id": id})
        return None if row is None else job_of(row)

    async def list(
        self,
        *,
        queue: str | None = None,
        kind: str | None = None,
        states: Sequence[JobState] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> Jobs:
        filter: Row = {}
        if queue is not None:
            filter["queue"] = queue
        if kind is not None:
            filter["kind"] = kind
        if states:
            filter["state"] = {"$in": [state.value for state in states]}
        async with telling("a read"):
            if before is not None:
                last = await self._driver.find_one(JOBS, {"id": before}, projection={"_id": 1})
                if last is None:
                    return []
                filter["_id"] = {"$lt": last["_id"]}
            rows = await self._driver.find(JOBS, filter, sort=[("_id", -1)], limit=limit)
        return [job_of(row) for row in rows]

    async def counts(self) -> dict[tuple[str, JobState], int]:
        group: Row = {"_id": {"queue": "$queue", "state": "$state"}, "jobs": {"$sum": 1}}
        async with telling("a read"):
            rows = await self._driver.aggregate(JOBS, [{"$group": group}])
        return {
            (row["_id"]["queue"], JobState(row["_id"]["state"])): int(row["jobs"]) for row in rows
        }

    async def depths(self) -> Depths:
        waiting = [state.value for state in WAITING]
        due = {
            "$and": [
                {"$in": ["$state", waiting]},
                {"$ne": ["$ready", None]},
                {"$lte": ["$ready", self._clock.now_ms()]},
            ]
        }
        group: Row = {
            "_id": {"queue": "$queue", "state": "$state"},
            "jobs": {"$sum": 1},
            "due": {"$min": {"$cond": [due, "$due", None]}},
        }
        match: Row = {"state": {"$in": list(_UNDER_WAY)}}
        async with telling("a read"):
            rows = await self._driver.aggregate(JOBS, [{"$match": match}, {"$group": group}])
        found = [
            Depth(
                row["_id"]["queue"],
                JobState(row["_id"]["state"]),
                int(row["jobs"]),
                None if row["due"] is None else int(row["due"]),
            )
            for row in rows
        ]
        return sorted(found, key=lambda depth: (depth.queue, depth.state.value))

    async def scan(self) -> AsyncIterator[Job]:
        last = 0
        while rows := await self._page(last):
            last = rows[-1]["_id"]
            for row in rows:
                yield job_of(row)

    async def _page(self, after: int) -> Rows:
        async with telling("a read"):
            return await self._driver.find(
                JOBS, {"_id": {"$gt": after}}, sort=[("_id", 1)], limit=_BATCH
            )

    async def restore(self, jobs: Sequence[Job]) -> int:
        return int(await self._write(lambda turn: turn.restore(jobs), wake=True))

    # -- waiting -----------------------------------------------------------------------------------

    async def wait(self, queues: Sequence[str], timeout: float) -> bool:  # noqa: ASYNC109 - the port's name
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while not await self._is_ready(queues):
            if (left := deadline - loop.time()) <= 0:
                return False
            await self._waiters.wait(min(left, POLL))
        return True

    async def _is_ready(self, queues: Sequence[str]) -> bool:
        plain = [queue for queue in queues if not queue.endswith("*")]
        among: Rows = [{"queue": {"$in": plain}}] if plain else []
        for queue in queues:
            if queue.endswith("*"):
                beginning = queue.removesuffix("*")
                among.append({"queue": {"$gte": beginning, "$lt": beginning + _LAST}})
        if not among:
            return False
        due: Row = {"ready": {"$lte": self._clock.now_ms()}, "$or": among}
        async with telling("a read"):
            return await self._driver.find_one(JOBS, due, projection={"_id": 1}) is not None

    def _wake(self) -> None:
        self._waiters.wake()

    # -- housekeeping ------------------------------------------------------------------------------

    async def recover(self) -> int:
        held: Row = {"holder": {"$exists": True}}
        async with telling("a read"):
            holders = set(await self._driver.distinct(JOBS, "holder", held))
            holders.update(await self._driver.distinct(MARKS, "holder", held))
            alive: Row = {"until": {"$gt": self._clock.now_ms()}}
            living = {row["_id"] for row in await self._driver.find(GATEWAYS, alive)}
        dead = sorted(holders - living - {self._name})
        if not dead:
            return 0
        return int(await self._write(lambda turn: turn.end_leases(dead), wake=True))

    async def purge(
        self, before_ms: int, *, queue: str | None = None, at_most: int | None = None
    ) -> int:
        among: Row = {} if queue is None else {"queue": queue}
        settled: Row = {"state": {"$in": SETTLED_NAMES}, **among}
        removed = await self._remove({**settled, "updated": {"$lt": before_ms}})
        # What nobody ever claims: it is long overdue, and nobody holds it.
        unheld = [{"ready": None}, {"ready": {"$lte": self._clock.now_ms()}}]
        left: Row = {**OPEN, **among, "expires": {"$lt": before_ms}, "$or": unheld}
        removed += await self._remove(left)
        if at_most is not None:
            async with telling("a read"):
                over = await self._driver.count(JOBS, settled) - at_most
            if over > 0:
                removed += await self._remove(settled, over)
        return removed

    async def _remove(self, filter: Row, at_most: int | None = None) -> int:
        """The ones that changed longest ago first, some at a time."""
        removed = 0
        async with telling("a clean-up"):
            while at_most is None or removed < at_most:
                limit = _BATCH if at_most is None else min(_BATCH, at_most - removed)
                rows = await self._driver.find(
                    JOBS, filter, {"_id": 1}, sort=[("updated", 1)], limit=limit
                )
                if not rows:
                    break
                chosen: Row = {**filter, "_id": {"$in": [row["_id"] for row in rows]}}
                removed += await self._driver.delete(JOBS, chosen)
        return removed

    async def _holder(self) -> str:
        """This worker's name, which others see to be alive from the moment it holds something."""
        if self._name is None:
            self._name = new_id()
            await self.live()
        return self._name

    async def live(self) -> None:
        """A sign of life; and the names of those long dead go."""
        now = self._clock.now_ms()
        async with telling("a sign of life"):
            if self._name is not None:
                until = {"$set": {"until": Int64(now + _ALIVE_MS)}}
                await self._driver.update(GATEWAYS, {"_id": self._name}, until, upsert=True)
            await self._driver.delete(GATEWAYS, {"until": {"$lte": now - _ALIVE_MS}})

    async def living(self) -> int:
        """How many gateways have said that they are alive, this one not counted."""
        alive: Row = {"until": {"$gt": self._clock.now_ms()}, "_id": {"$ne": self._name}}
        async with telling("a read"):
            return len(await self._driver.find(GATEWAYS, alive))

    async def close(self) -> None:
        """Finishes what was taken; what this worker still held can be taken over at once."""
        await self._turns.close()
        if self._name is not None:
            name, self._name = self._name, None
            async with telling("a farewell"):
                await self._driver.delete(GATEWAYS, {"_id": name})

    # -- turns -------------------------------------------------------------------------------------

    async def _write(self, work: Work, *, wake: bool = False) -> Any:
        """`work` in a turn; what it gives once that is durable."""
        found = await asyncio.shield(self._turns.submit(work))
        if wake:
            self._wake()
        return found

    async def _run(self, turn: Turn, tasks: Tasks) -> bool:
        jobs = JobTurn(turn, self._clock)
        for task in tasks:
            try:
                task.outcome = await task.work(jobs)
            except PyMongoError:
                raise
            except Exception as error:
                # It was refused before it wrote anything: the others are not concerned.
                task.fail(error)
        return jobs.wrote


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _tick(timer: str) -> str:
    return f"tick:{timer}"


def _mark(name: str) -> str:
    return f"mark:{name}"


def _lead(name: str) -> str:
    return f"lead:{name}"
