"""Which paths other origins may call, and what they are told."""

from __future__ import annotations

import pytest

from baas.gateway.cors import Cors, is_open
from baas.gateway.exchange import Exchange


def exchange(method: str = "GET", **headers: str) -> Exchange:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Exchange({"headers": raw, "method": method, "path": "/v1/x"})


@pytest.mark.parametrize("path", ["/v1/database/a/find", "/v1/auth/me", "/v1/administrator"])
def test_the_api_is_open_to_other_origins(path: str) -> None:
    assert is_open(path)


@pytest.mark.parametrize(
    "path", ["/v1/admin", "/v1/admin/", "/v1/admin/keys", "/", "/index.html", "/docs", "/metrics"]
)
def test_the_admin_api_and_pages_are_not(path: str) -> None:
    assert not is_open(path)


def test_any_origin_is_any_origin_and_never_with_credentials() -> None:
    headers = dict(Cors(("*",)).headers(exchange(origin="https://a.example")))

    assert headers[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in headers
    assert b"X-Request-Id" in headers[b"access-control-expose-headers"]


def test_a_listed_origin_is_echoed_and_caches_are_told() -> None:
    cors = Cors(("https://a.example", "https://b.example"))

    headers = dict(cors.headers(exchange(origin="https://b.example")))

    assert headers[b"access-control-allow-origin"] == b"https://b.example"
    assert headers[b"vary"] == b"Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://b.example",
        "null",
        "https://a.example.evil",
        "http://a.example",
        "https://A.example",
    ],
)
def test_an_unlisted_origin_gets_nothing(origin: str) -> None:
    headers = dict(Cors(("https://a.example",)).headers(exchange(origin=origin)))

    assert headers == {b"vary": b"Origin"}


def test_a_preflight_allows_get_and_post_with_the_headers_of_the_protocol() -> None:
    asked = exchange("OPTIONS", origin="https://a.example", access_control_request_method="POST")

    answer = Cors(("*",)).preflight(asked)

    assert answer is not None
    headers = dict(answer.headers)
    assert answer.status == 204
    assert headers[b"access-control-allow-methods"] == b"GET, POST"
    for name in (b"Authorization", b"Content-Type", b"Idempotency-Key"):
        assert name in headers[b"access-control-allow-headers"]


def test_a_preflight_from_an_unlisted_origin_allows_nothing() -> None:
    asked = exchange("OPTIONS", origin="https://b.example", access_control_request_method="POST")

    answer = Cors(("https://a.example",)).preflight(asked)

    assert answer is not None
    assert answer.headers == ()


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_requests_are_no_preflight(method: str) -> None:
    assert Cors(("*",)).preflight(exchange(method, origin="https://a.example")) is None
