"""Bodies: read up to a limit, of a type that can hold JSON."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.gateway.body import ClientGone, check_json_type, read_body
from baas.gateway.exchange import Exchange


def exchange(*headers: tuple[bytes, bytes]) -> Exchange:
    return Exchange({"headers": list(headers), "method": "POST", "path": "/"})


class Receiver:
    """Gives the parts as ASGI messages, and counts how many were asked for."""

    def __init__(self, *parts: bytes, gone: bool = False) -> None:
        self._parts = list(parts)
        self._gone = gone
        self.asked = 0

    async def __call__(self) -> dict[str, Any]:
        self.asked += 1
        if not self._parts and self._gone:
            return {"type": "http.disconnect"}
        body = self._parts.pop(0) if self._parts else b""
        more = bool(self._parts) or self._gone
        return {"type": "http.request", "body": body, "more_body": more}


def read(receiver: Receiver, limit: int, *headers: tuple[bytes, bytes]) -> bytes:
    return asyncio.run(read_body(exchange(*headers), receiver, limit))


@pytest.mark.parametrize("parts", [(b"",), (b"abc",), (b"ab", b"c"), (b"a", b"", b"b", b"c")])
def test_the_whole_body_comes_back_in_however_many_parts(parts: tuple[bytes, ...]) -> None:
    assert read(Receiver(*parts), 3) == b"".join(parts)


def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    receiver = Receiver(b"abcd")

    with pytest.raises(Problem) as caught:
        read(receiver, 3, (b"content-length", b"4"))

    assert caught.value.code is Code.PAYLOAD_TOO_LARGE
    assert receiver.asked == 0


@pytest.mark.parametrize("length", [b"-1", b"x", b"", b"9" * 40])
def test_a_length_that_is_no_number_is_refused(length: bytes) -> None:
    with pytest.raises(Problem) as caught:
        read(Receiver(b"a"), 3, (b"content-length", length))

    assert caught.value.code is Code.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize("parts", [(b"abcd",), (b"ab", b"cd"), (b"abc", b"d")])
def test_a_body_without_a_length_is_refused_once_too_much_has_come(
    parts: tuple[bytes, ...],
) -> None:
    with pytest.raises(Problem) as caught:
        read(Receiver(*parts), 3)

    assert caught.value.code is Code.PAYLOAD_TOO_LARGE


def test_reading_stops_soon_after_the_limit() -> None:
    receiver = Receiver(*[b"abc"] * 1000)

    with pytest.raises(Problem):
        read(receiver, 6)

    assert receiver.asked <= 3


@pytest.mark.parametrize("parts", [(), (b"ab",)])
def test_a_client_that_hangs_up_is_noticed(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(ClientGone):
        read(Receiver(*parts, gone=True), 10)


@pytest.mark.parametrize(
    "media",
    [
        b"application/json",
        b"Application/JSON; charset=UTF-8",
        b"text/plain",
        b'text/plain;charset="utf-8"',
        b"application/vnd.app+json",
    ],
)
def test_json_may_come_as_json_or_as_plain_text(media: bytes) -> None:
    check_json_type(exchange((b"content-type", media)))


def test_no_type_at_all_is_fine() -> None:
    check_json_type(exchange())


@pytest.mark.parametrize(
    "header",
    [
        (b"content-type", b"application/x-www-form-urlencoded"),
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-type", b"application/json; charset=utf-16"),
        (b"content-type", b"application/jsonp"),
        (b"content-type", b"text/plain2"),
        (b"content-type", b""),
        (b"content-encoding", b"gzip"),
    ],
)
def test_other_types_and_compression_are_refused(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(Problem) as caught:
        check_json_type(exchange(header))

    assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE


def test_a_refused_type_names_the_header_to_add() -> None:
    """What curl sends when it is told nothing is the first thing that strangers meet."""
    with pytest.raises(Problem, match="curl: -H 'Content-Type: application/json'"):
        check_json_type(exchange((b"content-type", b"application/x-www-form-urlencoded")))
