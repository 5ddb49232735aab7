"""RE2 is linear in the text, but with a factor that the pattern chooses: a search of a long text
may take a minute, and nothing can interrupt it. Neither the event loop nor the time limit of reads
may be held up by that."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from baas.clock import SystemClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code
from baas.settings import DatabaseSettings, Settings
from tests.support.database import ANN, Bench, app, refused

OPEN = 'rules: {read: "true", create: auth != null, update: "true", delete: "true"}'
RULES = {"texts": OPEN, "ruled": OPEN.replace("true", "matches(doc.text, '((x?){100}){9}')", 1)}
#: Thousands of instructions that RE2's automaton has no memory for; 45 us per character.
SLOW = "((x?){200}){5}y$"


async def longest_pause(work: Any) -> float:
    """The longest that the loop did not turn while `work` ran, in seconds."""
    longest, task = 0.0, asyncio.ensure_future(work)
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - before)
    await task
    return longest


@app(RULES)
async def test_the_loop_goes_on_beside_a_slow_search(bench: Bench) -> None:
    """Found by key, so it would be read on the loop; the search takes most of a second."""
    await bench.insert("texts", {"_id": "a", "text": "x" * 20_000})
    filter = {"_id": "a", "text": {"$regex": SLOW}}
    assert await longest_pause(bench.do(ANN, "find", "texts", filter=filter)) < 0.3


@app(RULES)
@pytest.mark.parametrize("verb", ["find", "count"])
async def test_a_search_that_could_take_a_minute_is_refused(bench: Bench, verb: str) -> None:
    await bench.insert("texts", {"_id": "a", "text": "x" * 1_000_000})
    started = time.perf_counter()
    with refused(Code.LIMIT_EXCEEDED):
        await bench.do(ANN, verb, "texts", filter={"text": {"$regex": SLOW}})
    assert time.perf_counter() - started < 2


@app(RULES)
async def test_plain_patterns_search_texts_of_any_length(bench: Bench) -> None:
    await bench.insert("texts", {"_id": "a", "text": "x" * 1_000_000 + "y"})
    for pattern in ("y$", "(x+)+y$", "[a-z]*[w-z]+y", "xy|yx"):
        assert await bench.ids(ANN, "texts", filter={"text": {"$regex": pattern}}) == ["a"]


@app(RULES)
async def test_nobody_can_fail_the_reads_of_others_with_a_long_text(bench: Bench) -> None:
    """A rule that could take too long for one document does not let that one be seen."""
    await bench.insert("ruled", {"_id": "a", "text": "x"}, {"_id": "b", "text": "x" * 1_000_000})
    assert await bench.ids(ANN, "ruled") == ["a"]


MANY = [{"text": {"$not": {"$regex": f"(x|y){{1,200}}z{n}"}}} for n in range(200)]
GROUPED = [{"_id": one["text"]} for one in MANY]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("find", {"filter": {"$and": MANY}}),
        ("find", {"filter": {"$and": [{"_id": {"$gte": "a"}}, *MANY]}}),
        ("count", {"filter": {"$or": [{"$and": MANY}, {"n": 1}]}}),
        ("aggregate", {"pipeline": [{"$group": {"_id": "$text"}}, {"$match": {"$and": GROUPED}}]}),
    ],
)
def test_hundreds_of_searches_end_in_time(verb: str, body: dict[str, Any]) -> None:
    """Each fits in the time, all of them do not: a read ends at its limit, and off the loop."""

    async def run() -> None:
        settings = Settings(database=DatabaseSettings(read_timeout=1.0))
        store = SqliteStore.memory(settings.database)
        await store.open()
        try:
            bench = Bench(store, SystemClock(), settings)  # type: ignore[arg-type]
            await bench.load(RULES)
            # RE2 is slow from the second search on, when its automaton's memory is full.
            texts = [{"_id": id, "text": id + "x" * 30_000} for id in "abcd"]
            await bench.insert("texts", *texts)
            started = time.perf_counter()
            assert await longest_pause(timed_out(bench)) < 0.8
            assert time.perf_counter() - started < 4
        finally:
            await store.close()

    async def timed_out(bench: Bench) -> None:
        with refused(Code.QUERY_TIMEOUT):
            await bench.do(ANN, verb, "texts", **body)

    asyncio.run(run())
