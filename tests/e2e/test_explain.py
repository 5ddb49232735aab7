"""`X-Baas-Explain: 1`: why an admin key, or the user it acts as, sees what it sees."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

POSTS = """\
collection: posts
indexes: [{fields: [_openid]}]
define: {mine: doc._openid == auth.uid}
rules:
  read: mine || 'moderator' in auth.roles
  create: auth != null
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    files = {
        "rules/posts.yaml": POSTS,
        "rules/closed.yaml": "rules: {read: false}\n",
    }
    with running_app(write_app(tmp_path_factory.mktemp("app"), files)) as harness:
        yield harness


def test_a_user_is_explained_to_an_admin_key(app: Harness) -> None:
    user = app.post("/v1/auth/sign-in/anonymous").json()["user"]["uid"]

    answer = app.post(
        "/v1/database/posts/find",
        {},
        app.admin_key("database:read"),
        x_baas_as=user,
        x_baas_explain="1",
    ).json()

    explained = answer["explain"]
    assert answer["documents"] == []
    assert explained["verdict"] == "depends"
    assert user in explained["reduced"]
    assert {clause["verdict"] for clause in explained["clauses"]} == {"depends", "false"}
    assert explained["place"].startswith("posts.yaml:")
    assert any("INDEX" in line for line in explained["plan"]), explained["plan"]


def test_a_refusal_is_explained_too(app: Harness) -> None:
    user = app.post("/v1/auth/sign-in/anonymous").json()["user"]["uid"]
    headers = {"x_baas_as": user, "x_baas_explain": "1"}
    key = app.admin_key("database:read")

    answer = app.post("/v1/database/closed/find", {}, key, **headers)

    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")
    assert answer.json()["explain"]["verdict"] == "false"


def test_a_key_by_itself_is_told_that_no_rule_is_asked(app: Harness) -> None:
    key = app.admin_key("database:read")

    answer = app.post("/v1/database/posts/find", {}, key, x_baas_explain="1").json()

    assert answer["explain"]["trusted"] is True


def test_nobody_else_is_told_anything(app: Harness) -> None:
    for token in (None, app.sign_in()):
        plain = app.post("/v1/database/posts/find", {}, token)
        asked = app.post("/v1/database/posts/find", {}, token, x_baas_explain="1")

        assert asked.body == plain.body or asked.code == plain.code
        assert b"explain" not in asked.body
