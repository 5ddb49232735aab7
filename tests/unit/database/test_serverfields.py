"""`_updateTime` under many writes of one document."""

from __future__ import annotations

from baas.database.serverfields import MAX_AHEAD_MS
from baas.schema.values import date_to_ms
from tests.support.database import SERVER, Bench, app


@app({"box": "acl: READONLY\n"})
async def test_time_runs_ahead_of_the_clock_but_not_far(bench: Bench) -> None:
    await bench.insert("box", {"_id": "a", "n": 0})
    start = bench.clock.now_ms()
    times = []
    for _ in range(MAX_AHEAD_MS // 50):
        operation = {
            "verb": "update",
            "collection": "box",
            "id": "a",
            "update": {"$inc": {"n": 1}},
        }
        await bench.transaction(SERVER, *[operation] * 60)
        times.append(date_to_ms((await bench.stored("box"))["a"]["_updateTime"]))
    assert times == sorted(times)
    assert times[0] == start + 60
    assert times[-1] == start + MAX_AHEAD_MS
    bench.clock.advance(10)
    await bench.do(SERVER, "update", "box", id="a", update={"$inc": {"n": 1}})
    assert date_to_ms((await bench.stored("box"))["a"]["_updateTime"]) == bench.clock.now_ms()
