"""What is kept of invocations: enough to see what happened, little enough to be cheap."""

from __future__ import annotations

import asyncio

from baas.functions.records import (
    FAILURES,
    INVOCATIONS,
    MAX_LINES,
    MAX_PLAIN,
    RECORD_COLLECTIONS,
)
from baas.observe.metrics import Metrics
from baas.schema.values import date_to_ms
from tests.support.database import ANN
from tests.support.invoking import Shop, shop

SOURCE = """
@fn.event()
async def quiet(ctx, event):
    return 1

@fn.event()
async def talks(ctx, event):
    ctx.log("paid", order="o1", password="hunter2-long")
    ctx.log.error("key is v4lue-of-key, Bearer abc.def")

@fn.event()
async def chatter(ctx, event):
    for number in range(500):
        ctx.log.debug("line", n=number)

@fn.event()
async def fails(ctx, event):
    raise ValueError("x")
"""


@shop(SOURCE)
async def test_a_record_says_what_happened(shop: Shop) -> None:
    shop.secrets.set(KEY="v4lue-of-key")
    await shop.call("talks", actor=ANN, request_id="r-1", depth=2)
    (record,) = await shop.records()
    version = shop.functions.registry.releases()[0].hash
    assert {
        name: record[name]
        for name in ("function", "version", "requestId", "trigger", "mode", "uid", "depth")
    } == {
        "function": "talks",
        "version": version,
        "requestId": "r-1",
        "trigger": "event",
        "mode": "sync",
        "uid": "ann",
        "depth": 2,
    }
    assert record["result"] == "ok"
    assert record["ms"] >= record["phases"]["invoke"] > 0
    first, second = record["logs"]
    assert first["fields"] == {"order": "o1", "password": "[redacted]"}
    assert second["level"] == "error"
    assert second["message"] == "key is [redacted], Bearer [redacted]"


@shop(SOURCE)
async def test_sync_calls_write_nothing_themselves(shop: Shop) -> None:
    await asyncio.gather(*(shop.call("quiet") for _ in range(20)))
    assert await shop.stored(INVOCATIONS) == {}
    assert len(await shop.records()) == 20


@shop(SOURCE)
async def test_of_many_plain_calls_some_are_recorded_and_all_counted(shop: Shop) -> None:
    for _ in range(MAX_PLAIN + 50):
        await shop.call("quiet")
    await shop.problem("fails")
    await shop.call("quiet", mode="async", invocation_id="i1", attempt=2)
    records = await shop.records()
    assert len(records) == MAX_PLAIN + 2
    assert shop.functions.records.totals["quiet", "ok"] == MAX_PLAIN + 51
    (attempt,) = [one for one in records if one["mode"] == "async"]
    assert (attempt["invocation"], attempt["attempt"]) == ("i1", 2)


@shop(SOURCE)
async def test_metrics_count_calls_by_how_they_ended(shop: Shop) -> None:
    metrics = Metrics("1")
    shop.functions.measure(metrics)
    await shop.call("quiet")
    await shop.problem("fails")
    text = metrics.render().decode()
    assert 'baas_function_calls_total{function="fails",result="failed"} 1' in text
    assert 'baas_function_calls_total{function="quiet",result="ok"} 1' in text
    assert "baas_function_workers 0" in text


@shop(SOURCE)
async def test_lines_are_capped_and_the_record_says_so(shop: Shop) -> None:
    await shop.call("chatter")
    (record,) = await shop.records()
    assert len(record["logs"]) == MAX_LINES + 1
    assert record["logs"][-1]["message"] == f"{500 - MAX_LINES} more lines"


@shop(SOURCE)
async def test_records_and_captures_forget_after_a_week(shop: Shop) -> None:
    await shop.problem("fails")
    (record,), (failure,) = await shop.records(), await shop.failures()
    assert record["invocation"] == failure["invocation"]
    for document in (record, failure):
        life = date_to_ms(document["expires"]) - date_to_ms(document["time"])
        assert life == 7 * 86_400_000
    for name in (INVOCATIONS, FAILURES):
        assert RECORD_COLLECTIONS[name].ttl == ("expires",)


@shop(SOURCE)
async def test_a_store_that_refuses_loses_records_and_no_call(shop: Shop) -> None:
    await shop.store.close()
    assert await shop.call("quiet") == 1
    await shop.functions.records.flush()
    assert await shop.call("quiet") == 1


@shop(SOURCE)
async def test_stopping_writes_the_last_ones(shop: Shop) -> None:
    await shop.call("quiet")
    await shop.functions.stop()
    assert len(await shop.stored(INVOCATIONS)) == 1
