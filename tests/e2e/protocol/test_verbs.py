"""The protocol's table of verbs, sentence by sentence, as a stranger with curl reads it."""

from __future__ import annotations

from tests.support.outside import ABSENT, CONFLICT, INVALID, LIMIT, Caller, fresh, ok, refusal


def test_find_answers_documents_and_next_and_a_total_if_asked(ann: Caller) -> None:
    kind = fresh()
    ann.put("open", *({"k": kind, "n": n} for n in range(3)))

    plain = ann.do("open", "find", filter={"k": kind})
    page = ann.do("open", "find", filter={"k": kind}, sort={"n": -1}, limit=2, count=True)
    rest = ann.do("open", "find", filter={"k": kind}, sort={"n": -1}, limit=2, after=page["next"])

    assert plain.keys() == {"documents", "next"}
    assert plain["next"] is None
    assert page.keys() == {"documents", "next", "total"}
    assert page["total"] == 3
    assert [one["n"] for one in page["documents"] + rest["documents"]] == [2, 1, 0]
    assert rest["next"] is None
    assert len(ann.ids("open", filter={"k": kind}, skip=1)) == 2


def test_get_answers_the_document_or_404(ann: Caller) -> None:
    [id] = ann.put("open", {"a": 1, "b": 2})

    whole = ann.do("open", "get", id=id)

    assert whole.keys() == {"_id", "a", "b", "_openid", "_createTime", "_updateTime"}
    assert ann.do("open", "get", id=id, fields={"a": 1}) == {"_id": id, "a": 1}
    assert ann.refused("open", "get", id="nowhere") == ABSENT


def test_get_is_also_a_get_with_an_etag(ann: Caller) -> None:
    [id] = ann.put("open", {"a": 1})
    path, bearer = f"/v1/database/open/documents/{id}", {"authorization": f"Bearer {ann.token}"}

    answer = ann.gateway.client.get(path, headers=bearer)
    known = {**bearer, "if-none-match": answer.headers["etag"]}
    again = ann.gateway.client.get(path, headers=known)

    assert ok(answer) == ann.do("open", "get", id=id)
    assert again.status_code == 304
    absent = ann.gateway.client.get("/v1/database/open/documents/nowhere", headers=bearer)
    assert refusal(absent) == ABSENT


def test_count_answers_the_total(ann: Caller) -> None:
    kind = fresh()
    ann.put("open", {"k": kind}, {"k": kind})
    assert ann.do("open", "count", filter={"k": kind}) == {"total": 2}
    assert ann.do("open", "count")["total"] >= 2


def test_insert_takes_one_or_many_all_or_nothing(ann: Caller) -> None:
    one, two = fresh(), fresh()
    assert ann.do("open", "insert", document={"_id": one}) == {"ids": [one]}
    assert ann.refused("open", "insert", documents=[{"_id": two}, {"_id": one}]) == CONFLICT
    assert ann.refused("open", "get", id=two) == ABSENT
    assert ann.refused("open", "insert") == INVALID
    assert ann.refused("open", "insert", document={}, documents=[]) == INVALID


def test_insert_takes_up_to_a_thousand_and_find_gives_a_hundred_unless_told(ann: Caller) -> None:
    assert ann.refused("many", "insert", documents=[{}] * 1001) == LIMIT
    assert ann.do("many", "count") == {"total": 0}
    assert len(ann.put("many", *[{}] * 1000)) == 1000
    ann.put("many", {})
    assert len(ann.ids("many")) == 100
    assert len(ann.ids("many", limit=1000)) == 1000
    assert ann.do("many", "find", count=True, limit=1)["total"] == 1001
    assert len(ann.do("many", "aggregate", pipeline=[{"$limit": 1000}])["documents"]) == 1000
    assert ann.refused("many", "aggregate", pipeline=[{"$match": {}}]) == LIMIT


def test_more_than_a_thousand_cannot_be_asked_for(ann: Caller) -> None:
    assert ann.refused("open", "find", limit=1001) == LIMIT


