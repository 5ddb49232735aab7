"""A gateway that died in the middle of a turn, and servers that cannot be worked with."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta

import msgspec
import pytest

from baas.engines.mongo import turns
from baas.engines.mongo.driver import Driver
from baas.engines.mongo.names import DOCUMENTS_TURN, HOLDERS, META
from baas.engines.mongo.store import MongoStore
from baas.errors import Code, ConfigurationError, Problem
from baas.ports.documents import resolve
from tests.support import mongo
from tests.support.stores import get, ids, put

pytestmark = pytest.mark.anyio


async def left_open(driver: Driver, seconds_ago: float):
    """A transaction that holds the turn, of a gateway that was last seen so long ago."""
    transactions = await driver.transactions()
    seen = await driver.server_time() - timedelta(seconds=seconds_ago)
    row = {"_id": "gone", "seen": seen, "sessions": [transactions.id]}
    await driver.insert(HOLDERS, [row])
    transactions.begin()
    turn = {"_id": DOCUMENTS_TURN}
    await driver.take(META, turn, {"$inc": {"turns": 1}}, session=transactions.session)
    return transactions


async def test_the_turn_of_a_dead_gateway_is_taken_from_it(store, driver, monkeypatch) -> None:
    monkeypatch.setattr(turns, "_STUCK", 0.1)
    await put(store, "p", {"_id": "a"})
    transactions = await left_open(driver, 60)
    await put(store, "p", {"_id": "b"})
    assert await ids(store, "p") == ["a", "b"]
    assert await driver.find_one(HOLDERS, {"_id": "gone"}) is None
    await transactions.close()


async def test_the_turn_of_one_that_lives_is_waited_for(
    store, driver, settings, monkeypatch
) -> None:
    monkeypatch.setattr(turns, "_STUCK", 0.05)
    impatient = MongoStore(msgspec.structs.replace(settings, mongo_patience=0.3))
    await impatient.open()
    transactions = await left_open(driver, 0)
    with pytest.raises(Problem) as caught:
        await put(impatient, "p", {"_id": "a"})
    assert caught.value.code is Code.UNAVAILABLE
    await transactions.close()
    await put(impatient, "p", {"_id": "a"})
    await impatient.close()


async def refusal(settings, **more) -> str:
    store = MongoStore(msgspec.structs.replace(settings, **more))
    with pytest.raises(ConfigurationError) as caught:
        await store.open()
    await store.close()
    return str(caught.value)


async def test_a_server_that_is_away_is_said_to_be_without_its_password(settings) -> None:
    url = "mongodb://me:hunter2@127.0.0.1:9/?replicaSet=rs0"
    text = await refusal(settings, mongo_url=url, mongo_timeout=0.3)
    assert "database.mongo_url" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("code", [13, 18])
async def test_a_server_that_lets_nobody_in_is_told_apart(settings, driver, code) -> None:
    await mongo.fail(driver, "find", code, [], 1)
    assert "refuses this user or password" in await refusal(settings)


@pytest.mark.parametrize("url", ["", "localhost", "mongodb://a:b:c@x/", "http://localhost"])
async def test_an_address_that_is_none_is_refused(settings, url) -> None:
    assert "database.mongo_url" in await refusal(settings, mongo_url=url, mongo_timeout=0.3)


@pytest.mark.parametrize(
    ("change", "word"), [({"setName": None}, "replica set"), ({"maxWireVersion": 9}, "older")]
)
async def test_a_server_that_will_not_do_is_refused_with_what_to_do(
    settings, monkeypatch, change, word
) -> None:
    asked = Driver.admin

    async def answer(self, name, value=1, **more):
        found = {**await asked(self, name, value, **more), **change}
        return {key: value for key, value in found.items() if value is not None}

    monkeypatch.setattr(Driver, "admin", answer)
    assert word in await refusal(settings)


async def test_a_database_of_a_newer_format_is_refused(store, driver, settings) -> None:
    await driver.update(META, {"_id": DOCUMENTS_TURN}, {"$set": {"format": 99}})
    assert "newer" in await refusal(settings)


async def test_a_store_that_is_closed_says_so(store) -> None:
    await store.close()
    with pytest.raises(Problem) as caught:
        await resolve(store.ping())
    assert caught.value.code is Code.UNAVAILABLE


async def test_while_the_server_is_silent_reads_say_so_and_writes_wait(settings) -> None:
    url, process = mongo.start()
    store = MongoStore(msgspec.structs.replace(settings, mongo_url=url))
    await store.open()
    await put(store, "p", {"_id": "a"})
    process.send_signal(signal.SIGSTOP)
    try:
        write = asyncio.ensure_future(put(store, "p", {"_id": "b"}))
        reads = (store.ping(), get(store, "p", "a"), ids(store, "p"), store.jobs.get("j"))
        found = await asyncio.gather(*map(resolve, reads), return_exceptions=True)
        assert [one.code for one in found] == [Code.UNAVAILABLE] * 4
        assert not write.done()
    finally:
        process.send_signal(signal.SIGCONT)
    await write
    assert await ids(store, "p") == ["a", "b"]
    await store.close()
