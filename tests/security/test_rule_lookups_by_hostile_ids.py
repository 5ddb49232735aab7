"""`get` and `exists` take part of their path from a document or a request: it names one document
of one collection, or nothing, and nothing allows nothing."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code, Problem
from tests.support.database import ANN, BOB, Bench, app

RULES = {
    "rooms": "acl: ADMINONLY\n",
    "keys": "acl: ADMINONLY\n",
    "messages": """
rules:
  read: auth.uid in get('database.rooms.' + doc.room).members
  create: auth.uid in get('database.rooms.' + newDoc.room).members
""",
}
HOSTILE: list[Any] = [
    *("", ".", "..", "/", "r1.members", "r1/", "../keys/k1", "x.r1", "r1 ", " r1"),
    *("r1' OR '1'='1", '{"$ne": null}', "$ne", "*", "%", "r_", "R1", "r1#", "database.rooms.r1"),
    *("_users", "../_users/ann", "keys.k1", "x" * 65, "r1\n", "{uid}", "é"),
    *(None, True, 0, 1.5, ["r1"], {"$ne": None}, {"_id": "r1"}, [], {}),
]


async def furnish(bench: Bench) -> None:
    await bench.insert("rooms", {"_id": "r1", "members": ["ann"]}, {"_id": "ann"})
    await bench.insert("keys", {"_id": "k1", "members": ["bob"]})


@app(RULES)
async def test_the_rule_works_for_a_plain_id(bench: Bench) -> None:
    await furnish(bench)
    await bench.do(ANN, "insert", "messages", document={"room": "r1"})
    assert len(await bench.ids(ANN, "messages")) == 1
    assert await bench.ids(BOB, "messages") == []


@app(RULES)
@pytest.mark.parametrize("room", HOSTILE, ids=ascii)
async def test_nothing_else_lets_anyone_write_or_read(bench: Bench, room: Any) -> None:
    await furnish(bench)
    for caller in (ANN, BOB):
        with pytest.raises(Problem) as caught:
            await bench.do(caller, "insert", "messages", document={"room": room})
        assert caught.value.code in (Code.PERMISSION_DENIED, Code.INVALID_ARGUMENT)
    if room != {"$ne": None}:  # not a value that anyone can store
        await bench.insert("messages", {"_id": "m", "room": room})
    for caller in (ANN, BOB):
        assert await bench.ids(caller, "messages") == []
