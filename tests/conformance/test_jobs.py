"""JobQueue: what was promised is done, once at a time, in order, by whoever is alive."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest

from baas.ports.documents import resolve
from baas.ports.jobs import LEASE_ENDED, MAX_HISTORY, Depth, JobState, LeaseLost, NewJob

pytestmark = pytest.mark.anyio

LEASE = 10.0


@pytest.fixture
def jobs(store: Any) -> Any:
    return store.jobs


@pytest.fixture
async def other(engine: Any, store: Any) -> Any:
    """The same folder through another gateway process's eyes."""
    second = await engine.join()
    yield second.jobs
    await second.close()


@pytest.fixture
def new(clock: Any) -> Any:
    def make(id: str, **given: Any) -> NewJob:
        fields = {"queue": "q", "kind": "k", "payload": b"p", "due_ms": clock.now_ms(), **given}
        return NewJob(id=id, **fields)

    return make


async def state(jobs: Any, id: str) -> JobState | None:
    job = await resolve(jobs.get(id))
    return None if job is None else job.state


async def claim(jobs: Any, *queues: str, limit: int = 10) -> list[Any]:
    return await jobs.claim(queues or ("q",), limit, LEASE)


async def claim_one(jobs: Any) -> Any:
    (job,) = await claim(jobs)
    return job


# -- adding and claiming ---------------------------------------------------------------------------


async def test_a_job_is_claimed_once_with_all_that_it_was_given(jobs, new, clock) -> None:
    job = new("a", payload=b"\x00\xff", owner="u1", depth=3, expires_ms=clock.now_ms() + 5)
    assert await jobs.add([job]) == ["a"]
    (found,) = await claim(jobs)
    assert (found.id, found.payload, found.owner, found.depth) == ("a", b"\x00\xff", "u1", 3)
    assert (found.state, found.attempt) == (JobState.RUNNING, 1)
    assert await claim(jobs) == []


async def test_an_id_that_was_ever_added_adds_nothing(jobs, new) -> None:
    assert await jobs.add([new("a"), new("b")]) == ["a", "b"]
    assert await jobs.add([new("b", payload=b"other"), new("c")]) == ["c"]
    job = await claim_one_of(jobs, "b")
    assert job.payload == b"p"
    await jobs.succeed(job, None)
    assert await jobs.add([new("b")]) == []
    assert await state(jobs, "b") is JobState.SUCCEEDED


async def claim_one_of(jobs: Any, id: str) -> Any:
    return next(job for job in await claim(jobs) if job.id == id)


async def test_jobs_come_when_they_are_due_the_oldest_first(jobs, new, clock) -> None:
    now = clock.now_ms()
    await jobs.add([new("late", due_ms=now + 2000), new("second", due_ms=now), new("third")])
    await jobs.add([new("first", due_ms=now - 5)])
    assert [job.id for job in await claim(jobs, limit=2)] == ["first", "second"]
    assert [job.id for job in await claim(jobs)] == ["third"]
    clock.advance(1.9)
    assert await claim(jobs) == []
    clock.advance(0.1)
    assert [job.id for job in await claim(jobs)] == ["late"]


async def test_only_the_queues_asked_for_are_claimed(jobs, new) -> None:
    await jobs.add([new("a", queue="x"), new("b", queue="y"), new("c", queue="z")])
    assert [job.id for job in await claim(jobs, "y", "x")] == ["a", "b"]


async def test_queues_with_something_to_claim_are_named(jobs, new, clock) -> None:
    later = clock.now_ms() + 1000
    await jobs.add([new("a", queue="calls:b"), new("b", queue="calls:b"), new("c", queue="calls")])
    await jobs.add([new("d", queue="calls:late", due_ms=later), new("e", queue="queue:x")])
    await jobs.add([new("f", queue="calls:a")])
    named = ("calls*", "queue:x", "queue:y", "calls:a")
    assert await resolve(jobs.ready(named)) == ["calls", "calls:a", "calls:b", "queue:x"]
    assert await resolve(jobs.ready(("calls:*",))) == ["calls:a", "calls:b"]
    assert await resolve(jobs.ready(("call", "none*"))) == []
    await claim(jobs, "calls:a", "calls:b")
    assert await resolve(jobs.ready(("calls:*",))) == []
    assert not await jobs.wait(("calls:*",), 0.01)
    clock.advance(1)
    assert await resolve(jobs.ready(("calls:*",))) == ["calls:late"]
    assert await jobs.wait(("calls:*",), 0.01)


