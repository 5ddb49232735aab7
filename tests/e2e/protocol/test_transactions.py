"""Transactions and Idempotency-Key, as the protocol says it."""

from __future__ import annotations

import pytest

from tests.support.gateway import Gateway
from tests.support.outside import (
    ABSENT,
    CURSOR,
    INVALID,
    LIMIT,
    MISMATCH,
    RETRY,
    Caller,
    fresh,
    nobody,
    ok,
    operation,
    refusal,
)


def test_a_transaction_is_all_or_nothing_and_says_where_it_failed(ann: Caller) -> None:
    id = fresh()
    answer = ann.transaction(
        operation("insert", document={"_id": id}), operation("delete", id="nowhere")
    )
    assert refusal(answer) == ABSENT
    assert answer.json()["operation"] == 1
    assert ann.refused("open", "get", id=id) == ABSENT


def test_each_operation_sees_the_earlier_ones(ann: Caller) -> None:
    id = fresh()
    results = ok(
        ann.transaction(
            operation("insert", document={"_id": id, "n": 1}),
            operation("get", id=id),
            operation("update", id=id, update={"$inc": {"n": 1}}),
            operation("find", filter={"_id": id, "n": 2}),
            operation("replace", id=id, document={"n": 5}, **{"return": True}),
            operation("delete", id=id),
            operation("find", filter={"_id": id}),
        )
    )["results"]
    assert results[0] == {"ids": [id]}
    assert results[1]["n"] == 1
    assert [one["_id"] for one in results[3]["documents"]] == [id]
    assert results[4]["documents"][0]["n"] == 5
    assert results[5] == {"deleted": 1}
    assert results[6] == {"documents": [], "next": None}


@pytest.mark.parametrize("verb", ["count", "aggregate", "transaction", "drop"])
def test_other_verbs_are_no_operations(ann: Caller, verb: str) -> None:
    answer = ann.transaction(operation(verb))
    assert refusal(answer) == INVALID
    assert answer.json()["operation"] == 0


def test_a_transaction_has_up_to_a_hundred_operations(ann: Caller) -> None:
    reads = [operation("find", limit=1)] * 101
    assert len(ok(ann.transaction(*reads[:100]))["results"]) == 100
    assert refusal(ann.transaction(*reads)) == LIMIT


def test_a_find_among_them_takes_a_cursor_and_refuses_a_bad_one(ann: Caller) -> None:
    kind = fresh()
    ann.put("open", *({"k": kind, "n": n} for n in range(2)))
    query = {"filter": {"k": kind}, "sort": {"n": 1}, "limit": 1}
    after = ann.do("open", "find", **query)["next"]

    page = ok(ann.transaction(operation("find", **query, after=after)))["results"][0]
    refused = ann.transaction(operation("find", **query, after="nonsense"))

    assert [one["n"] for one in page["documents"]] == [1]
    assert refusal(refused) == CURSOR
    described = ann.gateway.client.get("/openapi.json").json()["paths"]
    answer = described["/v1/database/transaction"]["post"]["responses"]["400"]
    assert "CURSOR_INVALID" in answer["description"]


def test_what_is_expected_is_checked_by_etag(ann: Caller) -> None:
    [id] = ann.put("open", {"n": 1})
    tag = ann.ask("open", "get", id=id).headers["etag"]
    add = operation("update", id=id, update={"$inc": {"n": 1}})
    expected = [{"collection": "open", "id": id, "etag": tag}]

    assert ann.transaction(add, expect=expected).status_code == 200
    assert refusal(ann.transaction(add, expect=expected)) == RETRY
    absent = [{"collection": "open", "id": id, "etag": None}]
    assert refusal(ann.transaction(add, expect=absent)) == RETRY
    free = [{"collection": "open", "id": fresh(), "etag": None}]
    assert ann.transaction(add, expect=free).status_code == 200
    assert ann.do("open", "get", id=id)["n"] == 3


def test_a_key_makes_a_write_happen_once(ann: Caller) -> None:
    [id], key = ann.put("open", {"n": 0}), fresh()
    body = {"id": id, "update": {"$inc": {"n": 1}}}
    path = "/v1/database/open/update"

    answers = [ann.post(path, body, idempotency_key=key) for _ in range(3)]

    assert {answer.content for answer in answers} == {answers[0].content}
    assert ann.do("open", "get", id=id)["n"] == 1
    other = {"id": id, "update": {"$inc": {"n": 2}}}
    assert refusal(ann.post(path, other, idempotency_key=key)) == MISMATCH
    assert ann.post(path, other, idempotency_key=key + "b").status_code == 200


def test_the_scope_of_a_key_is_caller_route_and_key(ann: Caller, bob: Caller) -> None:
    key, document = fresh(), {"document": {"k": "scope"}}
    places = [(ann, "open"), (bob, "open"), (ann, "notes")]
    made = [
        ok(who.post(f"/v1/database/{where}/insert", document, idempotency_key=key))["ids"][0]
        for who, where in places
    ]
    assert len(set(made)) == 3
    operations = {"operations": [operation("insert", document={})]}
    results = [
        ok(ann.post("/v1/database/transaction", operations, idempotency_key=key)) for _ in range(2)
    ]
    assert results[0] == results[1]
    assert results[0]["results"][0]["ids"][0] not in made


def test_only_what_succeeded_is_kept(ann: Caller) -> None:
    id, key = fresh(), fresh()
    path, body = "/v1/database/open/delete", {"id": id}
    assert refusal(ann.post(path, body, idempotency_key=key)) == ABSENT
    ann.put("open", {"_id": id})
    assert ok(ann.post(path, body, idempotency_key=key)) == {"deleted": 1}


def test_keys_are_for_those_who_have_signed_in(gateway: Gateway) -> None:
    path, body = "/v1/database/wall/insert", {"document": {}}
    made = [ok(nobody(gateway).post(path, body, idempotency_key="k"))["ids"] for _ in range(2)]
    assert made[0] != made[1]


@pytest.mark.parametrize("key", ["", "x" * 129, "tab\tinside"])
def test_a_key_has_1_to_128_printable_characters(ann: Caller, key: str) -> None:
    answer = ann.post("/v1/database/open/insert", {"document": {}}, idempotency_key=key)
    assert refusal(answer) == INVALID


def test_a_key_is_ignored_where_nothing_is_written(ann: Caller) -> None:
    for body in ({}, {"limit": 1}):
        answer = ann.post("/v1/database/open/find", body, idempotency_key="x" * 200)
        assert answer.status_code == 200
