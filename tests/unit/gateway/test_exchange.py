"""What is taken from a request's head: id, trace, headers that must not be doubled."""

from __future__ import annotations

import pytest

from baas.errors import Code, Problem
from baas.gateway.exchange import Exchange, matches_etag, new_request_id, trace_id


def exchange(*headers: tuple[bytes, bytes]) -> Exchange:
    return Exchange({"headers": list(headers), "method": "GET", "path": "/x"})


@pytest.mark.parametrize("given", [b"a", b"A.b_c-9", b"x" * 128])
def test_a_sane_request_id_is_kept(given: bytes) -> None:
    assert exchange((b"x-request-id", given)).id == given.decode()


@pytest.mark.parametrize(
    "given", [b"", b"x" * 129, b"a b", b"a\nb", b"\xc3\xa9", b"<script>", b'"', b"a;b"]
)
def test_another_one_is_replaced_by_our_own(given: bytes) -> None:
    made = exchange((b"x-request-id", given)).id

    assert made.encode() != given
    assert exchange((b"x-request-id", made.encode())).id == made


def test_our_own_ids_differ() -> None:
    assert len({new_request_id() for _ in range(1000)}) == 1000


TRACE = b"0af7651916cd43dd8448eb211c80319c"


def test_the_trace_id_of_a_traceparent_is_known() -> None:
    header = b"00-" + TRACE + b"-b7ad6b7169203331-01"

    assert exchange((b"traceparent", header)).trace == TRACE.decode()
    assert trace_id(b"01" + header[2:] + b"-later") == TRACE.decode()


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00-" + TRACE + b"-b7ad6b7169203331",
        b"00-" + TRACE.upper() + b"-b7ad6b7169203331-01",
        b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01",
        b"ff-" + TRACE + b"-b7ad6b7169203331-01",
        b"00-" + TRACE + b"-b7ad6b7169203331-01-extra",
        b"00-" + TRACE[:-1] + b"-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_ignored(header: bytes) -> None:
    assert trace_id(header) is None


def test_two_tokens_are_no_token() -> None:
    with pytest.raises(Problem) as caught:
        exchange((b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")).check_headers()

    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize(
    "name", [b"content-type", b"content-length", b"idempotency-key", b"x-baas-as", b"host"]
)
def test_a_header_whose_double_could_be_read_either_way_is_refused(name: bytes) -> None:
    with pytest.raises(Problem) as caught:
        exchange((name, b"a"), (name, b"a")).check_headers()

    assert caught.value.code is Code.INVALID_ARGUMENT


def test_headers_that_are_lists_may_repeat() -> None:
    exchange((b"accept", b"a"), (b"accept", b"b"), (b"x-forwarded-for", b"c")).check_headers()


@pytest.mark.parametrize(
    ("header", "matches"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", "a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
    ],
)
def test_entity_tags_compare_weakly(header: str, matches: bool) -> None:
    assert matches_etag(header, '"a"') is matches
