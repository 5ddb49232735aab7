"""One run per Idempotency-Key, crashes and repeats included."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, Problem
from baas.functions.once import LEASE_SECONDS, Once, Stored
from baas.schema.actor import NOBODY, Actor
from baas.settings import DatabaseSettings, LimitSettings

MEI = Actor(uid="mei", cache_key="mei")
LIN = Actor(uid="lin", cache_key="lin")


class Ticking:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


class Bench:
    def __init__(self, runner: asyncio.Runner, store: SqliteStore, clock: Ticking) -> None:
        self.run = runner.run
        self.clock = clock
        self.once = Once(lambda: store.jobs, clock, LimitSettings(idempotency_hours=24))
        self.ids: list[str] = []

    async def answer(self, id: str) -> Stored:
        self.ids.append(id)
        return Stored(200, b'"%d"' % len(self.ids))

    def ask(
        self,
        key: str | None = "k",
        actor: Actor = MEI,
        route: str = "r",
        body: bytes = b"b",
        work: Any = None,
    ) -> Stored:
        return self.run(self.once.run(key, actor, route, body, work or self.answer))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    clock = Ticking()
    with asyncio.Runner() as runner:
        store = SqliteStore(tmp_path, DatabaseSettings(), clock)
        runner.run(store.open())
        yield Bench(runner, store, clock)
        runner.run(store.close())


def test_a_repeat_gets_the_first_answer(bench: Bench) -> None:
    assert [bench.ask().body for _ in range(3)] == [b'"1"'] * 3


def test_caller_route_and_key_each_make_another_record(bench: Bench) -> None:
    answers = [bench.ask(), bench.ask(key="l"), bench.ask(actor=LIN), bench.ask(route="s")]

    assert [one.body for one in answers] == [b'"1"', b'"2"', b'"3"', b'"4"']


def test_another_body_is_a_mismatch(bench: Bench) -> None:
    bench.ask()
    with pytest.raises(Problem) as refused:
        bench.ask(body=b"other")
    assert refused.value.code is Code.IDEMPOTENCY_MISMATCH


def test_without_a_key_or_a_name_every_call_runs(bench: Bench) -> None:
    assert bench.ask(key=None).body != bench.ask(key=None).body
    assert bench.ask(actor=NOBODY).body != bench.ask(actor=NOBODY).body


@pytest.mark.parametrize("key", ["", "x" * 129, "\n", "ä"])
def test_a_key_is_short_and_printable(bench: Bench, key: str) -> None:
    with pytest.raises(Problem) as refused:
        bench.ask(key=key)
    assert refused.value.code is Code.INVALID_ARGUMENT


def test_a_failure_is_forgotten(bench: Bench) -> None:
    async def fails(id: str) -> Stored:
        raise Problem(Code.FUNCTION_FAILED, "no")

    with pytest.raises(Problem):
        bench.ask(work=fails)
    assert bench.ask().body == b'"1"'


def test_while_the_first_runs_the_second_is_told_so(bench: Bench) -> None:
    async def both() -> list[Any]:
        started, go_on = asyncio.Event(), asyncio.Event()

        async def slow(id: str) -> Stored:
            started.set()
            await go_on.wait()
            return Stored(202, b"slow")

        first = asyncio.create_task(bench.once.run("k", MEI, "r", b"b", slow))
        await started.wait()
        second = await asyncio.gather(
            bench.once.run("k", MEI, "r", b"b", bench.answer), return_exceptions=True
        )
        go_on.set()
        return [await first, *second]

    first, second = bench.run(both())

    assert first == Stored(202, b"slow")
    assert isinstance(second, Problem)
    assert second.code is Code.IDEMPOTENCY_IN_PROGRESS
    assert bench.ids == []


def test_after_a_crash_the_next_one_runs_under_the_same_id(bench: Bench) -> None:
    """So an asynchronous call that was enqueued before the crash is not enqueued twice."""
    seen: list[str] = []

    async def crash() -> None:
        job, begun = await bench.once._open("k", MEI, "r", _fingerprint(b"b"))
        assert begun
        seen.append(_id_of(job))

    bench.run(crash())
    with pytest.raises(Problem) as early:
        bench.ask()
    assert early.value.code is Code.IDEMPOTENCY_IN_PROGRESS

    bench.clock.ms += int(LEASE_SECONDS * 1000) + 1
    assert bench.ask().body == b'"1"'
    assert bench.ids == seen


def _fingerprint(body: bytes) -> bytes:
    from hashlib import sha256

    return sha256(body).digest()


def _id_of(job: Any) -> str:
    from hashlib import sha256

    return sha256(f"{job.id}/{job.created_ms}".encode()).hexdigest()[:32]


def test_after_its_time_a_key_is_new(bench: Bench) -> None:
    bench.ask()
    first = bench.ids[0]
    bench.clock.ms += 25 * 3_600_000

    assert bench.ask(body=b"other").body == b'"2"'
    assert bench.ids[1] != first
