"""Writes under rules that look up a document which changes at that very moment."""

from __future__ import annotations

import asyncio
from typing import Any

from baas.errors import Code, Problem
from baas.ports.documents import resolve
from tests.support.database import ANN, IP, SERVER, Bench, app

ROOM = """
rules:
  read: auth.uid in get('database.rooms.main').members
  create: auth.uid in get('database.rooms.main').members
  update: auth.uid in get('database.rooms.main').members
  delete: auth.uid in get('database.rooms.main').members
"""
RULES = {"rooms": "acl: ADMINONLY\n", "notes": ROOM}


async def outcome(work: Any) -> Code | None:
    try:
        await work
    except Problem as problem:
        return problem.code
    return None


@app(RULES)
async def test_no_write_is_let_through_by_what_was_true_before(bench: Bench) -> None:
    """Ann loses her membership in the group of writes in which she writes: every write that comes
    after it is refused, however early its rule was first looked at."""
    await bench.insert("rooms", {"_id": "main", "members": ["ann"]})
    await bench.insert("notes", {"_id": "n", "v": 0})
    writes: list[tuple[str, bytes]] = [
        ("insert", b'{"document":{"v":1}}'),
        ("update", b'{"id":"n","update":{"$inc":{"v":1}}}'),
        ("update", b'{"filter":{},"multi":true,"update":{"$inc":{"v":1}}}'),
        ("replace", b'{"id":"n","document":{"v":9}}'),
        ("delete", b'{"filter":{},"multi":true}'),
    ]

    def start(actor: Any, verb: str, collection: str, body: bytes) -> asyncio.Future[Any]:
        answer = bench.service.handle(verb, collection, body, actor, IP)
        return asyncio.ensure_future(outcome(resolve(answer)))

    expel = b'{"id":"main","update":{"$set":{"members":[]}}}'
    removal = start(SERVER, "update", "rooms", expel)
    attempts = [start(ANN, verb, "notes", body) for verb, body in writes]
    assert await removal is None
    assert await asyncio.gather(*attempts) == [Code.PERMISSION_DENIED] * len(writes)
    stored = await bench.stored("notes")
    assert list(stored) == ["n"]
    assert stored["n"]["v"] == 0


@app(RULES)
async def test_a_right_that_is_given_holds_for_the_next_write(bench: Bench) -> None:
    await bench.insert("rooms", {"_id": "main", "members": []})
    insert = bench.do(ANN, "insert", "notes", document={"v": 1})
    assert await outcome(insert) is Code.PERMISSION_DENIED
    join = {"$push": {"members": "ann"}}
    await bench.do(SERVER, "update", "rooms", id="main", update=join)
    assert await outcome(bench.do(ANN, "insert", "notes", document={"v": 1})) is None
