"""A parameter that is a string is a string: no operator, list or other JSON passes in its place.

The classic attack sends `{"password": {"$ne": null}}`. Runs over the API's own description, so
that a new route meets these tests by being there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from baas.gateway.routes import all_routes
from baas.settings import AuthSettings, Settings
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

RULES = {"rules/posts.yaml": "rules: {read: true, write: true}\n"}
#: What attackers send where a string is expected.
NOT_STRINGS: list[Any] = [
    {"$ne": None},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "1"},
    {},
    ["a"],
    [],
    [{"$ne": None}],
    True,
    1,
    1.5,
]
#: Texts that would be more than themselves if any layer evaluated them.
HOSTILE = [
    '{"$ne": null}',
    "[$ne]",
    "' OR '1'='1",
    '"; DROP TABLE c1_1; --',
    "$where",
    "%",
    ".*",
    "../../secret",
    "${7*7}",
    "\u202e",
]
OPERATIONS: dict[str, dict[str, Any]] = {
    "find": {"after": "x"},
    "get": {"id": "x"},
    "insert": {"document": {}},
    "update": {"id": "x", "update": {"$set": {"a": 1}}},
    "replace": {"id": "x", "document": {}},
    "delete": {"id": "x"},
}
BODIES: dict[str, dict[str, Any]] = {
    **{f"database.{verb}": body for verb, body in OPERATIONS.items()},
    "auth.sign-up": {"username": "x", "password": "long enough"},
    "auth.sign-in.password": {"username": "x", "password": "long enough"},
    "auth.sign-in.wechat": {"code": "x"},
    "auth.refresh": {"refreshToken": "x"},
    "auth.link": {"method": "password", "username": "x", "password": "long enough"},
    "auth.unlink": {"method": "password"},
    "auth.password.change": {"oldPassword": "long enough", "newPassword": "also long"},
    "auth.sessions.revoke": {"id": "x"},
}
#: Their bodies have no parameter that is a string; functions check events by their own types.
NO_STRINGS = {
    "database.count",
    "database.aggregate",
    "database.transaction",
    "auth.sign-in.anonymous",
    "auth.sign-out",
    "auth.sessions",
    "auth.profile",
    "auth.delete",
}
SETTINGS = Settings(auth=AuthSettings(wechat_appid="wx1", wechat_secret="s3"))
ROUTES = {route.name: route for route in all_routes(SETTINGS)}
STRINGS = [
    (name, field)
    for name, body in BODIES.items()
    for field, value in body.items()
    if isinstance(value, str)
]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), RULES)) as harness:
        yield harness


def path_of(name: str) -> str:
    return re.sub(r"{collection:str}", "posts", ROUTES[name].path)


def test_every_route_with_a_body_is_tried() -> None:
    with_body = {
        name
        for name, route in ROUTES.items()
        if route.body is not None and route.tag in ("database", "auth")
    }
    assert with_body == BODIES.keys() | NO_STRINGS


@pytest.mark.parametrize(("name", "field"), STRINGS)
def test_what_is_no_string_is_refused_by_name(app: Harness, name: str, field: str) -> None:
    token = app.sign_in()
    for value in NOT_STRINGS:
        answer = app.post(path_of(name), {**BODIES[name], field: value}, token)
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), (value, answer.body)
        assert [fault["path"] for fault in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("verb", OPERATIONS)
def test_nor_in_an_operation_of_a_transaction(app: Harness, verb: str) -> None:
    body = {"verb": verb, "collection": "posts", **OPERATIONS[verb]}
    for field in [name for name, value in body.items() if isinstance(value, str)]:
        for value in NOT_STRINGS:
            operations = {"operations": [{**body, field: value}]}
            answer = app.post("/v1/database/transaction", operations)
            assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), (value, answer.body)


@pytest.mark.parametrize("field", ["collection", "id", "etag"])
def test_nor_in_what_a_transaction_expects(app: Harness, field: str) -> None:
    expected = {"collection": "posts", "id": "x", "etag": '"x"'}
    for value in NOT_STRINGS:
        body = {"operations": [], "expect": [{**expected, field: value}]}
        answer = app.post("/v1/database/transaction", body)
        assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT"), (value, answer.body)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_id_names_nothing(app: Harness, text: str) -> None:
    app.post("/v1/database/posts/replace", {"id": "kept", "document": {}, "upsert": True})
    for verb in ("get", "update", "replace", "delete"):
        answer = app.post(f"/v1/database/posts/{verb}", {**OPERATIONS[verb], "id": text})
        assert answer.status in (400, 404), answer.body
    assert app.post("/v1/database/posts/get", {"id": "kept"}).status == 200


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_credentials_are_nobodys(app: Harness, text: str) -> None:
    account = {"username": "victim", "password": "correct horse"}
    app.post("/v1/auth/sign-up", account)
    for field in account:
        answer = app.post("/v1/auth/sign-in/password", {**account, field: text})
        assert (answer.status, answer.code) == (401, "INVALID_CREDENTIALS")
    answer = app.post("/v1/auth/refresh", {"refreshToken": text})
    assert answer.status == 401


@pytest.mark.parametrize("text", [text for text in HOSTILE if text.isascii()])
def test_hostile_headers_are_nobodys(app: Harness, text: str) -> None:
    key = app.admin_key("database:read")
    as_user = app.post("/v1/database/posts/find", {}, key, x_baas_as=text)
    assert as_user.status in (400, 401, 403, 404), as_user.body
    etag = {"collection": "posts", "id": "none", "etag": text}
    expecting = app.post("/v1/database/transaction", {"operations": [], "expect": [etag]})
    assert expecting.status in (400, 409), expecting.body