async def test_many_claimants_share_the_jobs_without_overlap(jobs, new, other) -> None:
    await jobs.add([new(f"j{n:02}") for n in range(40)])
    rounds = await asyncio.gather(*(claim(which, limit=3) for which in (jobs, other) * 8))
    taken = [job.id for found in rounds for job in found]
    assert sorted(taken) == [f"j{n:02}" for n in range(40)]


# -- settling --------------------------------------------------------------------------------------


async def test_a_result_is_kept_and_destinations_are_added_with_it(jobs, new) -> None:
    await jobs.add([new("a")])
    await jobs.succeed(await claim_one(jobs), b"42", [new("then", queue="r")])
    job = await resolve(jobs.get("a"))
    assert (job.state, job.result, job.lease) == (JobState.SUCCEEDED, b"42", None)
    assert [job.id for job in await claim(jobs, "r")] == ["then"]


async def test_a_retry_waits_for_its_time_and_counts(jobs, new, clock) -> None:
    await jobs.add([new("a")])
    await jobs.retry(await claim_one(jobs), clock.now_ms() + 1000, {"code": "X"})
    assert (await resolve(jobs.get("a"))).error == {"code": "X"}
    assert await claim(jobs) == []
    clock.advance(1)
    job = await claim_one(jobs)
    assert job.attempt == 2
    await jobs.fail(job, {"code": "Y"}, [new("dlq", queue="r")])
    assert await state(jobs, "a") is JobState.FAILED
    assert len(await claim(jobs, "r")) == 1


async def test_every_change_of_state_is_stamped_with_its_reason(jobs, new, clock) -> None:
    start = clock.now_ms()
    await jobs.add([new("a")])
    clock.advance(1)
    await jobs.retry(await claim_one(jobs), clock.now_ms(), {"code": "X"})
    clock.advance(1)
    await jobs.fail(await claim_one(jobs), {"code": "Y"})
    assert (await resolve(jobs.get("a"))).history == (
        ("enqueued", start, None),
        ("running", start + 1000, None),
        ("retrying", start + 1000, "X"),
        ("running", start + 2000, None),
        ("failed", start + 2000, "Y"),
    )


async def test_a_history_is_bounded_and_keeps_both_ends(jobs, new, clock) -> None:
    await jobs.add([new("a")])
    for _ in range(MAX_HISTORY):
        await jobs.retry(await claim_one(jobs), clock.now_ms(), {"code": "X"})
    await jobs.fail(await claim_one(jobs), {"code": "Y"})
    job = await resolve(jobs.get("a"))
    assert len(job.history) == MAX_HISTORY
    assert job.history[0][0] == "enqueued"
    assert job.history[-1][0] == "failed"
    assert job.attempt == MAX_HISTORY + 1


async def test_a_released_job_is_as_before_its_claim(jobs, new, clock) -> None:
    await jobs.add([new("a")])
    await jobs.release(await claim_one(jobs))
    assert await state(jobs, "a") is JobState.ENQUEUED
    job = await claim_one(jobs)
    assert job.attempt == 1
    await jobs.retry(job, clock.now_ms(), {"code": "X"})
    await jobs.release(await claim_one(jobs))
    assert await state(jobs, "a") is JobState.RETRYING
    assert (await claim_one(jobs)).attempt == 2


@pytest.mark.parametrize("settle", ["succeed", "fail", "expire", "retry", "release", "stopped"])
async def test_who_settled_a_job_cannot_settle_it_again(jobs, new, clock, settle) -> None:
    await jobs.add([new("a")])
    job = await claim_one(jobs)
    await jobs.succeed(job, None)
    more = {
        "succeed": (None,), "fail": ({},), "expire": ({},), "retry": (clock.now_ms(), {}),
    }  # fmt: skip
    with pytest.raises(LeaseLost):
        await getattr(jobs, settle)(job, *more.get(settle, ()))
    assert await state(jobs, "a") is JobState.SUCCEEDED


