"""Changes of rows of the job queue, inside a turn of the jobs.

`ready` is when a row next asks for attention: due (or overdue) while it waits, the end of its lease
while it runs, null when it is settled or waits behind another of its ordering key. So one index
finds whatever can be claimed, whyever it can.

Whatever may be refused is refused before the first write: several pieces of work share one
transaction, and none of them can be undone alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.engines.mongo.driver import Binary, Int64, Row
from baas.engines.mongo.names import JOBS, MARKS
from baas.engines.mongo.turns import Turn
from baas.ids import new_id
from baas.ports.jobs import (
    LEASE_ENDED,
    MAX_HISTORY,
    SETTLED,
    Job,
    JobState,
    LeaseLost,
    NewJob,
    check_move,
)

WAITING: Final = (JobState.ENQUEUED, JobState.RETRYING)
SETTLED_NAMES: Final = sorted(state.value for state in SETTLED)
OPEN: Final[Row] = {"state": {"$nin": SETTLED_NAMES}}
_OLDEST: Final = [("_id", 1)]


class JobTurn:
    """What a piece of work may do to jobs and marks."""

    def __init__(self, turn: Turn, clock: Clock) -> None:
        self._turn = turn
        self._driver = turn.driver
        self.session = turn.session
        self.now = clock.now_ms()
        self.wrote = False

    # -- rows --------------------------------------------------------------------------------------

    async def find(self, id: str) -> Row | None:
        row: Row | None = await self._driver.find_one(JOBS, {"id": id}, session=self.session)
        return row

    async def held(self, job: Job) -> Row:
        """The row that this claim holds; LeaseLost where it no longer does."""
        row = await self.find(job.id)
        if row is None or job.lease is None or row["lease"] != job.lease:
            raise LeaseLost(job.id)
        return row

    async def save(self, row: Row) -> None:
        self.wrote = True
        await self._driver.replace(JOBS, row, session=self.session)

    async def remove(self, row: Row) -> None:
        self.wrote = True
        await self._driver.delete(JOBS, {"_id": row["_id"]}, session=self.session)

    def note(self, row: Row, state: JobState, reason: str | None = None) -> None:
        """The change of state, in the row's history: a long one keeps both its ends."""
        row["state"], row["updated"] = state.value, Int64(self.now)
        history = row["history"]
        if len(history) >= MAX_HISTORY:
            del history[(MAX_HISTORY - 1) // 2]
        history.append([state.value, Int64(self.now), reason])

    # -- states ------------------------------------------------------------------------------------

    async def become(
        self,
        row: Row,
        state: JobState,
        *,
        result: bytes | None = None,
        error: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Changes the state, without a lease from now on; what waited behind it may go."""
        check_move(JobState(row["state"]), state)
        waits = state in WAITING
        behind = False
        if state is JobState.ENQUEUED and JobState(row["state"]) in SETTLED:
            behind = await self._must_wait(row["queue"], row["ordering"])
        row["ready"] = Int64(_ready(row)) if waits and not behind else None
        row["lease"] = None
        row.pop("holder", None)
        row["result"] = None if result is None else Binary(result)
        row["error"] = None if error is None else Binary(msgspec.json.encode(error))
        self.note(row, state, reason or (None if error is None else str(error.get("code", ""))))
        await self.save(row)
        if row["ordering"] is not None and not waits:
            await self._let_next(row["queue"], row["ordering"])

    async def _let_next(self, queue: str, ordering: str) -> None:
        """The oldest unsettled row of an ordering key goes next, if none is on its way."""
        among = {"queue": queue, "ordering": ordering, **OPEN}
        rows = await self._driver.find(
            JOBS, among, {"due": 1, "expires": 1, "ready": 1}, session=self.session, sort=_OLDEST
        )
        if rows and all(row["ready"] is None for row in rows):
            await self._driver.update(
                JOBS,
                {"_id": rows[0]["_id"]},
                {"$set": {"ready": Int64(_ready(rows[0]))}},
                session=self.session,
            )

    async def _must_wait(self, queue: str, ordering: str | None) -> bool:
        if ordering is None:
            return False
        among = {"queue": queue, "ordering": ordering, **OPEN}
        fields = {"_id": 1}
        found = await self._driver.find_one(JOBS, among, projection=fields, session=self.session)
        return found is not None

    # -- adding ------------------------------------------------------------------------------------

    async def add(self, jobs: Sequence[NewJob]) -> list[str]:
        """Those whose ids are new, in order."""
        known = await self._known(jobs)
        places: set[tuple[str, str]] = set()
        added: list[Row] = []
        for job in jobs:
            if job.id in known:
                continue
            known.add(job.id)
            row = self._new(job, JobState.ENQUEUED)
            if not await self._stands_behind(row, places):
                row["ready"] = Int64(_ready(row))
            added.append(row)
        await self._insert(added)
        return [row["id"] for row in added]

    async def restore(self, jobs: Sequence[Job]) -> int:
        """See the port; how many were new."""
        known = await self._known(jobs)
        places: set[tuple[str, str]] = set()
        added: list[Row] = []
        for job in jobs:
            if job.id in known:
                continue
            known.add(job.id)
            row = self._restored(job)
            if job.state in (JobState.RUNNING, JobState.STOPPING):
                row["ready"] = Int64(self.now)
            behind = job.state not in SETTLED and await self._stands_behind(row, places)
            if job.state in WAITING and not behind:
                row["ready"] = Int64(_ready(row))
            added.append(row)
        await self._insert(added)
        return len(added)

    async def _known(self, jobs: Sequence[NewJob | Job]) -> set[str]:
        """Which of their ids are taken."""
        if not jobs:
            return set()
        wanted: Row = {"id": {"$in": [job.id for job in jobs]}}
        rows = await self._driver.find(JOBS, wanted, {"id": 1}, session=self.session)
        return {row["id"] for row in rows}

    async def _stands_behind(self, row: Row, places: set[tuple[str, str]]) -> bool:
        """Whether an unsettled one of its ordering key is there, or in `places`, to which its own
        is added."""
        if row["ordering"] is None:
            return False
        place = (row["queue"], row["ordering"])
        if place in places:
            return True
        places.add(place)
        return await self._must_wait(*place)

    def _restored(self, job: Job) -> Row:
        error = None if job.error is None else Binary(msgspec.json.encode(job.error))
        return {
            "_id": Int64(self._number()),
            **_given(job),
            "state": job.state.value,
            "attempt": job.attempt,
            "created": Int64(job.created_ms),
            "updated": Int64(job.updated_ms),
            "ready": None,
            "lease": None,
            "result": None if job.result is None else Binary(job.result),
            "error": error,
            "history": [[state, Int64(time), reason] for state, time, reason in job.history],
        }

    async def _insert(self, rows: Sequence[Row]) -> None:
        if rows:
            self.wrote = True
            await self._driver.insert(JOBS, rows, session=self.session)

    def _number(self) -> int:
        """The next place in the order in which jobs were added."""
        changes, row = self._turn.changes, self._turn.row
        number = int(changes["seq"] if "seq" in changes else row["seq"]) + 1
        self._turn.changes["seq"] = Int64(number)
        return number

    def _new(self, job: NewJob, state: JobState) -> Row:
        now = Int64(self.now)
        return {
            "_id": Int64(self._number()),
            **_given(job),
            "state": state.value,
            "attempt": int(state is JobState.RUNNING),
            "created": now,
            "updated": now,
            "ready": None,
            "lease": None,
            "result": None,
            "error": None,
            "history": [[state.value, now, None]],
        }

    # -- claiming ----------------------------------------------------------------------------------

    async def claim(
        self, queues: Sequence[str], limit: int, holder: str, lease_ms: int
    ) -> list[Job]:
        wanted: Row = {"queue": {"$in": list(queues)}, "ready": {"$lte": self.now}}
        rows = await self._driver.find(
            JOBS, wanted, session=self.session, sort=[("ready", 1), ("_id", 1)], limit=limit
        )
        taken = [await self.take(row, holder, lease_ms) for row in rows]
        return [job for job in taken if job is not None]

    async def take(self, row: Row, holder: str, lease_ms: int) -> Job | None:
        """A claim; None where a dead worker's job only had to be stopped."""
        state = JobState(row["state"])
        if state is JobState.STOPPING:
            await self.become(row, JobState.STOPPED, reason=LEASE_ENDED)
            return None
        check_move(state, JobState.RUNNING)
        if row["expires"] is None or row["expires"] > self.now:
            row["attempt"] += 1
        self._lease(row, holder, lease_ms)
        self.note(row, JobState.RUNNING, LEASE_ENDED if state is JobState.RUNNING else None)
        await self.save(row)
        return job_of(row)

    def _lease(self, row: Row, holder: str, lease_ms: int) -> None:
        row["lease"], row["holder"] = f"{holder}.{new_id()}", holder
        row["ready"] = Int64(self.now + lease_ms)

    async def begin(self, job: NewJob, holder: str, lease_ms: int) -> tuple[Job, bool]:
        """See `JobQueue.begin`."""
        row = await self.find(job.id)
        if row is not None:
            running = row["state"] == JobState.RUNNING.value
            if running and row["ready"] <= self.now:
                taken = await self.take(row, holder, lease_ms)
                if taken is not None:
                    return taken, True
            if running or row["expires"] is None or row["expires"] > self.now:
                return job_of(row), False
            await self.remove(row)
        row = self._new(job, JobState.RUNNING)
        self._lease(row, holder, lease_ms)
        await self._insert([row])
        return job_of(row), True

    # -- marks -------------------------------------------------------------------------------------

    async def mark(self, name: str) -> Any:
        row = await self._driver.find_one(MARKS, {"_id": name}, session=self.session)
        return None if row is None else row.get("value")

    async def set_mark(self, name: str, value: Any) -> None:
        self.wrote = True
        await self._driver.update(
            MARKS, {"_id": name}, {"$set": {"value": value}}, session=self.session, upsert=True
        )

    async def end_leases(self, holders: Sequence[str]) -> int:
        """Of workers that are dead; how many jobs can be claimed again at once."""
        self.wrote = True
        among: Row = {"holder": {"$in": list(holders)}}
        update = self._driver.update_many
        await update(
            MARKS, among, {"$set": {"until": 0}, "$unset": {"holder": ""}}, session=self.session
        )
        later: Row = {**among, "ready": {"$gt": self.now}}
        await update(JOBS, later, {"$set": {"ready": Int64(self.now)}}, session=self.session)
        return await update(JOBS, among, {"$unset": {"holder": ""}}, session=self.session)


def _given(job: NewJob | Job) -> Row:
    """What a job was given when it was added."""
    return {
        "id": job.id,
        "queue": job.queue,
        "kind": job.kind,
        "payload": Binary(job.payload),
        "due": Int64(job.due_ms),
        "expires": None if job.expires_ms is None else Int64(job.expires_ms),
        "ordering": job.ordering,
        "owner": job.owner,
        "depth": job.depth,
    }


def _ready(row: Row) -> int:
    due, expires = int(row["due"]), row["expires"]
    return due if expires is None else min(due, int(expires))


def job_of(row: Row) -> Job:
    error = row["error"]
    return Job(
        id=row["id"],
        queue=row["queue"],
        kind=row["kind"],
        payload=bytes(row["payload"]),
        state=JobState(row["state"]),
        attempt=row["attempt"],
        due_ms=int(row["due"]),
        created_ms=int(row["created"]),
        updated_ms=int(row["updated"]),
        expires_ms=None if row["expires"] is None else int(row["expires"]),
        ordering=row["ordering"],
        owner=row["owner"],
        depth=row["depth"],
        lease=row["lease"],
        result=None if row["result"] is None else bytes(row["result"]),
        error=None if error is None else msgspec.json.decode(error),
        history=tuple((state, int(time), reason) for state, time, reason in row["history"]),
    )
