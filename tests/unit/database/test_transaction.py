"""transaction: together or not at all, each operation after the ones before it."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code
from tests.support.database import ANN, BOB, Bench, app, refused

ROOMS = {
    "rooms": "rules: {read: 'true', create: auth != null, update: 'true'}\n",
    "messages": """
rules:
  read: auth.uid in get('database.rooms.' + doc.room).members
  create: auth.uid in get('database.rooms.' + newDoc.room).members
""",
    "notices": """
rules:
  read: auth.uid in get('database.rooms.main').members
  create: auth.uid in get('database.rooms.main').members
  update: auth.uid in get('database.rooms.main').members
""",
}


def op(verb: str, collection: str = "posts", **body: Any) -> dict[str, Any]:
    return {"verb": verb, "collection": collection, **body}


def post(id: str, **fields: Any) -> dict[str, Any]:
    return op("insert", document={"_id": id, "title": "x", **fields})


@app()
async def test_each_operation_sees_the_earlier_ones(bench: Bench) -> None:
    results = await bench.transaction(
        ANN,
        post("a"),
        post("b", published=True),
        op("update", filter={}, multi=True, update={"$inc": {"score": 1}}),
        op("find", filter={"score": 1}, count=True, fields={"score": 1}),
        op("delete", id="a"),
        op("replace", id="b", document={"title": "new"}),
        op("get", id="b", fields={"title": 1}),
    )
    assert results == [
        {"ids": ["a"]},
        {"ids": ["b"]},
        {"matched": 2, "modified": 2, "upsertedId": None},
        {
            "documents": [{"_id": "a", "score": 1}, {"_id": "b", "score": 1}],
            "next": None,
            "total": 2,
        },
        {"deleted": 1},
        {"matched": 1, "modified": 1, "upsertedId": None},
        {"_id": "b", "title": "new"},
    ]
    assert list(await bench.stored("posts")) == ["b"]


@app()
@pytest.mark.parametrize(
    ("last", "code"),
    [
        (post("a"), Code.CONFLICT),
        (post("c", slug="s"), Code.CONFLICT),
        (post("c", title=""), Code.VALIDATION_FAILED),
        (op("get", id="nowhere"), Code.NOT_FOUND),
        (op("get", "nowhere", id="a"), Code.PERMISSION_DENIED),
        (op("update", id="zz", update={"$set": {"title": "x"}}), Code.NOT_FOUND),
        (op("update", id="a", update={"$inc": {"title": 1}}), Code.INVALID_ARGUMENT),
        (op("find", filter={"$where": "1"}), Code.INVALID_ARGUMENT),
        (op("find", "_users"), Code.PERMISSION_DENIED),
    ],
)
async def test_a_failure_names_its_operation_and_undoes_all(
    bench: Bench, last: dict[str, Any], code: Code
) -> None:
    with refused(code) as caught:
        await bench.transaction(ANN, post("a", slug="s"), op("find"), last)
    assert caught.problem.operation == 2
    assert await bench.stored("posts") == {}


@app()
async def test_paths_of_faults_are_those_of_the_whole_body(bench: Bench) -> None:
    with refused(Code.VALIDATION_FAILED) as caught:
        await bench.transaction(ANN, post("a"), post("b", title=""))
    assert caught.paths == ["operations.1.document.title"]
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.transaction(ANN, post("a"), op("find", sort={"a": 5}))
    assert caught.paths == ["operations.1.sort"]


@app(transaction_operations=3)
async def test_the_number_of_operations_is_limited(bench: Bench) -> None:
    with refused(Code.LIMIT_EXCEEDED):
        await bench.transaction(ANN, *[post(f"p{i}") for i in range(4)])
    with refused(Code.INVALID_ARGUMENT):
        await bench.transaction(ANN)


@app()
async def test_answers_are_masked_and_ruled(bench: Bench) -> None:
    await bench.insert(
        "posts",
        {"_id": "a", "title": "x", "published": True, "phone": "1", "_openid": "ann"},
        {"_id": "b", "title": "x", "_openid": "ann"},
    )
    find, get = await bench.transaction(BOB, op("find"), op("get", id="a"))
    assert [one["_id"] for one in find["documents"]] == ["a"]
    assert "phone" not in find["documents"][0]
    assert "phone" not in get
    with refused(Code.NOT_FOUND):
        await bench.transaction(BOB, op("get", id="b"))
    with refused(Code.PERMISSION_DENIED):
        await bench.transaction(BOB, op("find", filter={"phone": "1"}))


@app()
async def test_pages_go_on_inside_a_transaction(bench: Bench) -> None:
    await bench.insert("posts", *[{"_id": f"p{i}", "title": "x"} for i in range(3)], actor=ANN)
    (first,) = await bench.transaction(ANN, op("find", limit=2))
    (second,) = await bench.transaction(ANN, op("find", limit=2, after=first["next"]))
    assert [one["_id"] for one in second["documents"]] == ["p2"]


# -- expectations ---------------------------------------------------------------------------------


@app()
async def test_an_expected_tag_must_still_hold(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x", "_openid": "ann"})
    expect = {
        "collection": "posts",
        "id": "a",
        "etag": (await bench.tagged(ANN, "posts", "a")).etag,
    }
    change = op("update", id="a", update={"$set": {"title": "y"}})
    weak = {**expect, "etag": f"W/{expect['etag']}"}
    await bench.transaction(ANN, op("get", id="a"), expect=[weak])
    await bench.transaction(ANN, change, expect=[expect])
    with refused(Code.TRANSACTION_CONFLICT) as caught:
        await bench.transaction(ANN, change, expect=[expect])
    assert caught.problem.operation is None


@app()
async def test_null_expects_that_there_is_nothing_to_see(bench: Bench) -> None:
    absent = [{"collection": "posts", "id": "a", "etag": None}]
    await bench.transaction(ANN, post("a"), expect=absent)
    with refused(Code.TRANSACTION_CONFLICT):
        await bench.transaction(ANN, op("find"), expect=absent)
    await bench.transaction(BOB, op("find"), expect=absent)


@app()
async def test_a_change_of_what_is_hidden_keeps_the_tag(bench: Bench) -> None:
    document = {"_id": "a", "title": "x", "published": True, "phone": "1", "_openid": "ann"}
    await bench.insert("posts", document)
    tags = {actor.uid: (await bench.tagged(actor, "posts", "a")).etag for actor in (ANN, BOB)}
    with refused(Code.TRANSACTION_CONFLICT):
        await bench.transaction(
            BOB, op("find"), expect=[{"collection": "posts", "id": "a", "etag": tags["ann"]}]
        )


# -- rules that look up other documents -----------------------------------------------------------


@app(ROOMS)
async def test_rules_see_what_earlier_operations_wrote(bench: Bench) -> None:
    room = op("insert", "rooms", document={"_id": "main", "members": ["ann"]})
    message = op("insert", "messages", document={"_id": "m", "room": "main"})
    notice = op("insert", "notices", document={"_id": "n"})
    with refused(Code.PERMISSION_DENIED) as caught:
        await bench.transaction(ANN, notice, room)
    assert caught.problem.operation == 0
    with refused(Code.PERMISSION_DENIED) as caught:
        await bench.transaction(BOB, room, message)
    assert caught.problem.operation == 1
    results = await bench.transaction(
        ANN,
        room,
        message,
        notice,
        op("find", "messages", fields={"room": 1}),
        op("find", "notices", fields={"_id": 1}),
        op("update", "notices", filter={}, multi=True, update={"$set": {"n": 1}}),
        op("update", "rooms", id="main", update={"$set": {"members": ["bob"]}}),
        op("find", "messages"),
    )
    assert results[3]["documents"] == [{"_id": "m", "room": "main"}]
    assert results[4]["documents"] == [{"_id": "n"}]
    assert results[5]["matched"] == 1
    assert results[7]["documents"] == []


@app(ROOMS)
async def test_losing_a_right_half_way_undoes_all(bench: Bench) -> None:
    await bench.insert("rooms", {"_id": "main", "members": ["ann"]})
    leave = op("update", "rooms", id="main", update={"$set": {"members": []}})
    notice = op("insert", "notices", document={"_id": "n"})
    with refused(Code.PERMISSION_DENIED) as caught:
        await bench.transaction(ANN, leave, op("find", "rooms"), op("find", "notices"))
    assert caught.problem.operation == 2
    with refused(Code.PERMISSION_DENIED):
        await bench.transaction(ANN, leave, notice)
    await bench.transaction(ANN, notice, leave)
    assert (await bench.stored("rooms"))["main"]["members"] == []


@app(ROOMS)
async def test_reads_look_up_in_their_own_moment(bench: Bench) -> None:
    await bench.insert("rooms", {"_id": "main", "members": ["ann"]})
    await bench.insert("messages", {"_id": "m", "room": "main"}, {"_id": "o", "room": "other"})
    await bench.insert("notices", {"_id": "n"})
    assert await bench.ids(ANN, "notices") == ["n"]
    assert await bench.ids(ANN, "messages") == ["m"]
    assert await bench.do(ANN, "count", "messages") == {"total": 1}
    assert (await bench.do(ANN, "get", "messages", id="m"))["room"] == "main"
    with refused(Code.NOT_FOUND):
        await bench.do(ANN, "get", "messages", id="o")
    assert await bench.ids(BOB, "messages") == []
    with refused(Code.PERMISSION_DENIED):
        await bench.ids(BOB, "notices")