# -- leases ----------------------------------------------------------------------------------------


async def test_a_lease_that_ends_hands_the_job_on(jobs, new, clock, other) -> None:
    await jobs.add([new("a")])
    first = await claim_one(jobs)
    clock.advance(LEASE - 1)
    assert await claim(other) == []
    clock.advance(1)
    second = await claim_one(other)
    assert second.attempt == 2
    assert second.history[-1][2] == LEASE_ENDED
    with pytest.raises(LeaseLost):
        await jobs.succeed(first, b"mine", [new("then")])
    with pytest.raises(LeaseLost):
        await jobs.renew(first, LEASE)
    await other.succeed(second, b"other's")
    assert (await resolve(jobs.get("a"))).result == b"other's"
    assert await resolve(jobs.get("then")) is None


async def test_a_renewed_lease_holds(jobs, new, clock) -> None:
    await jobs.add([new("a")])
    job = await claim_one(jobs)
    for _ in range(3):
        clock.advance(LEASE - 1)
        assert await jobs.renew(job, LEASE) is JobState.RUNNING
    assert await claim(jobs) == []
    await jobs.succeed(job, None)


async def test_the_leases_of_the_dead_end_at_once(jobs, new, other, engine) -> None:
    await jobs.add([new("mine"), new("theirs")])
    (mine,) = await claim(jobs, limit=1)
    third = await engine.join()
    (theirs,) = await claim(third.jobs)
    assert await other.recover() == 0
    await third.close()
    assert await other.recover() == 1
    assert [job.id for job in await claim(other)] == [theirs.id]
    await jobs.succeed(mine, None)


# -- expiry, stop, redrive -------------------------------------------------------------------------


async def test_an_overdue_job_is_handed_out_to_be_expired(jobs, new, clock) -> None:
    due = clock.now_ms() + 10_000
    await jobs.add([new("a", due_ms=due, expires_ms=clock.now_ms() + 5000)])
    clock.advance(4)
    assert await claim(jobs) == []
    clock.advance(1)
    job = await claim_one(jobs)
    assert job.is_overdue(clock.now_ms())
    assert job.attempt == 0
    await jobs.expire(job, {"code": "EXPIRED"}, [new("then", queue="r")])
    assert await state(jobs, "a") is JobState.EXPIRED
    assert len(await claim(jobs, "r")) == 1


async def test_a_stop_before_the_beginning_is_at_once(jobs, new, clock) -> None:
    await jobs.add([new("a"), new("b")])
    assert await jobs.stop("a") is JobState.STOPPED
    await jobs.retry(await claim_one(jobs), clock.now_ms() + 5, {"code": "X"})
    assert await jobs.stop("b") is JobState.STOPPED
    clock.advance(9)
    assert await claim(jobs) == []


async def test_a_running_job_hears_of_its_stop_when_it_renews(jobs, new) -> None:
    await jobs.add([new("a")])
    job = await claim_one(jobs)
    assert await jobs.stop("a") is JobState.STOPPING
    assert await jobs.stop("a") is JobState.STOPPING
    assert await jobs.renew(job, LEASE) is JobState.STOPPING
    await jobs.stopped(job)
    assert await state(jobs, "a") is JobState.STOPPED
    assert await jobs.stop("a") is JobState.STOPPED


async def test_what_is_to_be_stopped_is_not_tried_again(jobs, new, clock) -> None:
    await jobs.add([new("a"), new("b"), new("c")])
    a, b, c = await claim(jobs)
    for id in "abc":
        await jobs.stop(id)
    await jobs.retry(a, clock.now_ms(), {"code": "X"})
    await jobs.release(b)
    clock.advance(LEASE)  # and whoever has c is dead
    assert await claim(jobs) == []
    assert [await state(jobs, id) for id in "abc"] == [JobState.STOPPED] * 3
    with pytest.raises(LeaseLost):
        await jobs.succeed(c, None)


