"""One account's password cannot be guessed from many addresses, and trying does not lock its owner
out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.clock import ManualClock
from baas.settings import LimitSettings, Settings
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import NOTES_APP, write_app

SIGN_IN = "/v1/auth/sign-in/password"
JSON = {"content-type": "application/json"}
HOME = "198.51.100.7"
RIGHT = "correct horse"
LIMIT = 5


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def app(tmp_path: Path, clock: ManualClock) -> Iterator[Harness]:
    limits = LimitSettings(rate_auth="20/m", rate_password=f"{LIMIT}/h")
    settings = Settings(limits=limits)
    with running_app(write_app(tmp_path, NOTES_APP), settings, clock=clock) as running:
        post(running, "/v1/auth/sign-up", f'{{"username":"ann","password":"{RIGHT}"}}', HOME)
        yield running


def post(app: Harness, path: str, body: str, address: str, **headers: str) -> Reply:
    return app.request("POST", path, body.encode(), {**JSON, **headers}, client=address)


def sign_in(app: Harness, name: str, password: str, address: str) -> Reply:
    return post(app, SIGN_IN, f'{{"username":"{name}","password":"{password}"}}', address)


def guess(app: Harness, name: str, count: int) -> list[str | None]:
    """Each from another address."""
    return [sign_in(app, name, f"wrong-{n}", f"203.0.113.{n}").code for n in range(count)]


@pytest.mark.parametrize("name", ["ann", "nobody", "ANN"])
def test_many_addresses_get_no_further_than_one(app: Harness, name: str) -> None:
    """For names that do not exist just so, and however a name is written."""
    wrong, limited = "INVALID_CREDENTIALS", "RATE_LIMITED"
    assert guess(app, name, LIMIT + 3) == [wrong] * LIMIT + [limited] * 3
    answer = sign_in(app, "ann" if name == "ANN" else name, RIGHT, "203.0.113.200")
    assert answer.code == limited
    assert int(answer.headers["retry-after"]) > 0


def test_the_owner_gets_in_where_the_account_is_at_home(app: Harness) -> None:
    guess(app, "ann", LIMIT + 1)
    assert sign_in(app, "ann", RIGHT, HOME).status == 200
    assert sign_in(app, "ann", "wrong", HOME).code == "INVALID_CREDENTIALS"
    codes = [sign_in(app, "ann", f"wrong-{n}", HOME).code for n in range(20)]
    assert codes[-1] == "RATE_LIMITED"  # by the address


def test_who_knows_the_password_is_never_counted(app: Harness) -> None:
    for n in range(LIMIT * 3):
        assert sign_in(app, "ann", RIGHT, f"203.0.113.{n}").status == 200


def test_it_passes(app: Harness, clock: ManualClock) -> None:
    guess(app, "ann", LIMIT + 1)
    clock.advance(3600 / LIMIT + 1)
    assert sign_in(app, "ann", RIGHT, "203.0.113.200").status == 200


def test_another_account_is_not_touched(app: Harness) -> None:
    post(app, "/v1/auth/sign-up", f'{{"username":"bob","password":"{RIGHT}"}}', HOME)
    guess(app, "ann", LIMIT + 1)
    assert sign_in(app, "bob", RIGHT, "203.0.113.200").status == 200


def test_a_stolen_token_does_not_help_to_guess_the_password(app: Harness) -> None:
    token = sign_in(app, "ann", RIGHT, HOME).json()["accessToken"]
    body = '{"oldPassword":"wrong-wrong","newPassword":"other horse"}'
    codes = [
        post(
            app, "/v1/auth/password/change", body, f"203.0.113.{n}", authorization=f"Bearer {token}"
        )
        for n in range(LIMIT + 1)
    ]
    assert [one.code for one in codes[-2:]] == ["INVALID_CREDENTIALS", "RATE_LIMITED"]
