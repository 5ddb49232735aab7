"""The job queue beside a model: whatever order things happen in, on two gateways, every job is held
by at most one lease, in the state that MOVES allows, and never forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import resolve
from baas.ports.jobs import SETTLED, Job, JobState, LeaseLost, NewJob
from baas.settings import DatabaseSettings

S = JobState
LEASE = 10
IDS = st.sampled_from([f"j{n}" for n in range(4)])
WHO = st.integers(0, 1)
SECONDS = st.sampled_from([0, 1, 4, 11])


@dataclass
class Known:
    """A job as it ought to stand. `until`: the end of its lease, in ms."""

    seq: int
    due: int
    expires: int | None
    ordering: str | None
    state: JobState = S.ENQUEUED
    attempt: int = 0
    until: int = 0
    active: bool = True
    lease: str | None = None
    result: bytes | None = None
    leases: list[Job] = field(default_factory=list)

    @property
    def ready(self) -> int | None:
        if self.state in (S.RUNNING, S.STOPPING):
            return self.until
        if self.state in SETTLED or not self.active:
            return None
        return self.due if self.expires is None else min(self.due, self.expires)


class JobMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = TemporaryDirectory()
        self.clock = ManualClock()
        self.stores = self.make_stores()
        for store in self.stores:
            self.run(store.open())
        self.model: dict[str, Known] = {}

    def make_stores(self) -> list[Any]:
        """Two gateways' views of the same data."""
        normal = DatabaseSettings(durability="normal")
        path = Path(self.folder.name)
        return [
            SqliteStore(path, normal, self.clock),
            SqliteStore(path, normal, self.clock, shared=True),
        ]

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def teardown(self) -> None:
        for store in reversed(self.stores):
            self.run(store.close())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()
        self.folder.cleanup()

    def now(self) -> int:
        return self.clock.now_ms()

    # -- the model's own moves ---------------------------------------------------------------------

    def others(self, known: Known) -> list[Known]:
        """The unsettled ones of the same ordering key."""
        if known.ordering is None:
            return []
        return [
            other
            for other in self.model.values()
            if other is not known
            and other.ordering == known.ordering
            and other.state not in SETTLED
        ]

    def settle(self, known: Known, state: JobState) -> None:
        known.state, known.lease, known.active = state, None, False
        waiting = self.others(known)
        if waiting and not any(other.active for other in waiting):
            min(waiting, key=lambda other: other.seq).active = True

    def again(self, known: Known, state: JobState) -> None:
        """Waits once more, in front of those that wait behind it."""
        known.state, known.lease, known.active = state, None, True

    # -- what happens ------------------------------------------------------------------------------

    @rule(
        who=WHO,
        id=IDS,
        delay=SECONDS,
        life=st.sampled_from([None, 3, 30]),
        ordering=st.sampled_from([None, "k", "k"]),
    )
    def add(self, who: int, id: str, delay: int, life: int | None, ordering: str | None) -> None:
        due = self.now() + 1000 * delay
        expires = None if life is None else due + 1000 * life
        new = NewJob(
            id=id, queue="q", kind="k", payload=b"", due_ms=due, expires_ms=expires,
            ordering=ordering,
        )  # fmt: skip
        added = self.run(self.stores[who].jobs.add([new]))
        assert added == ([] if id in self.model else [id])
        if added:
            known = Known(len(self.model), due, expires, ordering)
            known.active = not self.others(known)
            self.model[id] = known

    @rule(who=WHO, limit=st.integers(1, 3))
    def claim(self, who: int, limit: int) -> None:
        now = self.now()
        ready = [
            (known.ready, known.seq, id)
            for id, known in self.model.items()
            if known.ready is not None and known.ready <= now
        ]
        wanted = [id for _, _, id in sorted(ready)[:limit]]
        found = {job.id: job for job in self.run(self.stores[who].jobs.claim(("q",), limit, LEASE))}
        assert list(found) == [id for id in wanted if self.model[id].state is not S.STOPPING]
        for id in wanted:
            known = self.model[id]
            if known.state is S.STOPPING:
                self.settle(known, S.STOPPED)
                continue
            known.attempt += known.expires is None or known.expires > now
            known.state, known.until = S.RUNNING, now + 1000 * LEASE
            known.lease = found[id].lease
            known.leases.append(found[id])

    @rule(who=WHO, id=IDS, back=st.integers(0, 2), how=st.sampled_from(
        ["succeed", "fail", "expire", "stopped", "retry", "release", "renew"]))  # fmt: skip
    def end(self, who: int, id: str, back: int, how: str) -> None:
        """By whoever holds it, or held it once."""
        known = self.model.get(id)
        if known is None or len(known.leases) <= back:
            return
        job = known.leases[-1 - back]
        due = self.now() + 1000
        arguments = {
            "succeed": (b"r",), "fail": ({"code": "F"},), "expire": ({"code": "E"},),
            "retry": (due, {"code": "R"}), "renew": (LEASE,),
        }.get(how, ())  # fmt: skip
        try:
            self.run(getattr(self.stores[who].jobs, how)(job, *arguments))
        except LeaseLost:
            assert known.lease != job.lease
            return
        except ValueError:
            assert (how, known.state) == ("expire", S.STOPPING)
            return
        assert known.lease == job.lease
        self.ended(known, how, due)

    def ended(self, known: Known, how: str, due: int) -> None:
        stopping = known.state is S.STOPPING
        if how == "renew":
            known.until = self.now() + 1000 * LEASE
        elif how == "retry":
            known.due = due
            self.settle(known, S.STOPPED) if stopping else self.again(known, S.RETRYING)
        elif how == "release":
            known.attempt -= 1
            state = S.ENQUEUED if known.attempt == 0 else S.RETRYING
            self.settle(known, S.STOPPED) if stopping else self.again(known, state)
        else:
            names = {"succeed": S.SUCCEEDED, "fail": S.FAILED, "expire": S.EXPIRED}
            self.settle(known, names.get(how, S.STOPPED))

    @rule(who=WHO, id=IDS)
    def stop(self, who: int, id: str) -> None:
        known = self.model.get(id)
        found = self.run(self.stores[who].jobs.stop(id))
        if known is None:
            assert found is None
            return
        if known.state in (S.ENQUEUED, S.RETRYING):
            self.settle(known, S.STOPPED)
        elif known.state is S.RUNNING:
            known.state = S.STOPPING
        assert found is known.state

    @rule(who=WHO, id=IDS)
    def redrive(self, who: int, id: str) -> None:
        known = self.model.get(id)
        dead = known is not None and known.state in (S.FAILED, S.EXPIRED)
        assert self.run(self.stores[who].jobs.redrive(id)) is dead
        if dead:
            assert known is not None
            known.attempt, known.due, known.expires = 0, self.now(), None
            known.state, known.active = S.ENQUEUED, not self.others(known)

    @rule(seconds=st.sampled_from([1, 5, 12]))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @invariant()
    def everything_is_as_it_ought_to_be(self) -> None:
        listed = self.run(resolve(self.stores[0].jobs.list()))
        found = {job.id: (job.state, job.attempt, job.lease) for job in listed}
        assert found == {
            id: (known.state, known.attempt, known.lease) for id, known in self.model.items()
        }


TestJobQueue = JobMachine.TestCase
TestJobQueue.settings = settings(stateful_step_count=30)