async def test_a_stop_that_comes_too_late_changes_nothing(jobs, new) -> None:
    assert await jobs.stop("nowhere") is None
    await jobs.add([new("a")])
    job = await claim_one(jobs)
    await jobs.stop("a")
    await jobs.succeed(job, b"done")
    assert await jobs.stop("a") is JobState.SUCCEEDED
    assert (await resolve(jobs.get("a"))).result == b"done"


async def test_a_redrive_begins_from_the_start(jobs, new, clock) -> None:
    await jobs.add([new("a", expires_ms=clock.now_ms() + 1000)])
    await jobs.fail(await claim_one(jobs), {"code": "X"})
    clock.advance(60)
    assert await jobs.redrive("a", clock.now_ms() + 1000)
    assert not await jobs.redrive("a")
    job = await claim_one(jobs)
    assert (job.attempt, job.error) == (1, None)
    assert not job.is_overdue(clock.now_ms())
    await jobs.succeed(job, None)
    assert not await jobs.redrive("a")
    assert not await jobs.redrive("nowhere")


# -- order -----------------------------------------------------------------------------------------


async def test_one_at_a_time_in_order_per_ordering_key(jobs, new, clock) -> None:
    await jobs.add([new("a1", ordering="a"), new("a2", ordering="a"), new("b1", ordering="b")])
    await jobs.add([new("a3", ordering="a"), new("free")])
    a1, b1, free = await claim(jobs)
    assert [a1.id, b1.id, free.id] == ["a1", "b1", "free"]
    await jobs.retry(a1, clock.now_ms() + 1000, {"code": "X"})
    assert await claim(jobs) == []  # a2 waits even for a retry
    clock.advance(1)
    a1 = await claim_one(jobs)
    assert a1.id == "a1"
    await jobs.fail(a1, {"code": "X"})
    a2 = await claim_one(jobs)
    assert a2.id == "a2"
    await jobs.succeed(a2, None)
    assert (await claim_one(jobs)).id == "a3"


async def test_order_survives_stops_and_redrives(jobs, new) -> None:
    await jobs.add([new("a1", ordering="a"), new("a2", ordering="a"), new("a3", ordering="a")])
    a1 = await claim_one(jobs)
    await jobs.stop("a2")
    await jobs.fail(a1, {"code": "X"})
    a3 = await claim_one(jobs)
    assert a3.id == "a3"
    assert await jobs.redrive("a1")
    assert await claim(jobs) == []  # not beside a3
    await jobs.succeed(a3, None)
    assert (await claim_one(jobs)).id == "a1"


# -- records of one's own work ---------------------------------------------------------------------


async def test_a_record_is_begun_by_one_and_answers_the_others(jobs, new, clock, other) -> None:
    record = new("once", queue="records", expires_ms=clock.now_ms() + 60_000)
    mine, begun = await jobs.begin(record, LEASE)
    assert begun
    found, begun = await other.begin(record, LEASE)
    assert (found.state, begun) == (JobState.RUNNING, False)
    await jobs.succeed(mine, b"answer")
    found, begun = await other.begin(record, LEASE)
    assert (found.result, begun) == (b"answer", False)


async def test_a_record_is_reopened_when_its_lease_has_ended(jobs, new, clock, other) -> None:
    record = new("once", expires_ms=clock.now_ms() + 60_000)
    await jobs.begin(record, LEASE)
    clock.advance(LEASE)
    again, begun = await other.begin(record, LEASE)
    assert (begun, again.attempt) == (True, 2)
    await other.discard(again)
    assert (await jobs.begin(record, LEASE))[1]


async def test_a_record_past_its_time_is_begun_anew(jobs, new, clock) -> None:
    first, _ = await jobs.begin(new("once", expires_ms=clock.now_ms() + 1000), LEASE)
    await jobs.succeed(first, b"old")
    clock.advance(1)
    record = new("once", payload=b"new", expires_ms=clock.now_ms() + 1000)
    job, begun = await jobs.begin(record, LEASE)
    assert (begun, job.payload, job.result) == (True, b"new", None)


# -- timers, marks, leaders ------------------------------------------------------------------------


