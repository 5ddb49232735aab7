"""Heads of requests that try to confuse, to inject, to smuggle or to fill memory."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, write_app

FIND = "/v1/database/board/find"
MEBIBYTE = 1024 * 1024
#: A connection that stays open and silent this long has nothing more to say.
QUIET_SECONDS = 1.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), NOTES_APP)) as started:
        yield started


def raw(gateway: Gateway, data: bytes) -> bytes:
    """Everything that comes back for these bytes until the connection closes."""
    with socket.create_connection(gateway.host_and_port, timeout=10) as connection:
        with contextlib.suppress(OSError):  # refused before all was sent
            connection.sendall(data)
        received = b""
        connection.settimeout(QUIET_SECONDS)
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while part := connection.recv(65536):
                received += part
        return received


def request(*lines: bytes, body: bytes = b"", first: bytes = b"") -> bytes:
    start = first or b"POST " + FIND.encode() + b" HTTP/1.1"
    head = [start, b"host: x", b"connection: close", *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def problem(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["code"])


JSON = b"content-type: application/json"


def test_the_plain_request_of_these_tests_is_answered(gateway: Gateway) -> None:
    answer = raw(gateway, request(JSON, b"content-length: 2", body=b"{}"))

    assert statuses(answer) == [200]


@pytest.mark.parametrize(
    "given",
    [b"a\tb", b"<script>alert(1)</script>", b"x" * 200, b"../../etc", b"\xff\xfe", b"{}", b"a,b"],
)
def test_a_request_id_cannot_carry_anything_into_answers_and_logs(
    gateway: Gateway, given: bytes
) -> None:
    answer = raw(
        gateway, request(JSON, b"content-length: 2", b"x-request-id: " + given, body=b"{}")
    )

    assert statuses(answer) == [200]
    assert given not in answer


@pytest.mark.parametrize(
    "header",
    [
        b"authorization: Bearer x",
        b"content-type: text/plain",
        b"idempotency-key: a",
        b"x-baas-as: a",
    ],
)
def test_a_header_that_is_sent_twice_is_not_read_either_way(
    gateway: Gateway, header: bytes
) -> None:
    answer = raw(gateway, request(header, header, b"content-length: 2", body=b"{}"))

    assert statuses(answer) in ([400], [401])


SMUGGLED = b"GET /v1/admin/rules HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        (b"content-length: 2", b"content-length: 3"),
        (b"content-length: 2", b"transfer-encoding: chunked"),
        (b"transfer-encoding: chunked", b"content-length: 2"),
        (b"transfer-encoding: identity, chunked", b"transfer-encoding: x"),
        (b"content-length: -2",),
        (b"content-length: +2",),
        (b"content-length: 2, 2",),
        (b"content-length : 2",),
        (b"content-length: 0x2",),
        (b"transfer-encoding: xchunked",),
    ],
)
def test_a_body_of_unclear_length_smuggles_no_second_request(
    gateway: Gateway, lines: tuple[bytes, ...]
) -> None:
    answer = raw(gateway, request(JSON, *lines, body=b"{}" + SMUGGLED))

    assert len(statuses(answer)) <= 1
    assert statuses(answer) != [200]


@pytest.mark.parametrize(
    "first",
    [
        b"POST /v1/database/board/find HTTP/9.9",
        b"POST  HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
        b"POST /v1/\x00database HTTP/1.1",
        b"POST /v1/database/board/find\r\n",
        b"FROBNICATE / HTTP/1.1",
    ],
)
def test_what_is_no_http_is_a_400_problem(gateway: Gateway, first: bytes) -> None:
    answer = raw(gateway, request(first=first))

    assert statuses(answer) == [400]
    assert b"application/problem+json" in answer
    assert b"x-request-id" in answer
    assert problem(answer) == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/database/board%2Ffind/x",
        b"/v1/database/board/find%00",
        b"/v1/database/%2e%2e/admin/rules",
        b"/v1/database/..%2f..%2fadmin/rules",
        b"//v1/admin/rules",
        b"/v1/./admin/rules",
        b"/V1/admin/rules",
        b"/v1/admin%2frules",
        b"/v1/database/%FF/find",
        b"/%2e%2e/baas.yaml",
        b"/..%2fbaas.yaml",
        b"/public/../baas.yaml",
        b"/%5c..%5cbaas.yaml",
        b"/rules/notes.yaml",
        b"/data/secret",
    ],
)
def test_no_spelling_of_a_path_leads_past_the_checks(gateway: Gateway, path: bytes) -> None:
    for method in (b"GET", b"POST"):
        answer = raw(
            gateway,
            request(
                JSON, b"content-length: 2", body=b"{}", first=method + b" " + path + b" HTTP/1.1"
            ),
        )

        assert statuses(answer)[0] in (400, 401, 403, 404, 405), answer
        assert b"acl" not in answer
        assert b"revision" not in answer


def test_endless_headers_are_cut_off(gateway: Gateway) -> None:
    many = b"".join(b"x-%d: %s\r\n" % (number, b"y" * 1000) for number in range(2000))

    answer = raw(gateway, b"GET / HTTP/1.1\r\nhost: x\r\n" + many)

    assert statuses(answer) in ([400], [])


def test_one_endless_header_is_cut_off(gateway: Gateway) -> None:
    answer = raw(gateway, b"GET / HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * (4 * MEBIBYTE))

    assert statuses(answer) in ([400], [])


def test_an_endless_path_is_cut_off(gateway: Gateway) -> None:
    assert statuses(raw(gateway, b"GET /" + b"y" * (4 * MEBIBYTE))) in ([400], [])


def test_a_long_head_within_the_bound_is_read(gateway: Gateway) -> None:
    answer = raw(
        gateway, request(JSON, b"content-length: 2", b"x-long: " + b"y" * 30_000, body=b"{}")
    )

    assert statuses(answer) == [200]


def test_headers_of_other_frameworks_change_nothing(gateway: Gateway) -> None:
    overrides = [
        b"x-http-method-override: DELETE",
        b"x-original-url: /v1/admin/rules",
        b"x-rewrite-url: /v1/admin/rules",
        b"x-forwarded-prefix: /v1/admin",
        b"x-baas-explain: 1",
        b"x-user: root",
        b"cookie: token=x",
    ]

    answer = raw(gateway, request(JSON, b"content-length: 2", *overrides, body=b"{}"))

    assert statuses(answer) == [200]
    assert b'{"documents":[],"next":null}' in answer


def test_tokens_never_reach_the_log(gateway: Gateway) -> None:
    token = gateway.sign_in()
    for sent in (token, "bak_s3cr3t-s3cr3t", "wrong-s3cr3t"):
        gateway.post(FIND, token=sent, x_request_id="last-one")
    gateway.client.post(f"{FIND}?token=s3cr3t-in-url", json={})
    gateway.post("/v1/nothing", x_request_id="the-end")
    gateway.logged(id="the-end")

    log = gateway.log_text()
    assert token not in log
    assert "s3cr3t" not in log
