"""Limits per class of route and caller, as clients meet them."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.clock import ManualClock
from baas.settings import LimitSettings, Settings
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import NOTES_APP, write_app

FIND = "/v1/database/board/find"
INSERT = "/v1/database/board/insert"
SIGN_IN = "/v1/auth/sign-in/anonymous"
NOBODY = {"username": "nobody", "password": "wrong-wrong"}


def limited(**rates: str) -> Settings:
    off = {"rate_auth": "off", "rate_read": "off", "rate_write": "off"}
    return Settings(limits=LimitSettings(**{**off, **rates}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_app(tmp_path, NOTES_APP)


def statuses(replies: list[Reply]) -> list[int]:
    return [reply.status for reply in replies]


def find_from(app: Harness, address: str, count: int, token: str | None = None) -> list[Reply]:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return [app.request("POST", FIND, b"{}", headers, client=address) for _ in range(count)]


def test_who_asks_too_often_is_told_when_to_come_back(folder: Path) -> None:
    with running_app(folder, limited(rate_auth="2/m")) as app:
        replies = [app.post(SIGN_IN) for _ in range(3)]

    assert statuses(replies) == [200, 200, 429]
    assert replies[2].code == "RATE_LIMITED"
    assert 1 <= int(replies[2].headers["retry-after"]) <= 30


def test_after_the_wait_the_request_passes(folder: Path) -> None:
    clock = ManualClock()
    with running_app(folder, limited(rate_auth="2/m"), clock=clock) as app:
        replies = [app.post(SIGN_IN) for _ in range(3)]
        clock.advance(float(replies[2].headers["retry-after"]))

        assert app.post(SIGN_IN).status == 200


def test_guessing_passwords_is_slowed_whatever_the_name(folder: Path) -> None:
    with running_app(folder, limited(rate_auth="3/m")) as app:
        replies = [
            app.post("/v1/auth/sign-in/password", {**NOBODY, "username": f"user-{number}"})
            for number in range(5)
        ]

    assert statuses(replies) == [401, 401, 401, 429, 429]


def test_refreshing_is_not_counted_as_signing_in(folder: Path) -> None:
    """Every client behind one address refreshes each quarter of an hour."""
    with running_app(folder, limited(rate_auth="1/h")) as app:
        session = app.post(SIGN_IN).json()
        for _ in range(50):
            answer = app.post("/v1/auth/refresh", {"refreshToken": session["refreshToken"]})
            assert answer.status == 200


def test_reads_and_writes_are_counted_apart(folder: Path) -> None:
    with running_app(folder, limited(rate_read="2/m", rate_write="1/m")) as app:
        token = app.sign_in()
        writes = [app.post(INSERT, {"document": {}}, token) for _ in range(2)]
        reads = [app.post(FIND, {}, token) for _ in range(3)]

    assert statuses(writes) == [200, 429]
    assert statuses(reads) == [200, 200, 429]


def test_a_user_is_one_caller_from_wherever(folder: Path) -> None:
    with running_app(folder, limited(rate_read="2/m")) as app:
        token = app.sign_in()
        replies = [*find_from(app, "192.0.2.1", 2, token), *find_from(app, "192.0.2.2", 1, token)]
        other = app.post(FIND, {}, app.sign_in())

    assert statuses(replies) == [200, 200, 429]
    assert other.status == 200


def test_strangers_are_counted_by_address(folder: Path) -> None:
    with running_app(folder, limited(rate_read="2/m")) as app:
        first = find_from(app, "192.0.2.1", 3)
        second = find_from(app, "192.0.2.2", 1)
        same_network = [
            *find_from(app, "2001:db8::1", 2),
            *find_from(app, "2001:db8::ffff", 1),
        ]

    assert statuses(first) == [200, 200, 429]
    assert statuses(second) == [200]
    assert statuses(same_network) == [200, 200, 429]


def test_bad_tokens_are_counted_too(folder: Path) -> None:
    with running_app(folder, limited(rate_read="2/m")) as app:
        replies = find_from(app, "192.0.2.1", 3, "nonsense")

    assert statuses(replies) == [401, 401, 429]


def test_the_operators_own_keys_are_not(folder: Path) -> None:
    with running_app(folder, limited(rate_read="1/h")) as app:
        key = app.admin_key("database:read")

        assert statuses([app.post(FIND, {}, key) for _ in range(5)]) == [200] * 5