async def test_a_tick_fires_once_over_all(jobs, new, other) -> None:
    fired = await asyncio.gather(
        *(which.tick("t", 1000, new("t-1000")) for which in (jobs, other) * 4)
    )
    assert sorted(fired) == [False] * 7 + [True]
    assert await jobs.tick("t", 999, new("older")) is False
    assert await other.tick("t", 2000, None) is True
    assert await resolve(jobs.last_tick("t")) == 2000
    assert await resolve(jobs.last_tick("never")) is None
    assert [job.id for job in await claim(jobs)] == ["t-1000"]


async def test_a_mark_moves_only_from_where_it_was_seen(jobs, new, other) -> None:
    assert await resolve(jobs.mark("m")) is None
    assert await jobs.advance("m", None, "1", [new("a")])
    assert not await other.advance("m", None, "1", [new("b")])
    assert await resolve(other.mark("m")) == "1"
    assert await other.advance("m", "1", "2", [])
    assert not await jobs.advance("m", "1", "3", [new("c")])
    assert [job.id for job in await claim(jobs)] == ["a"]


async def test_there_is_one_leader_until_its_lease_ends_or_it_dies(
    jobs, clock, other, engine
) -> None:
    assert await jobs.lead("l", LEASE)
    assert not await other.lead("l", LEASE)
    assert await jobs.lead("l", LEASE)
    clock.advance(LEASE)
    third = await engine.join()
    assert await third.jobs.lead("l", LEASE)
    assert not await jobs.lead("l", LEASE)
    await third.close()
    await other.recover()
    assert await jobs.lead("l", LEASE)


# -- waiting, lists, retention ---------------------------------------------------------------------


async def test_waiting_ends_with_a_job_that_is_due(jobs, new, clock, other) -> None:
    started = time.monotonic()
    waiting = asyncio.create_task(jobs.wait(("q",), 20))
    await asyncio.sleep(0)
    await other.add([new("elsewhere", queue="another")])
    await other.add([new("a")])
    assert await waiting
    assert time.monotonic() - started < 10
    await claim(jobs)
    assert not await jobs.wait(("q",), 0.01)


async def test_waiting_does_not_wake_for_what_has_to_wait_itself(jobs, new, clock) -> None:
    await jobs.add([new("a1", ordering="a"), new("a2", ordering="a")])
    await claim(jobs)
    await jobs.add([new("later", due_ms=clock.now_ms() + 1000)])
    assert not await jobs.wait(("q",), 0.01)


async def test_lists_are_newest_first_in_pages(jobs, new) -> None:
    await jobs.add([new(f"j{n}", kind="even" if n % 2 == 0 else "odd") for n in range(6)])
    (first,) = await claim(jobs, limit=1)
    await jobs.fail(first, {"code": "X"})

    async def listed(**given: Any) -> list[str]:
        return [job.id for job in await resolve(jobs.list(**given))]

    assert await listed(limit=2) == ["j5", "j4"]
    assert await listed(limit=2, before="j4") == ["j3", "j2"]
    assert await listed(kind="odd") == ["j5", "j3", "j1"]
    assert await listed(states=[JobState.FAILED]) == ["j0"]
    assert await listed(queue="nowhere") == []
    assert await resolve(jobs.counts()) == {
        ("q", JobState.ENQUEUED): 5,
        ("q", JobState.FAILED): 1,
    }


async def test_retention_removes_what_was_settled_long_ago(jobs, new, clock) -> None:
    await jobs.add([new("old"), new("open"), new("recent")])
    old, _, recent = await claim(jobs)
    await jobs.succeed(old, None)
    clock.advance(100)
    await jobs.succeed(recent, None)
    assert await jobs.purge(clock.now_ms() - 1000, queue="another") == 0
    assert await jobs.purge(clock.now_ms() - 1000) == 1
    assert [await state(jobs, id) is None for id in ("old", "open", "recent")] == [
        True, False, False,
    ]  # fmt: skip


