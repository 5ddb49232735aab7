"""JobQueue: work that was promised, done at least once.

A job is a row with a lease. `add` is durable before it returns. A worker `claim`s jobs whose time
has come, renews the lease while it works, and settles each as done, to be retried, or dead. A
lease that ends unrenewed hands its job on: the work may then run twice, never not at all. What a
job means (its `kind` and `payload`) is its reader's business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from enum import Enum
from typing import Any, Final, Protocol

import msgspec

from baas.ports.documents import MaybeAwaitable


class JobState(Enum):
    ENQUEUED = "enqueued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPING = "stopping"
    STOPPED = "stopped"
    EXPIRED = "expired"


_S = JobState
#: Every move between states; any other is refused with ValueError. RUNNING to RUNNING is a claim
#: whose lease ended, taken over; RUNNING to ENQUEUED or RETRYING is also a release; from FAILED
#: and EXPIRED only a redrive leads on.
MOVES: Final[dict[JobState, frozenset[JobState]]] = {
    _S.ENQUEUED: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.RETRYING: frozenset({_S.RUNNING, _S.STOPPED}),
    _S.RUNNING: frozenset(_S),
    _S.STOPPING: frozenset({_S.STOPPED, _S.SUCCEEDED, _S.FAILED}),
    _S.FAILED: frozenset({_S.ENQUEUED}),
    _S.EXPIRED: frozenset({_S.ENQUEUED}),
    _S.SUCCEEDED: frozenset(),
    _S.STOPPED: frozenset(),
}
SETTLED: Final = frozenset({_S.SUCCEEDED, _S.FAILED, _S.STOPPED, _S.EXPIRED})
#: The longest history that is kept; the middle of a longer one goes.
MAX_HISTORY: Final = 100


def check_move(before: JobState, after: JobState) -> None:
    """ValueError for a change of state that MOVES does not have."""
    if after not in MOVES[before]:
        raise ValueError(f"a job that is {before.value} cannot become {after.value}")


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """`queue` is what workers claim from; `id` makes `add` idempotent: an id that was ever added
    (within retention) adds nothing. Of jobs with one `ordering` key in a queue, only the oldest
    unsettled one can be claimed. `due_ms`: not before this time. `expires_ms`: not begun or
    retried after it. `owner` is the uid that may see it, or None."""

    id: str
    queue: str
    kind: str
    payload: bytes
    due_ms: int
    expires_ms: int | None = None
    ordering: str | None = None
    owner: str | None = None
    depth: int = 0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands. `attempt` counts from 1 while it runs; `lease` names this claim;
    `history` is every change of state with its time (ms) and, for failures, the reason."""

    id: str
    queue: str
    kind: str
    payload: bytes
    state: JobState
    attempt: int
    due_ms: int
    created_ms: int
    updated_ms: int
    expires_ms: int | None = None
    ordering: str | None = None
    owner: str | None = None
    depth: int = 0
    lease: str | None = None
    result: bytes | None = None
    error: dict[str, Any] | None = None
    history: tuple[tuple[str, int, str | None], ...] = ()

    def is_overdue(self, now_ms: int) -> bool:
        """Whether it may no longer be begun: whoever claimed it is to `expire` it."""
        return self.expires_ms is not None and self.expires_ms <= now_ms


class Depth(msgspec.Struct, frozen=True):
    """How many jobs of one queue are in one state. `due_ms` is the time that the oldest of those
    that wait was due, None where none of them is due yet or the state is no waiting."""

    queue: str
    state: JobState
    jobs: int
    due_ms: int | None = None


#: The reason in a history where a claim was taken over.
LEASE_ENDED: Final = "lease ended"


class LeaseLost(Exception):
    """The lease ended and the job was handed on: this worker's outcome no longer counts."""


