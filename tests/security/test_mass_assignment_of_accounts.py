"""Nobody gives an account roles, a uid, or anything else that is not its own to give."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

RULES = {
    "rules/desk.yaml": "rules: {read: \"'editor' in auth.roles\"}\n",
    "rules/own.yaml": "rules: {read: auth.uid == 'chosen' || auth.claims.admin == true}\n",
}
PASSWORD = "correct horse"
#: Members that an account has, or that other kits let clients set.
FORGED: dict[str, Any] = {
    "roles": ["editor"],
    "uid": "chosen",
    "_id": "chosen",
    "_openid": "chosen",
    "openid": "chosen",
    "unionid": "chosen",
    "loginType": "WECHAT",
    "claims": {"admin": True},
    "identities": {"wechat": {"openid": "chosen"}},
    "disabled": False,
    "createTime": {"$date": 0},
    "admin": True,
    "scopes": ["*"],
    "sid": "chosen",
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), RULES)) as harness:
        yield harness


BODIES: dict[str, dict[str, Any]] = {
    "sign-up": {"username": "someone", "password": PASSWORD},
    "sign-in/password": {"username": "someone", "password": PASSWORD},
    "sign-in/anonymous": {},
    "refresh": {"refreshToken": "x"},
    "link": {"method": "password", "username": "other", "password": PASSWORD},
    "unlink": {"method": "password"},
    "password/change": {"oldPassword": PASSWORD, "newPassword": "another horse"},
    "sign-out": {},
    "sessions": {},
    "delete": {},
}


@pytest.mark.parametrize("route", BODIES)
@pytest.mark.parametrize("name", FORGED)
def test_a_member_that_is_not_of_the_body_is_refused_by_name(
    app: Harness, route: str, name: str
) -> None:
    body = {**BODIES[route], name: FORGED[name]}
    answer = app.post(f"/v1/auth/{route}", body, app.sign_in())
    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
    assert [fault["path"] for fault in answer.json()["errors"]] == [name]


def test_a_profile_is_a_profile_whatever_its_members_are_called(app: Harness) -> None:
    body = {"username": "profiled", "password": PASSWORD, "profile": FORGED}
    signed_up = app.post("/v1/auth/sign-up", body)
    assert signed_up.status == 200, signed_up.body
    token = signed_up.json()["accessToken"]
    uid = signed_up.json()["user"]["uid"]
    for user in (
        signed_up.json()["user"],
        app.post("/v1/auth/profile", FORGED, token).json(),
        app.get("/v1/auth/me", token).json(),
    ):
        assert (user["uid"], user["roles"], user["loginType"]) == (uid, [], "USERNAME")
        assert user["identities"].keys() == {"password"}
    assert uid != "chosen"
    for collection in ("desk", "own"):
        assert app.post(f"/v1/database/{collection}/find", {}, token).status == 403


def test_a_user_cannot_act_as_another(app: Harness) -> None:
    victim = app.post("/v1/auth/sign-up", {"username": "victim", "password": PASSWORD}).json()
    answer = app.post("/v1/database/desk/find", {}, app.sign_in(), x_baas_as=victim["user"]["uid"])
    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
