"""Changes of rows of the job queue, inside the writer's open transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from baas.engines.sqlite import jobtables as sql
from baas.engines.sqlite.steps import Transaction
from baas.ids import new_id
from baas.ports.jobs import LEASE_ENDED, SETTLED, Job, JobState, LeaseLost, NewJob, check_move

WAITING: Final = (JobState.ENQUEUED, JobState.RETRYING)
_HELD: Final = "SELECT seq,state,attempt,due,expires,queue,ordering,lease FROM baas_jobs WHERE id=?"
_IS_RUNNING: Final = "SELECT seq,state,ready,expires FROM baas_jobs WHERE id=?"
GET: Final = f"SELECT {sql.COLUMNS} FROM baas_jobs WHERE id=?"


class Held:
    """A row as it stands in the open transaction."""

    def __init__(
        self,
        seq: int,
        state: str,
        attempt: int,
        due: int,
        expires: int | None,
        queue: str,
        ordering: str | None,
        lease: str | None,
    ) -> None:
        self.seq = seq
        self.state = JobState(state)
        self.attempt = attempt
        self.due = due
        self.expires = expires
        self.queue = queue
        self.ordering = ordering
        self.lease = lease

    def become(
        self,
        tx: Transaction,
        state: JobState,
        now: int,
        *,
        result: bytes | None = None,
        error: dict[str, Any] | None = None,
        reason: str | None = None,
    ) -> None:
        """Changes the state, without a lease from now on; what waited behind it may go."""
        check_move(self.state, state)
        waits = state in WAITING
        ready = min(self.due, self.expires or self.due) if waits else None
        if waits and state is JobState.ENQUEUED and self._is_behind(tx):
            ready = None
        reason = reason or (None if error is None else str(error.get("code", "")))
        tx.execute(
            sql.SETTLE,
            (
                state.value,
                ready,
                now,
                self.attempt,
                self.due,
                result,
                None if error is None else msgspec.json.encode(error),
                state.value,
                now,
                reason,
                self.seq,
            ),
        )
        if self.ordering is not None and not waits:
            tx.execute(sql.NEXT_IN_ORDER, (self.queue, self.ordering))

    def _is_behind(self, tx: Transaction) -> bool:
        """Whether another of its ordering key is unsettled, when it comes back by a redrive."""
        if self.ordering is None or self.state not in SETTLED:
            return False
        return bool(tx.execute(sql.BEHIND_OTHERS, (self.queue, self.ordering)).get)


def find(tx: Transaction, id: str) -> Held | None:
    row: Any = tx.execute(_HELD, (id,)).fetchone()
    return None if row is None else Held(*row)


def held_by(tx: Transaction, job: Job) -> Held:
    """The row that this claim holds; LeaseLost where it no longer does."""
    held = find(tx, job.id)
    if held is None or job.lease is None or held.lease != job.lease:
        raise LeaseLost(job.id)
    return held


def add(tx: Transaction, jobs: Sequence[NewJob]) -> list[str]:
    now = tx.clock.now_ms()
    return [job.id for job in jobs if insert(tx, job, JobState.ENQUEUED, now)]


def insert(
    tx: Transaction,
    job: NewJob,
    state: JobState,
    now: int,
    lease: tuple[str | None, str | None, int | None] = (None, None, None),
) -> bool:
    """Whether it is new. `lease`: its name, its holder and its end, for one that runs already."""
    name, holder, ready = lease
    if name is None and not _must_wait(tx, job):
        ready = min(job.due_ms, job.expires_ms or job.due_ms)
    history = msgspec.json.encode([(state.value, now, None)]).decode()
    attempt = int(state is JobState.RUNNING)
    values = (job.id, job.queue, job.kind, job.payload, state.value, attempt, job.due_ms, now, now)
    more = (job.expires_ms, job.ordering, job.owner, job.depth, ready, name, holder, history)
    tx.execute(sql.INSERT, (*values, *more))
    return bool(tx.database.raw.changes())


def restore(tx: Transaction, job: Job) -> bool:
    """Whether it is new. See the port."""
    ready: int | None = None
    if job.state in (JobState.RUNNING, JobState.STOPPING):
        ready = tx.clock.now_ms()
    elif job.state in WAITING and not _must_wait(tx, job):
        ready = min(job.due_ms, job.expires_ms or job.due_ms)
    error = None if job.error is None else msgspec.json.encode(job.error)
    history = msgspec.json.encode(job.history).decode()
    what = (job.id, job.queue, job.kind, job.payload, job.state.value, job.attempt)
    when = (job.due_ms, job.created_ms, job.updated_ms, job.expires_ms)
    more = (job.ordering, job.owner, job.depth, None, job.result, error, history, ready)
    tx.execute(sql.RESTORE, (*what, *when, *more))
    return bool(tx.database.raw.changes())


def _must_wait(tx: Transaction, job: NewJob | Job) -> bool:
    if job.ordering is None:
        return False
    return bool(tx.execute(sql.BEHIND_OTHERS, (job.queue, job.ordering)).get)


def take(tx: Transaction, seq: int, state: str, holder: str, now: int, lease_ms: int) -> Job | None:
    """A claim; None where a dead worker's job only had to be stopped."""
    if JobState(state) is JobState.STOPPING:
        id: Any = tx.execute("SELECT id FROM baas_jobs WHERE seq=?", (seq,)).get
        held = find(tx, id)
        assert held is not None
        held.become(tx, JobState.STOPPED, now, reason=LEASE_ENDED)
        return None
    check_move(JobState(state), JobState.RUNNING)
    reason = LEASE_ENDED if JobState(state) is JobState.RUNNING else None
    lease = f"{holder}.{new_id()}"
    params = (now, lease, holder, now + lease_ms, now, "running", now, reason, seq)
    row: Any = tx.execute(sql.CLAIM, params).fetchone()
    return sql.job_of(row)


def get(tx: Transaction, id: str) -> Job:
    """A job that is there."""
    row: Any = tx.execute(GET, (id,)).fetchone()
    return sql.job_of(row)


def begin(tx: Transaction, job: NewJob, holder: str, lease_ms: int) -> tuple[Job, bool]:
    """See `JobQueue.begin`."""
    now = tx.clock.now_ms()
    row: Any = tx.execute(_IS_RUNNING, (job.id,)).fetchone()
    if row is not None:
        seq, state, ready, expires = row
        running = JobState(state) is JobState.RUNNING
        if running and ready <= now and (taken := take(tx, seq, state, holder, now, lease_ms)):
            return taken, True
        if running or expires is None or expires > now:
            return get(tx, job.id), False
        tx.execute("DELETE FROM baas_jobs WHERE seq=?", (seq,))
    lease = (f"{holder}.{new_id()}", holder, now + lease_ms)
    insert(tx, job, JobState.RUNNING, now, lease)
    return get(tx, job.id), True
