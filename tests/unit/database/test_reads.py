"""find, get and count: pages, projections, totals, masks, tags."""

from __future__ import annotations

from typing import Any

import pytest

from baas.errors import Code
from tests.support.database import ANN, BOB, NOBODY, SERVER, Bench, app, refused

OPEN = {"notes": "acl: READONLY\nindexes:\n  - fields: [n]\n"}
REJECT = {
    "notes": "rules: {read: doc._openid == auth.uid, update: doc._openid == auth.uid}\n"
    "mode: reject\n"
}


async def some(bench: Bench, count: int = 7) -> None:
    await bench.insert("notes", *[{"_id": f"n{i}", "n": i % 3} for i in range(count)])


# -- find ------------------------------------------------------------------------------------------


@app(OPEN)
async def test_an_answer_is_documents_and_next(bench: Bench) -> None:
    assert await bench.do(NOBODY, "find", "notes") == {"documents": [], "next": None}


@app(OPEN)
async def test_without_sort_documents_come_by_id(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "b"}, {"_id": "a"}, {"_id": "C"})
    assert await bench.ids(NOBODY, "notes") == ["C", "a", "b"]


@app(OPEN)
async def test_pages_follow_each_other_without_gap_or_repeat(bench: Bench) -> None:
    await some(bench)
    body: dict[str, Any] = {"sort": {"n": -1}, "limit": 2}
    pages = []
    while True:
        answer = await bench.do(NOBODY, "find", "notes", **body)
        pages.append([one["_id"] for one in answer["documents"]])
        if answer["next"] is None:
            break
        body["after"] = answer["next"]
    assert pages == [["n2", "n5"], ["n1", "n4"], ["n0", "n3"], ["n6"]]


@app(OPEN)
async def test_a_full_last_page_has_no_next(bench: Bench) -> None:
    await some(bench, 4)
    answer = await bench.do(NOBODY, "find", "notes", limit=4)
    assert len(answer["documents"]) == 4
    assert answer["next"] is None


@app(OPEN)
async def test_a_page_is_not_disturbed_by_writes_before_it(bench: Bench) -> None:
    await some(bench, 4)
    first = await bench.do(NOBODY, "find", "notes", limit=2)
    await bench.do(SERVER, "delete", "notes", id="n0")
    await bench.do(SERVER, "delete", "notes", id="n1")
    rest = await bench.ids(NOBODY, "notes", limit=2, after=first["next"])
    assert rest == ["n2", "n3"]


@app(OPEN)
async def test_the_cursor_of_one_page_is_the_same_each_time(bench: Bench) -> None:
    await some(bench)
    one = await bench.do(NOBODY, "find", "notes", limit=2)
    assert await bench.do(NOBODY, "find", "notes", limit=2) == one


@app(OPEN)
async def test_skip_passes_over_documents_but_not_with_a_cursor(bench: Bench) -> None:
    await some(bench)
    answer = await bench.do(NOBODY, "find", "notes", skip=5, limit=1)
    assert [one["_id"] for one in answer["documents"]] == ["n5"]
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.do(NOBODY, "find", "notes", skip=1, after=answer["next"])
    assert caught.paths == ["skip"]


@app(OPEN, find_default=3, find_max=5)
async def test_limit_has_a_default_and_a_greatest_value(bench: Bench) -> None:
    await some(bench)
    assert len(await bench.ids(NOBODY, "notes")) == 3
    assert len(await bench.ids(NOBODY, "notes", limit=5)) == 5
    with refused(Code.LIMIT_EXCEEDED, "at most 5"):
        await bench.ids(NOBODY, "notes", limit=6)


@app(OPEN)
async def test_total_counts_all_pages(bench: Bench) -> None:
    await some(bench)
    page = await bench.do(NOBODY, "find", "notes", filter={"n": 0}, limit=1, count=True)
    assert (len(page["documents"]), page["total"]) == (1, 3)
    second = await bench.do(
        NOBODY, "find", "notes", filter={"n": 0}, limit=1, count=True, after=page["next"]
    )
    assert second["total"] == 3
    nothing = await bench.do(NOBODY, "find", "notes", limit=0, count=True)
    assert nothing == {"documents": [], "next": None, "total": 7}


@app(OPEN)
async def test_fields_include_or_leave_out(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "a", "n": 1, "o": {"p": 1, "q": 2}})
    find = bench.do

    async def one(**fields: int) -> Any:
        names = {name.replace("__", "."): value for name, value in fields.items()}
        return (await find(NOBODY, "find", "notes", fields=names))["documents"][0]

    assert await one(n=1) == {"_id": "a", "n": 1}
    assert await one(o__p=1, _id=0) == {"o": {"p": 1}}
    left = await one(o=0, _createTime=0, _updateTime=0)
    assert left == {"_id": "a", "n": 1}


