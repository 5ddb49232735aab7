"""insert: server fields, defaults, schema, rules, and all or nothing."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code
from baas.ids import is_id
from baas.schema.values import date_from_ms
from tests.support.database import ANN, BOB, NOBODY, POSTS, SERVER, Bench, app, refused


@app()
async def test_a_stored_document_has_the_servers_fields_around_the_clients(bench: Bench) -> None:
    now = date_from_ms(bench.clock.now_ms())
    answer = await bench.do(ANN, "insert", "posts", document={"title": "x", "score": 1})
    (id,) = answer["ids"]
    assert is_id(id)
    (stored,) = (await bench.stored("posts")).values()
    assert list(stored.items()) == [
        ("_id", id),
        ("title", "x"),
        ("score", 1),
        ("published", False),
        ("_openid", "ann"),
        ("_createTime", now),
        ("_updateTime", now),
    ]


@app()
async def test_ids_may_be_the_clients_and_stand_first(bench: Bench) -> None:
    answer = await bench.do(ANN, "insert", "posts", document={"title": "x", "_id": "mine"})
    assert answer == {"ids": ["mine"]}
    assert next(iter((await bench.stored("posts"))["mine"])) == "_id"


@app()
@pytest.mark.parametrize("id", ["", "a b", "a" * 65, 5, None, {"$ne": 1}, ["a"]])
async def test_an_impossible_id_is_refused(bench: Bench, id: Any) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.do(ANN, "insert", "posts", document={"_id": id, "title": "x"})
    assert caught.paths == ["document._id"]


@app()
async def test_return_gives_the_documents_as_the_caller_may_read_them(bench: Bench) -> None:
    answer = await bench.do(
        ANN, "insert", "posts", documents=[{"title": "x"}, {"title": "y"}], **{"return": True}
    )
    assert [one["title"] for one in answer["documents"]] == ["x", "y"]
    assert [one["_id"] for one in answer["documents"]] == answer["ids"]


@app({"box": "rules: {create: 'true', read: auth != null}\n"})
async def test_return_leaves_out_what_the_caller_may_not_read(bench: Bench) -> None:
    back = {"return": True}
    answer = await bench.do(NOBODY, "insert", "box", document={"a": 1}, **back)
    assert answer["documents"] == []
    assert len((await bench.do(ANN, "insert", "box", document={"a": 1}, **back))["documents"]) == 1


@app()
async def test_one_bad_document_keeps_out_all(bench: Bench) -> None:
    with refused(Code.VALIDATION_FAILED) as caught:
        await bench.do(ANN, "insert", "posts", documents=[{"title": "x"}, {"title": ""}])
    assert caught.paths == ["documents.1.title"]
    await bench.insert("posts", {"_id": "a", "title": "x"})
    with refused(Code.CONFLICT):
        await bench.do(
            ANN, "insert", "posts", documents=[{"title": "x"}, {"_id": "a", "title": "x"}]
        )
    assert list(await bench.stored("posts")) == ["a"]


@app(insert_max=2, document_bytes=300)
async def test_number_and_size_have_limits(bench: Bench) -> None:
    with refused(Code.LIMIT_EXCEEDED):
        await bench.do(ANN, "insert", "posts", documents=[{"title": "x"}] * 3)
    with refused(Code.LIMIT_EXCEEDED) as caught:
        await bench.do(ANN, "insert", "posts", document={"title": "x", "text": "a" * 300})
    assert caught.paths == ["document"]
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(ANN, "insert", "posts", documents=[])


@app()
@pytest.mark.parametrize("body", [{}, {"document": {"title": "x"}, "documents": []}])
async def test_exactly_one_of_document_and_documents_is_needed(
    bench: Bench, body: dict[str, Any]
) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.do(ANN, "insert", "posts", **body)
    assert caught.paths == ["document", "documents"]


@app()
async def test_strangers_are_refused_by_the_rule_before_the_schema(bench: Bench) -> None:
    with refused(Code.PERMISSION_DENIED):
        await bench.do(NOBODY, "insert", "posts", document={"title": 5})


@app({"box": "rules: {create: newDoc.n == 1}\nschema: {properties: {n: {default: 1}}}\n"})
async def test_the_rule_sees_defaults(bench: Bench) -> None:
    await bench.do(ANN, "insert", "box", document={})
    with refused(Code.PERMISSION_DENIED):
        await bench.do(ANN, "insert", "box", document={"n": 2})


@app({"box": "rules: {create: request.data.n == 1 && newDoc._openid == auth.uid}\n"})
async def test_the_rule_sees_what_was_sent_and_the_server_fields(bench: Bench) -> None:
    await bench.do(ANN, "insert", "box", document={"n": 1})
    with refused(Code.PERMISSION_DENIED):
        await bench.do(ANN, "insert", "box", document={"n": 2})


@app()
async def test_a_taken_unique_key_is_a_conflict_that_names_it(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x", "slug": "s"})
    with refused(Code.CONFLICT, "slug"):
        await bench.do(ANN, "insert", "posts", document={"title": "x", "slug": "s"})
    await bench.do(ANN, "insert", "posts", document={"title": "x"})
    await bench.do(ANN, "insert", "posts", document={"title": "x"})


@app({"posts": POSTS.replace("fields: [slug]", "fields: [phone]")})
async def test_a_conflict_over_a_hidden_field_is_bare(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x", "phone": "5"})
    with refused(Code.CONFLICT) as caught:
        await bench.do(BOB, "insert", "posts", document={"title": "x", "phone": "5"})
    assert "phone" not in caught.problem.detail


@app()
async def test_a_field_that_may_not_be_written_refuses_the_insert(bench: Bench) -> None:
    rules = POSTS.replace("write: mine", "write: \"'moderator' in auth.roles\"")
    await bench.load({"posts": rules})
    with refused(Code.PERMISSION_DENIED, "phone"):
        await bench.do(ANN, "insert", "posts", document={"title": "x", "phone": "1"})
    await bench.do(ANN, "insert", "posts", document={"title": "x"})


@app()
async def test_trusted_callers_may_set_owner_and_creation_time(bench: Bench) -> None:
    then = date_from_ms(0)
    document = {"_id": "a", "title": "x", "_openid": "bob", "_createTime": then}
    await bench.do(SERVER, "insert", "posts", document=document)
    stored = (await bench.stored("posts"))["a"]
    assert (stored["_openid"], stored["_createTime"]) == ("bob", then)
    assert stored["_updateTime"] == date_from_ms(bench.clock.now_ms())
    await bench.do(SERVER, "insert", "posts", document={"_id": "b", "title": "x"})
    assert "_openid" not in (await bench.stored("posts"))["b"]


@app()
@pytest.mark.parametrize(
    "fields", [{"_openid": 5}, {"_openid": ""}, {"_openid": None}, {"_createTime": "2026"}]
)
async def test_trusted_callers_are_held_to_the_types(bench: Bench, fields: dict[str, Any]) -> None:
    with refused(Code.INVALID_ARGUMENT):
        await bench.do(SERVER, "insert", "posts", document={"title": "x", **fields})
    await bench.do(SERVER, "insert", "posts", document={"_id": "a", "title": "x"})
    if "_openid" in fields:
        with refused(Code.INVALID_ARGUMENT):
            await bench.do(SERVER, "update", "posts", id="a", update={"$set": fields})


@app()
async def test_trusted_callers_are_held_to_the_schema(bench: Bench) -> None:
    with refused(Code.VALIDATION_FAILED):
        await bench.do(SERVER, "insert", "posts", document={"title": ""})


@app({})
async def test_trusted_callers_may_use_a_collection_that_no_file_names(bench: Bench) -> None:
    await bench.do(SERVER, "insert", "fresh", document={"_id": "a"})
    assert await bench.ids(SERVER, "fresh") == ["a"]
