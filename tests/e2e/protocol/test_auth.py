"""The protocol's page on auth, sentence by sentence."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gateway import Gateway, running, wait_until, write_app
from tests.support.outside import (
    ABSENT,
    CONFLICT,
    CREDENTIALS,
    DENIED,
    INVALID,
    NOT_YET,
    REVOKED,
    UNAUTHENTICATED,
    Caller,
    fresh,
    nobody,
    ok,
    refusal,
)
from tests.support.wechat import OPENID, FakeWechat, fake_wechat

PASSWORD = "correct horse"
SESSION = {"accessToken", "refreshToken", "expiresIn", "user"}
LOGIN_TYPES = {"ANONYMOUS", "USERNAME", "EMAIL", "PHONE", "WECHAT", "OIDC", "CUSTOM"}
RULES = "rules: {read: \"'editor' in auth.roles\", create: auth != null}\n"


@pytest.fixture(scope="module")
def wechat() -> Iterator[FakeWechat]:
    with fake_wechat() as server:
        yield server


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, wechat: FakeWechat) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"rules/desk.yaml": RULES})
    settings = {
        "BAAS_LIMITS__RATE_AUTH": "off",
        "BAAS_AUTH__WECHAT_APPID": "wx1",
        "BAAS_AUTH__WECHAT_SECRET": "s3",
        "BAAS_AUTH__WECHAT_API": wechat.address,
    }
    with running(folder, **settings) as started:
        yield started


@pytest.fixture
def stranger(gateway: Gateway) -> Caller:
    return nobody(gateway)


def sign_up(gateway: Gateway, name: str | None = None) -> Any:
    return ok(nobody(gateway).auth("sign-up", username=name or fresh(), password=PASSWORD))


def caller(gateway: Gateway, session: Any) -> Caller:
    return Caller(gateway, session["accessToken"])


def me(who: Caller) -> Any:
    headers = {"authorization": f"Bearer {who.token}"}
    return who.gateway.client.get("/v1/auth/me", headers=headers)


def renewed(gateway: Gateway, token: str) -> Any:
    return nobody(gateway).auth("refresh", refreshToken=token)


# -- sessions --------------------------------------------------------------------------------------


def test_every_way_in_answers_a_session(gateway: Gateway, wechat: FakeWechat) -> None:
    wechat.knows("in", openid="o-in")
    name, who = fresh(), nobody(gateway)
    answers = {
        "USERNAME": ok(who.auth("sign-up", username=name, password=PASSWORD, profile={"a": 1})),
        "ANONYMOUS": ok(who.auth("sign-in/anonymous")),
        "WECHAT": ok(who.auth("sign-in/wechat", code="in")),
    }
    again = ok(who.auth("sign-in/password", username=name, password=PASSWORD))
    for login_type, session in [*answers.items(), ("USERNAME", again)]:
        assert session.keys() == SESSION
        assert session["expiresIn"] == 900
        assert session["user"]["loginType"] == login_type
        assert session["user"]["roles"] == []
        assert ok(me(caller(gateway, session))) == session["user"]
    assert again["user"]["uid"] == answers["USERNAME"]["user"]["uid"]
    assert again["user"]["profile"] == {"a": 1}
    assert answers.keys() <= LOGIN_TYPES


def test_a_user_first_made_by_wechat_has_the_openid_as_uid(
    stranger: Caller, wechat: FakeWechat
) -> None:
    wechat.knows("first")
    assert ok(stranger.auth("sign-in/wechat", code="first"))["user"]["uid"] == OPENID
    assert refusal(stranger.auth("sign-in/wechat", code="no-such")) == CREDENTIALS


def test_an_access_token_says_who_and_until_when_and_no_roles(gateway: Gateway) -> None:
    session = sign_up(gateway)
    head, body, _ = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        for part in session["accessToken"].split(".")
    )
    header, claims = json.loads(head), json.loads(body)
    assert header["alg"] == "EdDSA"
    assert claims.keys() == {"iss", "aud", "sub", "sid", "iat", "exp"}
    assert claims["sub"] == session["user"]["uid"]
    assert claims["exp"] - claims["iat"] == 900
    published = ok(gateway.client.get("/.well-known/jwks.json"))["keys"]
    assert header["kid"] in [key["kid"] for key in published]


def test_unknown_name_and_wrong_password_answer_alike(gateway: Gateway) -> None:
    name, who = fresh(), nobody(gateway)
    sign_up(gateway, name)
    wrong = who.auth("sign-in/password", username=name, password="wrong horse")
    unknown = who.auth("sign-in/password", username=fresh(), password="wrong horse")
    assert refusal(wrong) == refusal(unknown) == CREDENTIALS
    known = {key: value for key, value in wrong.json().items() if key != "requestId"}
    assert known.items() <= unknown.json().items()


def test_a_name_is_taken_once(gateway: Gateway) -> None:
    name = fresh()
    sign_up(gateway, name)
    again = nobody(gateway).auth("sign-up", username=name.upper(), password=PASSWORD)
    assert refusal(again) == CONFLICT


def test_each_refresh_yields_one_successor_until_that_is_used(gateway: Gateway) -> None:
    first = sign_up(gateway)["refreshToken"]
    second = ok(renewed(gateway, first))["refreshToken"]
    assert ok(renewed(gateway, first))["refreshToken"] == second
    session = ok(renewed(gateway, second))
    assert session.keys() == SESSION
    assert session["refreshToken"] not in (first, second)
    assert refusal(renewed(gateway, first)) == REVOKED
    assert refusal(renewed(gateway, session["refreshToken"])) == REVOKED
    assert refusal(me(caller(gateway, session))) in (UNAUTHENTICATED, REVOKED)


def test_nonsense_is_no_refresh_token(gateway: Gateway) -> None:
    assert refusal(renewed(gateway, "nonsense"))[0] == 401


# -- the account -----------------------------------------------------------------------------------


def test_sign_out_ends_this_session_alone(gateway: Gateway) -> None:
    name = fresh()
    one, two = caller(gateway, sign_up(gateway, name)), nobody(gateway)
    two.token = ok(two.auth("sign-in/password", username=name, password=PASSWORD))["accessToken"]
    assert ok(one.auth("sign-out")) == {}
    assert refusal(me(one))[0] == 401
    assert me(two).status_code == 200


def test_sessions_are_listed_and_revoked(gateway: Gateway) -> None:
    name = fresh()
    first = sign_up(gateway, name)
    who = caller(gateway, first)
    other = ok(nobody(gateway).auth("sign-in/password", username=name, password=PASSWORD))

    listed = ok(who.auth("sessions"))["sessions"]

    members = {"id", "createTime", "lastUsed", "ip", "userAgent", "loginType", "current"}
    assert [one.keys() for one in listed] == [members] * 2
    [current] = [one for one in listed if one["current"]]
    assert (current["ip"], current["loginType"]) == ("127.0.0.1", "USERNAME")
    [theirs] = [one["id"] for one in listed if not one["current"]]
    ok(who.auth("sessions/revoke", id=theirs))
    assert refusal(me(caller(gateway, other)))[0] == 401
    assert refusal(renewed(gateway, other["refreshToken"])) == REVOKED
    assert refusal(who.auth("sessions/revoke", id="nowhere")) == ABSENT
    assert refusal(who.auth("sessions/revoke")) == INVALID
    ok(who.auth("sessions/revoke", all=True))
    assert refusal(me(who))[0] == 401


def test_nobody_revokes_another_s_session(gateway: Gateway) -> None:
    ann, bob = (caller(gateway, sign_up(gateway)) for _ in range(2))
    [hers] = ok(ann.auth("sessions"))["sessions"]
    assert refusal(bob.auth("sessions/revoke", id=hers["id"])) == ABSENT
    assert me(ann).status_code == 200


def test_a_profile_is_set_and_shown(gateway: Gateway) -> None:
    who = caller(gateway, sign_up(gateway))
    ok(who.auth("profile", nick="Ann", city="X"))
    user = ok(who.auth("profile", city=None))
    assert user["profile"] == {"nick": "Ann"}
    assert ok(me(who)) == user


def test_delete_takes_the_account_away(gateway: Gateway) -> None:
    name = fresh()
    session = sign_up(gateway, name)
    who = caller(gateway, session)
    assert ok(who.auth("delete")) == {}
    assert refusal(me(who))[0] == 401
    assert refusal(renewed(gateway, session["refreshToken"]))[0] == 401
    again = nobody(gateway).auth("sign-in/password", username=name, password=PASSWORD)
    assert refusal(again) == CREDENTIALS
    assert sign_up(gateway, name)["user"]["uid"] != session["user"]["uid"]


def test_link_keeps_the_uid_and_gives_a_session_of_the_new_kind(
    gateway: Gateway, wechat: FakeWechat
) -> None:
    wechat.knows("link", openid="o-link")
    before = ok(nobody(gateway).auth("sign-in/anonymous"))
    name = fresh()
    link = {"method": "password", "username": name, "password": PASSWORD}
    after = ok(caller(gateway, before).auth("link", **link))
    assert after.keys() == SESSION
    assert after["user"]["uid"] == before["user"]["uid"]
    assert (before["user"]["loginType"], after["user"]["loginType"]) == ("ANONYMOUS", "USERNAME")
    third = ok(caller(gateway, after).auth("link", method="wechat", code="link"))
    assert (third["user"]["uid"], third["user"]["loginType"]) == (after["user"]["uid"], "WECHAT")
    wechat.knows("later", openid="o-link")
    in_by_wechat = ok(nobody(gateway).auth("sign-in/wechat", code="later"))
    assert in_by_wechat["user"]["uid"] == before["user"]["uid"]


def test_unlink_takes_one_away_and_never_the_last(gateway: Gateway, wechat: FakeWechat) -> None:
    wechat.knows("un", openid="o-un")
    name = fresh()
    who = caller(gateway, sign_up(gateway, name))
    assert refusal(who.auth("unlink", method="password"))[0] in (400, 403, 409)
    who = caller(gateway, ok(who.auth("link", method="wechat", code="un")))
    ok(who.auth("unlink", method="password"))
    gone = nobody(gateway).auth("sign-in/password", username=name, password=PASSWORD)
    assert refusal(gone) == CREDENTIALS
    assert refusal(who.auth("unlink", method="wechat"))[0] in (400, 403, 409)


def test_a_password_is_changed_by_who_knows_the_old_one(gateway: Gateway) -> None:
    name = fresh()
    who = caller(gateway, sign_up(gateway, name))
    wrong = who.auth("password/change", oldPassword="wrong horse", newPassword="another horse")
    assert refusal(wrong) == CREDENTIALS
    ok(who.auth("password/change", oldPassword=PASSWORD, newPassword="another horse"))
    old, new = (
        nobody(gateway).auth("sign-in/password", username=name, password=password)
        for password in (PASSWORD, "another horse")
    )
    assert (refusal(old), new.status_code) == (CREDENTIALS, 200)


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("sign-out", {}),
        ("link", {"method": "password", "username": "x", "password": PASSWORD}),
        ("unlink", {"method": "password"}),
        ("password/change", {"oldPassword": PASSWORD, "newPassword": PASSWORD}),
        ("sessions", {}),
        ("sessions/revoke", {"all": True}),
        ("profile", {"a": 1}),
        ("delete", {}),
    ],
)
def test_what_is_about_an_account_needs_a_token(
    stranger: Caller, route: str, body: dict[str, Any]
) -> None:
    assert refusal(stranger.auth(route, **body)) == UNAUTHENTICATED


@pytest.mark.parametrize(
    "path", ["sign-in/ticket", "sign-in/code", "code", "sign-in/oidc/x", "password/reset", "mfa/x"]
)
def test_ways_that_are_named_and_not_there_yet(stranger: Caller, path: str) -> None:
    assert refusal(stranger.auth(path)) == NOT_YET


# -- roles and keys --------------------------------------------------------------------------------


def test_a_change_of_roles_acts_within_two_seconds(gateway: Gateway) -> None:
    name = fresh()
    who = caller(gateway, sign_up(gateway, name))
    assert who.refused("desk", "find") == DENIED
    command = (sys.executable, "-m", "baas", "user", "roles", name, "--add", "editor")
    subprocess.run([*command, "--data", gateway.data], cwd=gateway.folder, check=True, timeout=30)
    wait_until(lambda: who.ask("desk", "find").status_code == 200, seconds=2)


def test_an_admin_key_acts_with_server_rights_or_as_a_user(gateway: Gateway) -> None:
    uid = sign_up(gateway)["user"]["uid"]
    key = Caller(gateway, gateway.admin_key("database:read", "database:write"))
    [id] = key.put("desk", {"_openid": "someone"})
    assert key.do("desk", "get", id=id)["_openid"] == "someone"
    path = "/v1/database/desk/"
    as_user = key.post(path + "find", {}, x_baas_as=uid)
    assert refusal(as_user) == DENIED
    made = ok(key.post(path + "insert", {"document": {}, "return": False}, x_baas_as=uid))["ids"]
    assert key.do("desk", "get", id=made[0])["_openid"] == uid
    assert refusal(key.post(path + "find", {}, x_baas_as="no-such-user"))[0] in (401, 403, 404)


@pytest.mark.parametrize("path", ["/v1/admin/rules", "/v1/admin/users", "/v1/admin/auth/login"])
def test_admin_answers_401_to_every_other_token(gateway: Gateway, path: str) -> None:
    user = sign_up(gateway)["accessToken"]
    for token in (None, user, "nonsense"):
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        for method in ("GET", "POST"):
            answer = gateway.client.request(method, path, headers=headers)
            assert refusal(answer)[0] == 401, answer.text
