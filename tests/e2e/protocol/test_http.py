"""The top of the protocol and its page on operations: what `test_http_contract.py` leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from baas.errors import Code
from tests.support.gateway import Gateway, running, wait_until, write_app
from tests.support.outside import DENIED, Caller, nobody, ok, refusal

ORIGIN = "https://app.example"
APP = {
    "rules/home.yaml": "rules: {read: request.ip == '203.0.113.9'}\n",
    "rules/open.yaml": "rules: {read: auth != null}\n",
}
#: The protocol's own table.
STATUS = {
    "INVALID_ARGUMENT": 400,
    "VALIDATION_FAILED": 400,
    "CURSOR_INVALID": 400,
    "LIMIT_EXCEEDED": 400,
    "UNAUTHENTICATED": 401,
    "TOKEN_EXPIRED": 401,
    "INVALID_CREDENTIALS": 401,
    "SESSION_REVOKED": 401,
    "PERMISSION_DENIED": 403,
    "QUOTA_EXCEEDED": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "CONFLICT": 409,
    "TRANSACTION_CONFLICT": 409,
    "IDEMPOTENCY_MISMATCH": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "RANGE_NOT_SATISFIABLE": 416,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "FUNCTION_FAILED": 500,
    "NOT_SUPPORTED": 501,
    "UNAVAILABLE": 503,
    "FUNCTION_TIMEOUT": 504,
    "QUERY_TIMEOUT": 504,
    "LOOP_DETECTED": 508,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One behind a proxy, for one origin, whose tokens live two seconds."""
    folder = write_app(tmp_path_factory.mktemp("app"), APP)
    settings = {
        "BAAS_SERVER__ORIGINS": ORIGIN,
        "BAAS_SERVER__TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8",
        "BAAS_AUTH__ACCESS_TOKEN_SECONDS": "2",
        "BAAS_LIMITS__RATE_AUTH": "3/h",
    }
    with running(folder, **settings) as started:
        yield started


def test_the_table_of_codes() -> None:
    assert {code.name: code.status for code in Code} == STATUS


@pytest.mark.parametrize("path", ["/v1/database/home/find", "/v1/auth/me", "/v1/nothing"])
def test_origins_may_be_narrowed(gateway: Gateway, path: str) -> None:
    for origin, allowed in ((ORIGIN, ORIGIN), ("https://other.example", None)):
        for headers in ({"origin": origin}, {"origin": origin, "authorization": "Bearer x"}):
            answer = gateway.client.post(path, headers=headers)
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers


def test_the_ip_in_rules_is_the_last_hop_that_is_not_trusted(gateway: Gateway) -> None:
    def ask(forwarded: str) -> int:
        headers = {"x_forwarded_for": forwarded}
        return nobody(gateway).post("/v1/database/home/find", {}, **headers).status_code

    assert ask("203.0.113.9") == 200
    assert ask("198.51.100.1, 203.0.113.9, 10.1.2.3") == 200
    assert ask("203.0.113.9, 198.51.100.1") == 403
    assert nobody(gateway).refused("home", "find") == DENIED


def test_a_token_expires_and_says_so(gateway: Gateway) -> None:
    session = ok(nobody(gateway).auth("sign-in/anonymous"))
    assert session["expiresIn"] == 2
    who = Caller(gateway, session["accessToken"])
    wait_until(lambda: who.ask("open", "find").status_code == 401)
    assert who.refused("open", "find") == (401, "TOKEN_EXPIRED")
    renewed = ok(who.auth("refresh", refreshToken=session["refreshToken"]))
    assert renewed["accessToken"] != session["accessToken"]


def test_too_many_are_told_when_to_come_again(gateway: Gateway) -> None:
    answers = [
        nobody(gateway).post("/v1/auth/sign-in/anonymous", {}, x_forwarded_for="203.0.113.50")
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert refusal(answers[-1]) == (429, "RATE_LIMITED")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3600


def test_operations_are_where_the_protocol_says(gateway: Gateway) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert gateway.client.get(path).status_code == 200
