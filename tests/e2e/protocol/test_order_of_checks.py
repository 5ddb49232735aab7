"""Of two faults in one request, which is answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.gateway import Gateway
from tests.support.outside import ABSENT, CONFLICT, DENIED, FAILED, INVALID, Caller, nobody, refusal


def setting(id: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "update": {"$set": fields}}


BOTH = {"$inc": {"word": 1}, "$set": {"text": "long"}}
#: Each row fails two checks that follow one another; the earlier one answers.
CHECKS: list[tuple[str, str, str, dict[str, Any], tuple[int, str]]] = [
    ("form, rule", "nobody", "insert", {"document": {"$n": 1}}, INVALID),
    ("form, rule", "nobody", "find", {"filter": {"n": {"$no": 1}}}, INVALID),
    ("rule for this caller, visibility", "nobody", "delete", {"id": "nowhere"}, DENIED),
    ("visibility, rule on the stored", "bob", "update", setting("hidden", n=1), ABSENT),
    ("rule on the stored, masks", "ann", "update", setting("shut", masked=1), DENIED),
    (
        "masks, operators",
        "ann",
        "update",
        {"id": "mine", "update": {"$inc": {"masked": 1}}},
        DENIED,
    ),
    ("operators, schema", "ann", "update", {"id": "mine", "update": BOTH}, INVALID),
    ("schema, newDoc", "ann", "update", setting("mine", text="long", n=13), FAILED),
    ("schema, newDoc", "ann", "insert", {"document": {"text": "long", "n": 13}}, FAILED),
    ("newDoc, unique", "ann", "update", setting("mine", slug="taken", n=13), DENIED),
    ("newDoc, unique", "ann", "insert", {"document": {"slug": "taken", "n": 13}}, DENIED),
    ("unique at last", "ann", "insert", {"document": {"slug": "taken"}}, CONFLICT),
    ("unique at last", "ann", "insert", {"document": {"_id": "mine"}}, CONFLICT),
]


@pytest.fixture(scope="module")
def checked(gateway: Gateway, ann: Caller, bob: Caller) -> dict[str, Caller]:
    ann.put(
        "checks",
        {"_id": "mine", "word": "w"},
        {"_id": "shut", "n": 99},
        {"_id": "hidden"},
        {"_id": "other", "slug": "taken"},
    )
    return {"nobody": nobody(gateway), "ann": ann, "bob": bob}


@pytest.mark.parametrize(("what", "who", "verb", "body", "expected"), CHECKS)
def test_the_order_of_checks(
    checked: dict[str, Caller],
    what: str,
    who: str,
    verb: str,
    body: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    assert checked[who].refused("checks", verb, **body) == expected, what


def test_a_bad_token_is_answered_before_anything_else(gateway: Gateway) -> None:
    answer = Caller(gateway, "nonsense").ask("nowhere", "insert", documents=5)
    assert refusal(answer) == (401, "UNAUTHENTICATED")
