"""Bodies: what is taken, and which field a refusal names."""

from __future__ import annotations

import pytest

from baas.database.bodies import BodyDecoder, FindBody, GetBody, InsertBody, TransactionBody
from baas.errors import Code
from tests.support.database import refused


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"filters":{}}', "filters"),
        (b'{"filter":[]}', "filter"),
        (b'{"filter":null}', "filter"),
        (b'{"limit":"5"}', "limit"),
        (b'{"limit":-1}', "limit"),
        (b'{"limit":1.5}', "limit"),
        (b'{"limit":true}', "limit"),
        (b'{"skip":9007199254740992}', "skip"),
        (b'{"skip":1e30}', "skip"),
        (b'{"after":5}', "after"),
        (b'{"count":1}', "count"),
        (b"[]", ""),
        (b'"text"', ""),
        (b"", ""),
        (b"{", ""),
        (b'{"filter":{"a":"\\ud800"}}', ""),
        (b'{"filter":{"a":"\xff"}}', ""),
        (b'{"filter":{"a":NaN}}', ""),
        (b"\xef\xbb\xbf{}", ""),
    ],
)
def test_a_bad_find_is_refused_by_path(body: bytes, path: str) -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        BodyDecoder(FindBody)(body)
    assert caught.paths == [path]


def test_what_is_required_is_named() -> None:
    with refused(Code.INVALID_ARGUMENT, "id: is required"):
        BodyDecoder(GetBody)(b"{}")


def test_a_body_nested_beyond_reason_is_a_limit() -> None:
    deep = b'{"filter":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    with refused(Code.LIMIT_EXCEEDED):
        BodyDecoder(FindBody)(deep)


def test_a_long_unknown_name_is_shortened() -> None:
    with refused(Code.INVALID_ARGUMENT) as caught:
        BodyDecoder(FindBody)(b'{"' + b"x" * 10_000 + b'":1}')
    assert len(caught.problem.detail) < 200


def test_return_is_a_field_of_writes() -> None:
    assert BodyDecoder(InsertBody)(b'{"document":{},"return":true}').return_ is True


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        (b'{"verb":"find"}', "operations.1.collection"),
        (b'{"verb":"fnd","collection":"a"}', "operations.1.verb"),
        (b'{"verb":"aggregate","collection":"a"}', "operations.1.verb"),
        (b'{"collection":"a"}', "operations.1.verb"),
        (b'{"verb":"get","collection":"a","id":"x","filter":{}}', "operations.1.filter"),
        (b"5", "operations.1"),
    ],
)
def test_a_bad_operation_is_refused_by_place(operation: bytes, path: str) -> None:
    first = b'{"verb":"get","collection":"a","id":"x"}'
    with refused(Code.INVALID_ARGUMENT) as caught:
        BodyDecoder(TransactionBody)(b'{"operations":[%b,%b]}' % (first, operation))
    assert caught.paths == [path]
    assert caught.problem.operation == 1
