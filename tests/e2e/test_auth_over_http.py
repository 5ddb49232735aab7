"""Auth from outside, as protocol.md names its bodies and answers; a gateway with two workers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, write_app

PASSWORD = "correct horse"
#: What the protocol allows a change to take until it acts in another process.
ACTS_WITHIN = 2.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("app"), NOTES_APP)
    with running(folder, "--workers", "2", BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


def auth(gateway: Gateway, route: str, body: Any = None, token: str | None = None) -> Any:
    answer = gateway.post(f"/v1/auth/{route}", body, token=token)
    assert answer.status_code == 200, answer.text
    return answer.json()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def me(gateway: Gateway, token: str) -> httpx.Response:
    """On a connection of its own, so that any of the workers may answer."""
    with httpx.Client(base_url=gateway.url, trust_env=False) as client:
        return client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"})


def soon(wanted: Callable[[], bool]) -> bool:
    """Whether it holds ten times running before `ACTS_WITHIN` and some time for the requests."""
    deadline = time.monotonic() + ACTS_WITHIN + 3
    while time.monotonic() < deadline:
        if all(wanted() for _ in range(10)):
            return True
    return False


def sign_up(gateway: Gateway, name: str) -> Any:
    return auth(gateway, "sign-up", {"username": name, "password": PASSWORD})


def test_a_session_has_the_members_of_the_protocol(gateway: Gateway) -> None:
    session = sign_up(gateway, "members")
    assert set(session) == {"accessToken", "refreshToken", "expiresIn", "user"}
    assert session["expiresIn"] == 900
    assert {"uid", "loginType", "roles"} <= session["user"].keys()
    assert me(gateway, session["accessToken"]).json() == session["user"]


def test_fifty_refreshes_at_once_over_two_workers_get_one_successor(gateway: Gateway) -> None:
    first = sign_up(gateway, "races")["refreshToken"]

    def refresh(token: str) -> httpx.Response:
        with httpx.Client(base_url=gateway.url, trust_env=False, timeout=20) as client:
            return client.post("/v1/auth/refresh", json={"refreshToken": token})

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(refresh, [first] * 50))
    assert [answer.status_code for answer in answers] == [200] * 50
    [second] = {answer.json()["refreshToken"] for answer in answers}
    assert refresh(second).status_code == 200
    assert code(refresh(first)) == (401, "SESSION_REVOKED")
    assert code(refresh(second)) == (401, "SESSION_REVOKED")


def test_an_anonymous_user_s_documents_follow_into_the_account(gateway: Gateway) -> None:
    before = auth(gateway, "sign-in/anonymous")
    note = {"document": {"text": "mine"}}
    path = "/v1/database/notes/"
    assert gateway.post(path + "insert", note, token=before["accessToken"]).status_code == 200
    link = {"method": "password", "username": "linked", "password": PASSWORD}
    after = auth(gateway, "link", link, before["accessToken"])
    assert after["user"]["uid"] == before["user"]["uid"]
    assert after["user"]["loginType"] == "USERNAME"
    found = gateway.post(path + "find", {}, token=after["accessToken"]).json()
    assert "mine" in [document["text"] for document in found["documents"]]
    again = auth(gateway, "sign-in/password", {"username": "LINKED", "password": PASSWORD})
    assert again["user"]["uid"] == before["user"]["uid"]


def test_signing_out_acts_on_every_worker_within_two_seconds(gateway: Gateway) -> None:
    token = sign_up(gateway, "leaver")["accessToken"]
    assert soon(lambda: me(gateway, token).status_code == 200)  # both workers remember
    auth(gateway, "sign-out", {}, token)
    assert soon(lambda: me(gateway, token).status_code == 401)


def test_roles_given_on_the_command_line_act_within_two_seconds(gateway: Gateway) -> None:
    token = sign_up(gateway, "promoted")["accessToken"]
    command = (sys.executable, "-m", "baas", "user", "roles", "promoted", "--add", "editor")
    subprocess.run([*command, "--data", gateway.data], cwd=gateway.folder, check=True, timeout=30)
    assert soon(lambda: me(gateway, token).json()["roles"] == ["editor"])


def test_an_admin_key_is_held_by_its_scopes_also_as_a_user(gateway: Gateway) -> None:
    user = sign_up(gateway, "owned")["user"]
    key = gateway.admin_key("database:read")
    find, insert = "/v1/database/notes/find", "/v1/database/notes/insert"
    note = {"document": {"text": "x"}}
    for headers in ({}, {"x_baas_as": user["uid"]}):
        assert gateway.post(find, {}, token=key, **headers).status_code == 200
        refused = gateway.post(insert, note, token=key, **headers)
        assert code(refused) == (403, "PERMISSION_DENIED")
        assert "database:write" in refused.json()["detail"]
    as_other = gateway.post(find, {}, token=sign_up(gateway, "x")["accessToken"], x_baas_as="y")
    assert code(as_other) == (403, "PERMISSION_DENIED")


def test_the_published_keys_verify_tokens(gateway: Gateway) -> None:
    token = sign_up(gateway, "verified")["accessToken"]
    keys = gateway.client.get("/.well-known/jwks.json").json()
    key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["EdDSA"], options={"verify_aud": False})
    assert claims["aud"].endswith("/access")
    assert all(type(claims[name]) is int for name in ("iat", "exp"))


@pytest.mark.parametrize(
    ("route", "body", "path"),
    [
        ("sign-up", {"username": "a", "password": PASSWORD, "roles": ["admin"]}, "roles"),
        ("sign-up", {"username": "a"}, "password"),
        ("sign-up", {"username": {"$ne": ""}, "password": PASSWORD}, "username"),
        ("sign-in/password", {"username": "a", "password": {"$ne": ""}}, "password"),
        ("sign-in/anonymous", {"uid": "mine"}, "uid"),
        ("refresh", {"refreshToken": ["x"]}, "refreshToken"),
    ],
    ids=str,
)
def test_a_bad_body_is_named_by_its_field(
    gateway: Gateway, route: str, body: Any, path: str
) -> None:
    answer = gateway.post(f"/v1/auth/{route}", body)
    assert code(answer) == (400, "INVALID_ARGUMENT")
    assert answer.json()["errors"][0]["path"] == path


@pytest.mark.parametrize(
    "route",
    ["sign-in/ticket", "sign-in/code", "code", "sign-in/oidc/acme", "password/reset", "mfa/enroll"],
)
def test_what_is_not_there_yet_says_so(gateway: Gateway, route: str) -> None:
    assert code(gateway.post(f"/v1/auth/{route}")) == (501, "NOT_SUPPORTED")
