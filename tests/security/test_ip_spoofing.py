"""A client cannot choose the address that rules, rate limits and logs see."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.gateway.actor import Addresses
from baas.gateway.exchange import Exchange
from baas.settings import LimitSettings, ServerSettings, Settings
from tests.support.app import running_app
from tests.support.gateway import write_app

PROXY = "10.0.0.1"
CLIENT = "198.51.100.7"


def address(trusted: tuple[str, ...], peer: str | None, *forwarded: str) -> str:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in forwarded]
    client = None if peer is None else (peer, 1)
    scope = {"headers": headers, "method": "GET", "path": "/", "client": client}
    return Addresses(trusted).of(Exchange(scope), scope)


@pytest.mark.parametrize("header", ["1.1.1.1", "127.0.0.1", f"1.1.1.1, {PROXY}"])
def test_without_trusted_proxies_the_header_is_never_believed(header: str) -> None:
    assert address((), CLIENT, header) == CLIENT
    assert address((), "127.0.0.1", header) == "127.0.0.1"


def test_nor_from_a_peer_that_is_not_one() -> None:
    assert address((PROXY,), CLIENT, "1.1.1.1") == CLIENT


def test_behind_a_proxy_the_hop_it_wrote_is_the_client() -> None:
    assert address((PROXY,), PROXY, CLIENT) == CLIENT


@pytest.mark.parametrize(
    "header",
    [
        f"127.0.0.1, {CLIENT}",
        f"{PROXY}, {CLIENT}",
        f"1.1.1.1, 2.2.2.2, {CLIENT}",
        f"nonsense, {CLIENT}",
        "1.1.1.1," * 500 + CLIENT,
    ],
)
def test_what_the_client_wrote_before_it_is_not(header: str) -> None:
    assert address((PROXY,), PROXY, header) == CLIENT


def test_a_chain_of_our_own_proxies_is_walked_from_the_right() -> None:
    trusted = ("10.0.0.0/8",)

    assert address(trusted, "10.0.0.1", f"6.6.6.6, {CLIENT}, 10.9.9.9, 10.0.0.2") == CLIENT
    assert address(trusted, "10.0.0.1", "10.0.0.3, 10.0.0.2") == "10.0.0.3"


def test_repeated_headers_are_one_list_in_order() -> None:
    assert address((PROXY,), PROXY, "1.1.1.1", CLIENT) == CLIENT


@pytest.mark.parametrize("hop", ["", "unknown", "_hidden", "1.2.3", "999.1.1.1", "a:b:c:d", "\xff"])
def test_where_the_last_hop_is_no_address_the_proxy_itself_is_what_we_know(hop: str) -> None:
    assert address((PROXY,), PROXY, f"1.1.1.1, {hop}") == PROXY


@pytest.mark.parametrize(
    ("hop", "shown"),
    [
        ("198.51.100.7:4711", CLIENT),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        (f"::ffff:{CLIENT}", CLIENT),
    ],
)
def test_one_address_has_one_spelling(hop: str, shown: str) -> None:
    assert address((PROXY,), PROXY, hop) == shown


def test_a_proxy_is_known_by_its_ipv6_spelling_too() -> None:
    assert address((PROXY,), f"::ffff:{PROXY}", CLIENT) == CLIENT


def test_a_socket_without_an_address_is_no_fault() -> None:
    assert address((PROXY,), None, CLIENT) == ""


def test_other_headers_that_claim_an_address_are_nothing_to_us(tmp_path: Path) -> None:
    write_app(tmp_path, {"rules/open.yaml": f"rules: {{read: request.ip == '{PROXY}'}}\n"})
    names = ("x-forwarded-for", "x-real-ip", "forwarded", "client-ip", "true-client-ip", "via")

    with running_app(tmp_path) as app:
        for name in names:
            value = f"for={PROXY}" if name == "forwarded" else PROXY
            refused = app.request(
                "POST", "/v1/database/open/find", b"{}", {name: value}, client=CLIENT
            )
            assert refused.status == 403, name
        allowed = app.request("POST", "/v1/database/open/find", b"{}", client=PROXY)
        assert allowed.status == 200


def test_rate_limits_cannot_be_escaped_by_changing_the_header(tmp_path: Path) -> None:
    settings = Settings(
        limits=LimitSettings(rate_auth="3/h"), server=ServerSettings(trusted_proxies=(PROXY,))
    )
    path = "/v1/auth/sign-in/anonymous"
    with running_app(write_app(tmp_path, {}), settings) as app:
        statuses = [
            app.request(
                "POST", path, b"{}", {"x-forwarded-for": f"1.1.1.{number}"}, client=CLIENT
            ).status
            for number in range(5)
        ]
        behind = [
            app.request(
                "POST", path, b"{}", {"x-forwarded-for": f"1.1.1.{number}, 2.2.2.2"}, client=PROXY
            ).status
            for number in range(5)
        ]

    assert statuses == [200, 200, 200, 429, 429]
    assert behind == [200, 200, 200, 429, 429]