def test_update_by_id_by_filter_and_by_filter_with_multi(ann: Caller) -> None:
    kind = fresh()
    first, *_ = sorted(ann.put("open", {"k": kind, "n": 0}, {"k": kind, "n": 0}))
    add = {"$inc": {"n": 1}}

    by_id = ann.do("open", "update", id=first, update=add)
    one = ann.do("open", "update", filter={"k": kind}, update=add)
    all = ann.do("open", "update", filter={"k": kind}, update=add, multi=True)

    assert by_id == one == {"matched": 1, "modified": 1, "upsertedId": None}
    assert all == {"matched": 2, "modified": 2, "upsertedId": None}
    assert ann.do("open", "get", id=first, fields={"n": 1})["n"] == 3
    assert ann.refused("open", "update", update=add) == INVALID
    assert ann.refused("open", "update", id=first, filter={}, update=add) == INVALID
    assert ann.refused("open", "update", filter={}, update=add, multi=True, upsert=True) == INVALID


def test_upsert_makes_what_is_not_there(ann: Caller) -> None:
    id, kind = fresh(), fresh()
    made = ann.do("open", "update", id=id, update={"$set": {"n": 1}}, upsert=True)
    by_filter = ann.do("open", "update", filter={"k": kind}, update={"$inc": {"n": 2}}, upsert=True)

    assert made == {"matched": 0, "modified": 0, "upsertedId": id}
    found = ann.do("open", "get", id=by_filter["upsertedId"])
    assert (found["k"], found["n"]) == (kind, 2)


def test_replace_by_id_and_with_upsert(ann: Caller) -> None:
    [id], other = ann.put("open", {"a": 1}), fresh()
    assert ann.do("open", "replace", id=id, document={"b": 2}) == {
        "matched": 1,
        "modified": 1,
        "upsertedId": None,
    }
    found = ann.do("open", "get", id=id)
    assert (found.get("a"), found["b"]) == (None, 2)
    assert ann.refused("open", "replace", id=other, document={}) == ABSENT
    made = ann.do("open", "replace", id=other, document={"c": 3}, upsert=True)
    assert made == {"matched": 0, "modified": 0, "upsertedId": other}


def test_delete_by_id_by_filter_and_by_filter_with_multi(ann: Caller) -> None:
    kind = fresh()
    ids = ann.put("open", *({"k": kind} for _ in range(4)))
    assert ann.do("open", "delete", id=ids[0]) == {"deleted": 1}
    assert ann.refused("open", "delete", id=ids[0]) == ABSENT
    assert ann.do("open", "delete", filter={"k": kind}) == {"deleted": 1}
    assert ann.do("open", "delete", filter={"k": kind}, multi=True) == {"deleted": 2}
    assert ann.do("open", "delete", filter={"k": kind}, multi=True) == {"deleted": 0}


def test_return_adds_the_documents_to_any_write(ann: Caller) -> None:
    id = fresh()
    answers = [
        ann.do("open", "insert", document={"_id": id, "n": 1}, return_=True),
        ann.do("open", "update", id=id, update={"$set": {"n": 2}}, return_=True),
        ann.do("open", "replace", id=id, document={"n": 3}, return_=True),
        ann.do("open", "delete", id=id, return_=True),
    ]
    assert [answer["documents"][0]["n"] for answer in answers] == [1, 2, 3, 3]


def test_a_body_has_up_to_ten_mebibytes(ann: Caller) -> None:
    def find(size: int) -> int:
        head, tail = b'{"filter": {"a": "', b'"}}'
        body = head + b"x" * (size - len(head) - len(tail)) + tail
        headers = {"authorization": f"Bearer {ann.token}", "content-type": "application/json"}
        path = "/v1/database/open/find"
        return ann.gateway.client.post(path, content=body, headers=headers).status_code

    assert find(10 * 1024**2 + 1) == 413
    assert find(10 * 1024**2) != 413