class JobQueue(Protocol):
    """Settling methods raise LeaseLost when `job.lease` no longer holds the job.

    Everything that writes raises Problem(UNAVAILABLE) where the engine cannot.
    """

    def add(self, jobs: Sequence[NewJob]) -> Awaitable[list[str]]:
        """Durable when it returns; the ids that were new, in order. All or none."""
        ...

    def claim(
        self, queues: Sequence[str], limit: int, lease_seconds: float
    ) -> Awaitable[list[Job]]:
        """Due jobs, oldest due first, now RUNNING under a fresh lease with `attempt` raised.

        Overdue ones are among them, their attempt not counted, to be settled by `expire`. Jobs
        whose lease ended are claimable again, with LEASE_ENDED in their history; if a stop was
        asked for, they are STOPPED instead.
        """
        ...

    def ready(self, queues: Sequence[str]) -> MaybeAwaitable[list[str]]:
        """Which of these have something to claim now, by name. One that ends in `*` stands for
        every queue whose name begins so. Its cost is by queue, not by job."""
        ...

    def renew(self, job: Job, lease_seconds: float) -> Awaitable[JobState]:
        """Prolongs the lease; answers STOPPING when a stop was asked for meanwhile."""
        ...

    def succeed(
        self, job: Job, result: bytes | None, then: Sequence[NewJob] = ()
    ) -> Awaitable[None]:
        """SUCCEEDED, and `then` (destinations) added in the same step."""
        ...

    def retry(self, job: Job, due_ms: int, error: dict[str, Any]) -> Awaitable[None]:
        """RETRYING: claimable again from `due_ms` on. STOPPED if a stop was asked for."""
        ...

    def release(self, job: Job) -> Awaitable[None]:
        """Back as it was before the claim, the attempt not counted (shutdown before it began)."""
        ...

    def fail(self, job: Job, error: dict[str, Any], then: Sequence[NewJob] = ()) -> Awaitable[None]:
        """FAILED: it is in the dead-letter list until redriven or removed by retention."""
        ...

    def expire(
        self, job: Job, error: dict[str, Any], then: Sequence[NewJob] = ()
    ) -> Awaitable[None]:
        """EXPIRED: it was not begun, or not tried again, in time."""
        ...

    def stopped(self, job: Job) -> Awaitable[None]:
        """STOPPED, by the worker that heeded a stop."""
        ...

    def stop(self, id: str) -> Awaitable[JobState | None]:
        """Asks for a stop: not begun jobs are STOPPED at once, running ones STOPPING. None:
        there is no such job; a settled one stays as it is."""
        ...

    def redrive(self, id: str, expires_ms: int | None = None) -> Awaitable[bool]:
        """A FAILED or EXPIRED job is ENQUEUED again, due now, with its attempts forgotten; False
        for any other."""
        ...

    def begin(self, job: NewJob, lease_seconds: float) -> Awaitable[tuple[Job, bool]]:
        """A record of work that the caller does itself: RUNNING under the caller's lease, and True.

        False with the job as it stands where its id is taken, unless the lease of that one has
        ended (it is taken over) or it is overdue (it is begun anew).
        """
        ...

    def discard(self, job: Job) -> Awaitable[None]:
        """Removes a running job, as if it had never been."""
        ...

    def get(self, id: str) -> MaybeAwaitable[Job | None]: ...

    def list(
        self,
        *,
        queue: str | None = None,
        kind: str | None = None,
        states: Sequence[JobState] = (),
        before: str | None = None,
        limit: int = 100,
    ) -> MaybeAwaitable[list[Job]]:
        """Newest first; `before` is the id of the last one seen."""
        ...

    def counts(self) -> MaybeAwaitable[dict[tuple[str, JobState], int]]:
        """How many jobs per queue and state."""
        ...

    def depths(self) -> MaybeAwaitable[Sequence[Depth]]:
        """Of what is not done with: jobs under way, waiting, and dead letters. What succeeded or
        was stopped is not looked at, so this may be asked often."""
        ...

    def scan(self) -> AsyncIterator[Job]:
        """Every job in the order in which they were added. Export."""
        ...

    def restore(self, jobs: Sequence[Job]) -> Awaitable[int]:
        """Adds jobs as they stand elsewhere, in the order of `scan`; how many were new. Those
        whose id is there stay as they are. The lease of one that runs has ended."""
        ...

    def tick(self, timer: str, scheduled_ms: int, job: NewJob | None) -> Awaitable[bool]:
        """Records that `timer` fired for `scheduled_ms` and adds `job`, in one step; False if any
        gateway had recorded this tick or a later one. So each tick fires once over all."""
        ...

    def last_tick(self, timer: str) -> MaybeAwaitable[int | None]:
        """The scheduled time (ms) of the last tick recorded, by any gateway."""
        ...

    def ticks(self) -> MaybeAwaitable[dict[str, int]]:
        """The last tick of every timer that ever fired."""
        ...

    def mark(self, name: str) -> MaybeAwaitable[str | None]:
        """The text last kept under this name by `advance`."""
        ...

    def advance(
        self, name: str, before: str | None, after: str, jobs: Sequence[NewJob]
    ) -> Awaitable[bool]:
        """Moves a mark from `before` to `after` and adds `jobs`, in one step; False, and nothing
        done, where it is not at `before`. So whoever follows something loses and doubles nothing.
        """
        ...

    def lead(self, name: str, lease_seconds: float) -> Awaitable[bool]:
        """Whether this gateway leads in `name` for so long: it did already, or nobody does."""
        ...

    def wait(self, queues: Sequence[str], timeout: float) -> Awaitable[bool]:
        """True as soon as there may be something to claim in one of these, named as for `ready`;
        a hint, as ChangeFeed.wait is."""
        ...

    def recover(self) -> Awaitable[int]:
        """Ends the leases of workers that are known to be dead; how many."""
        ...

    def purge(
        self, before_ms: int, *, queue: str | None = None, at_most: int | None = None
    ) -> Awaitable[int]:
        """Removes settled jobs (of one queue) last changed before this time, those that nobody
        holds and that were overdue before it, and the oldest settled over `at_most`; how many."""
        ...