@app(OPEN)
async def test_documents_are_sent_as_they_are_stored(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "a", "z": 1.0, "a": -0.0, "s": "中\u2028"})
    stored = [body async for body in bench.store.scan("notes")]
    answer = await bench.raw(NOBODY, "find", "notes", {})
    assert answer == b'{"documents":[%b],"next":null}' % stored[0]
    assert b'"z":1,"a":0' in stored[0]


@app()
async def test_hidden_documents_are_not_there(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x"}, actor=ANN)
    await bench.insert("posts", {"_id": "b", "title": "x", "published": True}, actor=ANN)
    assert await bench.ids(ANN, "posts") == ["a", "b"]
    assert await bench.ids(BOB, "posts") == ["b"]
    assert await bench.ids(NOBODY, "posts") == ["b"]


@app()
async def test_masked_fields_are_left_out_for_others(bench: Bench) -> None:
    await bench.insert(
        "posts", {"_id": "a", "title": "x", "published": True, "phone": "1"}, actor=ANN
    )
    assert (await bench.do(ANN, "find", "posts"))["documents"][0]["phone"] == "1"
    assert "phone" not in (await bench.do(BOB, "find", "posts"))["documents"][0]
    assert await bench.do(BOB, "get", "posts", id="a", fields={"phone": 1}) == {"_id": "a"}


@app({})
async def test_a_collection_that_no_file_names_is_refused(bench: Bench) -> None:
    for actor in (NOBODY, ANN):
        with refused(Code.PERMISSION_DENIED):
            await bench.do(actor, "find", "anything")


@app({"notes": "rules: {read: 'false'}\n"})
async def test_a_rule_that_is_false_refuses(bench: Bench) -> None:
    for verb, body in (("find", {}), ("count", {}), ("get", {"id": "a"})):
        with refused(Code.PERMISSION_DENIED):
            await bench.do(ANN, verb, "notes", **body)


@app(REJECT)
async def test_in_mode_reject_the_query_must_ask_for_the_rule(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "a", "_openid": "ann"}, {"_id": "b", "_openid": "bob"})
    with refused(Code.PERMISSION_DENIED, "_openid"):
        await bench.do(ANN, "find", "notes")
    assert await bench.ids(ANN, "notes", filter={"_openid": "{openid}"}) == ["a"]
    assert await bench.do(ANN, "count", "notes", filter={"_openid": "ann"}) == {"total": 1}


@app(REJECT)
async def test_in_mode_reject_get_is_decided_on_the_document(bench: Bench) -> None:
    await bench.insert("notes", {"_id": "a", "_openid": "ann"}, {"_id": "b", "_openid": "bob"})
    assert (await bench.do(ANN, "get", "notes", id="a"))["_id"] == "a"
    with refused(Code.NOT_FOUND):
        await bench.do(ANN, "get", "notes", id="b")
    answer = await bench.do(ANN, "update", "notes", id="a", update={"$set": {"x": 1}})
    assert answer["matched"] == 1


# -- get -------------------------------------------------------------------------------------------


@app()
async def test_hidden_and_absent_are_alike(bench: Bench) -> None:
    await bench.insert("posts", {"_id": "a", "title": "x"}, actor=ANN)
    details = set()
    for id in ("a", "zz"):
        with refused(Code.NOT_FOUND) as caught:
            await bench.do(BOB, "get", "posts", id=id)
        details.add(caught.problem.detail)
    assert len(details) == 1


@app(OPEN)
@pytest.mark.parametrize("id", ["", "a" * 65, "a b", "a/b", "é", "a\n", "$where"])
async def test_an_id_that_none_can_be_is_refused(bench: Bench, id: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        await bench.do(NOBODY, "get", "notes", id=id)
    assert caught.paths == ["id"]


@app()
async def test_the_tag_is_of_what_the_caller_sees(bench: Bench) -> None:
    document = {"_id": "a", "title": "x", "published": True, "phone": "1"}
    await bench.insert("posts", document, actor=ANN)
    mine, others = await bench.tagged(ANN, "posts", "a"), await bench.tagged(BOB, "posts", "a")
    assert mine.etag != others.etag
    raw = await bench.raw(BOB, "get", "posts", {"id": "a"})
    assert others.body == raw
    again = await bench.tagged(BOB, "posts", "a")
    assert again == others


# -- count -----------------------------------------------------------------------------------------


@app(OPEN)
async def test_a_count_is_exact(bench: Bench) -> None:
    await some(bench)
    assert await bench.do(NOBODY, "count", "notes") == {"total": 7}
    assert await bench.do(NOBODY, "count", "notes", filter={"n": {"$gt": 0}}) == {"total": 4}


@app({"notes": "rules: {read: 'true', count: auth != null}\n"})
async def test_a_rule_of_its_own_binds_totals_too(bench: Bench) -> None:
    assert await bench.do(ANN, "count", "notes") == {"total": 0}
    await bench.do(NOBODY, "find", "notes")
    with refused(Code.PERMISSION_DENIED):
        await bench.do(NOBODY, "count", "notes")
    with refused(Code.PERMISSION_DENIED):
        await bench.do(NOBODY, "find", "notes", count=True)
