"""No route gives or takes anything unless something says so: a rule, a token, an admin key.

Runs over the route table itself, so that a new route meets these tests by being there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from baas.auth.roles import SCOPES_OF
from baas.gateway.admin import is_admin_path
from baas.gateway.adminroutes.accounts import ENTRANCES, PERSONAL
from baas.gateway.audit import changes
from baas.gateway.route import Route
from baas.gateway.routes import all_routes
from baas.settings import ObserveSettings, Settings
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app

#: What a stranger may have without anything else, and why.
OPEN = {
    "operations.jwks": "public keys",
    "operations.healthz": "alive or not",
    "operations.readyz": "ready or not",
    "operations.metrics": "numbers, to be kept from strangers at the proxy or by `observe.metrics`",
    "operations.docs": "the kit's own page",
    "operations.docs_file": "the kit's own page",
}
#: Ways to become someone; each proves itself by its body.
SIGN_IN = {"auth.sign-up", "auth.sign-in.password", "auth.sign-in.anonymous", "auth.sign-in.wechat"}
NOT_YET = {
    "auth.sign-in.ticket",
    "auth.sign-in.code",
    "auth.code",
    "auth.sign-in.oidc.provider",
    "auth.password.reset",
    "auth.mfa.step",
}

ROUTES = all_routes(Settings())


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """An app that says nothing: no rules, no public folder."""
    with running_app(write_app(tmp_path_factory.mktemp("app"), {})) as harness:
        yield harness


def call(app: Harness, route: Route, token: str | None = None) -> Reply:
    path = route.path
    for name, value in {
        "collection:str": "posts",
        "id:str": "x",
        "file:str": "docs.js",
        "provider:str": "x",
        "step:str": "x",
        "name:str": "greet",
    }.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    body = _BODIES.get(route.name, b"{}")
    return app.request(route.method, path, body, headers)


#: A well-formed body for each verb, so that what refuses it is not its form.
_BODIES = {
    "database.get": b'{"id": "x"}',
    "database.insert": b'{"document": {"a": 1}}',
    "database.update": b'{"id": "x", "update": {"$set": {"a": 1}}}',
    "database.replace": b'{"id": "x", "document": {}}',
    "database.delete": b'{"id": "x"}',
    "database.aggregate": b'{"pipeline": []}',
    "database.transaction": (
        b'{"operations": [{"verb": "insert", "collection": "posts", "document": {}}]}'
    ),
    "auth.link": b'{"method": "wechat", "code": "x"}',
    "auth.unlink": b'{"method": "wechat"}',
    "auth.password.change": b'{"oldPassword": "old-old-old", "newPassword": "new-new-new"}',
    "auth.sessions.revoke": b'{"all": true}',
}


def ids(routes: list[Route]) -> list[str]:
    return [route.name for route in routes]


DATABASE = [route for route in ROUTES if route.tag == "database"]
USER = [route for route in ROUTES if route.access == "user"]
ADMIN = [route for route in ROUTES if is_admin_path(route.path) and route not in ENTRANCES]
SCOPED = [route for route in ADMIN if route not in PERSONAL]


@pytest.mark.parametrize("route", DATABASE, ids=ids(DATABASE))
def test_without_a_rule_no_document_is_read_or_written(app: Harness, route: Route) -> None:
    for token in (None, app.sign_in()):
        answer = call(app, route, token)

        assert (answer.status, answer.code) == (403, "PERMISSION_DENIED"), answer.body


@pytest.mark.parametrize("route", USER, ids=ids(USER))
def test_what_belongs_to_an_account_needs_its_token(app: Harness, route: Route) -> None:
    answer = call(app, route)

    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("route", ADMIN, ids=ids(ADMIN))
def test_the_admin_api_needs_an_admin_key(app: Harness, route: Route) -> None:
    for token in (None, app.sign_in(), "nonsense", "bak_nonsense"):
        answer = call(app, route, token)

        assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "path",
    ["/v1/admin", "/v1/admin/", "/v1/admin/nothing", "/v1/admin/rules/", "/v1/admin//rules"],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_a_stranger_cannot_tell_which_admin_routes_exist(
    app: Harness, path: str, method: str
) -> None:
    answer = app.request(method, path, b"not json", {"content-type": "image/png"})

    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("route", ENTRANCES, ids=ids(list(ENTRANCES)))
def test_the_doors_of_the_panel_take_no_token_but_an_admin_keys(app: Harness, route: Route) -> None:
    for token in (app.sign_in(), "nonsense", "bak_nonsense"):
        answer = call(app, route, token)

        assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert call(app, route).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("route", PERSONAL, ids=ids(list(PERSONAL)))
def test_what_belongs_to_a_person_at_the_panel_is_not_for_keys(app: Harness, route: Route) -> None:
    answer = call(app, route, app.admin_key("*"))

    if route.name == "admin.auth.me":
        assert answer.json()["admin"] is None
    else:
        assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("route", SCOPED, ids=ids(SCOPED))
def test_an_admin_key_needs_the_scope(app: Harness, route: Route) -> None:
    other = "users:read" if (route.scope or "").startswith("push:") else "push:read"
    assert call(app, route, app.admin_key(other)).code == "PERMISSION_DENIED"
    # With it the door is open; what lies behind may still not be there, or not be well formed.
    assert call(app, route, app.admin_key("*")).status not in (401, 403)


#: Whatever an admin key could change, on its own API or on the app's.
CHANGING = [
    route
    for route in ROUTES
    if changes(route)
    and route not in (*ENTRANCES, *PERSONAL)
    and (route.access == "admin" or route.tag in ("database", "functions", "storage"))
]


@pytest.mark.parametrize("route", CHANGING, ids=ids(CHANGING))
def test_a_viewer_changes_nothing_by_any_route(app: Harness, route: Route) -> None:
    answer = call(app, route, app.admin_key(*SCOPES_OF["viewer"]))

    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED"), answer.body


@pytest.mark.parametrize("route", DATABASE, ids=ids(DATABASE))
def test_an_admin_key_without_the_scope_reads_and_writes_nothing(
    app: Harness, route: Route
) -> None:
    needed = "read" if not route.idempotent else "write"
    other = {"read": "users:read", "write": "database:read"}[needed]

    answer = call(app, route, app.admin_key(other))

    assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


def test_every_route_is_of_one_of_the_known_kinds() -> None:
    """A new route that is open has to be named above, with its reason."""
    for route in ROUTES:
        if route.access == "open":
            assert route.name in OPEN, route.name
        elif route.access == "anyone":
            known = SIGN_IN | NOT_YET | {"auth.refresh"} | set(ids(list(ENTRANCES)))
            # Of functions and files: test_functions_denied_by_default.py, test_files_are_denied.py;
            # of realtime: the rules of its collection or channel are asked for each frame.
            ruled = ("database", "functions", "storage", "realtime")
            assert route.tag in ruled or route.name in known, route.name
        elif route.access == "admin":
            assert is_admin_path(route.path)
        else:
            assert route.access == "user"


def test_open_routes_show_nothing_of_the_data(app: Harness) -> None:
    token = app.admin_key("*")
    made = app.post("/v1/database/posts/insert", {"document": {"x": "hidden-value"}}, token)
    assert made.status == 200
    for route in ROUTES:
        if route.access == "open":
            assert b"hidden-value" not in call(app, route).body


def test_names_that_begin_with_an_underscore_do_not_exist_for_anyone(app: Harness) -> None:
    for token in (None, app.sign_in(), app.admin_key("*")):
        for name in ("_users", "_sessions", "_keys", "_admin_keys", "_anything"):
            answer = app.post(f"/v1/database/{name}/find", {}, token)
            assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


def test_numbers_can_be_kept_for_admin_keys(tmp_path: Path) -> None:
    settings = Settings(observe=ObserveSettings(metrics="key"))
    with running_app(write_app(tmp_path, {"baas.yaml": ""}), settings) as app:
        assert app.get("/metrics").code == "UNAUTHENTICATED"
        assert app.get("/metrics", app.sign_in()).code == "UNAUTHENTICATED"
        assert app.get("/metrics", app.admin_key("users:read")).code == "PERMISSION_DENIED"
        assert b"baas_requests_total" in app.get("/metrics", app.admin_key("settings:read")).body
        assert app.get("/readyz").status == 200