async def test_retention_removes_what_nobody_ever_claimed(jobs, new, clock) -> None:
    due = clock.now_ms()
    await jobs.add(
        [new("left", queue="unread", expires_ms=due + 1000), new("kept", queue="unread")]
    )
    await jobs.begin(new("crashed", queue="records", expires_ms=due + 1000), LEASE)
    clock.advance(2 * LEASE)
    assert await jobs.purge(due) == 0
    assert await jobs.purge(clock.now_ms()) == 2
    assert await state(jobs, "kept") is JobState.ENQUEUED


async def test_retention_keeps_no_more_than_asked(jobs, new, clock) -> None:
    for name in ("a", "b", "c"):
        job, _ = await jobs.begin(new(name, queue="records"), LEASE)
        clock.advance(1)
        await jobs.succeed(job, None)
    assert await jobs.purge(0, queue="records", at_most=2) == 1
    assert await state(jobs, "a") is None


async def test_jobs_outlive_the_store(engine, store, new) -> None:
    await store.jobs.add([new("a", payload=b"kept")])
    await store.close()
    again = await engine.open()
    try:
        assert (await claim_one(again.jobs)).payload == b"kept"
    finally:
        await again.close()


async def test_depths_tell_of_what_is_not_done_with(jobs, new, clock) -> None:
    assert await resolve(jobs.depths()) == []
    now = clock.now_ms()
    await jobs.add([new("a", queue="x", due_ms=now - 5), new("b", queue="x", due_ms=now - 9)])
    await jobs.add([new("c", queue="x", due_ms=now + 1000), new("d", queue="y"), new("e")])
    await jobs.add([new("o1", queue="z", ordering="k"), new("o2", queue="z", ordering="k")])
    await jobs.succeed(await claim_one_of(jobs, "e"), None)
    (failed,) = await claim(jobs, "y")
    await jobs.fail(failed, {"code": "X"})
    await claim(jobs, "x", limit=1)
    assert sorted(await resolve(jobs.depths()), key=lambda one: (one.queue, one.state.value)) == [
        Depth("x", JobState.ENQUEUED, 2, now - 5),
        Depth("x", JobState.RUNNING, 1),
        Depth("y", JobState.FAILED, 1),
        Depth("z", JobState.ENQUEUED, 2, now),
    ]


# -- moving ----------------------------------------------------------------------------------------


async def test_jobs_move_as_they_stand(jobs, new, clock, elsewhere) -> None:
    now = clock.now_ms()
    await jobs.add(
        [new("done"), new("dead"), new("runs", owner="ann", depth=2, expires_ms=now + 9)]
    )
    done, dead, _ = await claim(jobs)
    await jobs.succeed(done, b"result")
    await jobs.fail(dead, {"code": "X", "message": "no"})
    await jobs.add([new(f"o{n}", ordering="k", due_ms=now - 9 + n) for n in range(3)])
    await jobs.add([new("later", due_ms=now + 60_000)])
    found = [job async for job in jobs.scan()]
    assert [job.id for job in found] == ["done", "dead", "runs", "o0", "o1", "o2", "later"]

    there = elsewhere.jobs
    assert await there.restore(found[:4]) == 4
    assert await there.restore(found) == 3
    moved = [job async for job in there.scan()]
    assert moved == [msgspec.structs.replace(job, lease=None) for job in found]
    claimed = await claim(there)
    assert sorted(job.id for job in claimed) == ["o0", "runs"]
    (again,) = [job for job in claimed if job.id == "runs"]
    assert again.attempt == 2
    assert again.history[-1][2] == LEASE_ENDED
    assert await there.redrive("dead")
    (ordered,) = [job for job in claimed if job.id == "o0"]
    await there.succeed(ordered, None)
    assert sorted(job.id for job in await claim(there)) == ["dead", "o1"]


async def test_ticks_of_all_timers_are_told(jobs) -> None:
    assert await resolve(jobs.ticks()) == {}
    await jobs.tick("digest", 1_000, None)
    await jobs.tick("sweep:é", 5_000, None)
    await jobs.tick("digest", 2_000, None)
    await jobs.advance("digest", None, "a mark is no tick", ())
    assert await resolve(jobs.ticks()) == {"digest": 2_000, "sweep:é": 5_000}
