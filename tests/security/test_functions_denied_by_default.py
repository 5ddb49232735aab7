"""Nobody calls a function unless rules/_functions.yaml says so, and what nobody may call cannot be
told from its answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

_CODE = """
from baas import fn

RAN = []

@fn.event()
async def hello(ctx, event):
    RAN.append(event)
    return "hello"

@fn.timer("0 3 * * *")
async def nightly(ctx, event):
    return "ran"

@fn.event()
@fn.http("GET", "/open")
async def both(ctx, event):
    return "open"

@fn.http("GET", "/staff")
async def staff(ctx, event):
    return ctx.auth.uid if ctx.auth else None

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"mounted"})

fn.mount("/shop", app)
"""


@pytest.fixture(scope="module")
def unruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"functions/main.py": _CODE})
    with running_app(folder) as harness:
        yield harness


@pytest.fixture(scope="module")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    rules = (
        '"*": {invoke: auth != null}\n'
        "both: {invoke: \"request.data.word == 'please'\"}\n"
        "staff: {http: \"'staff' in auth.roles\"}\n"
        "/shop: {http: auth != null}\n"
    )
    files = {"functions/main.py": _CODE, "rules/_functions.yaml": rules}
    with running_app(write_app(tmp_path_factory.mktemp("app"), files)) as harness:
        yield harness


@pytest.mark.parametrize("name", ["hello", "nightly", "both", "staff"])
def test_without_a_rule_no_function_is_called(unruled: Harness, name: str) -> None:
    for token in (None, unruled.sign_in()):
        for query in ("", "mode=async"):
            headers = {} if token is None else {"authorization": f"Bearer {token}"}
            answer = unruled.request("POST", f"/v1/functions/{name}", b"{}", headers, query=query)

            assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


def test_the_rule_for_all_needs_what_it_says(ruled: Harness) -> None:
    assert ruled.post("/v1/functions/hello").code == "PERMISSION_DENIED"
    assert ruled.post("/v1/functions/hello", {}, ruled.sign_in()).json() == "hello"


def test_the_rule_for_all_opens_nothing_that_is_not_an_event_function(ruled: Harness) -> None:
    token = ruled.sign_in()

    assert ruled.post("/v1/functions/nightly", {}, token).code == "PERMISSION_DENIED"
    assert ruled.post("/v1/functions/staff", {}, token).code == "PERMISSION_DENIED"


def test_a_rule_by_name_wins_over_the_one_for_all(ruled: Harness) -> None:
    token = ruled.sign_in()

    assert ruled.post("/v1/functions/both", {}, token).code == "PERMISSION_DENIED"
    assert ruled.post("/v1/functions/both", {"word": "please"}).json() == "open"


def test_what_is_not_there_is_404_for_everyone(ruled: Harness) -> None:
    for token in (None, ruled.sign_in(), ruled.admin_key("*")):
        assert ruled.post("/v1/functions/absent", {}, token).code == "NOT_FOUND"


@pytest.mark.parametrize("name", ["_hello", "hello.x", "..%2fhello", "HELLO"])
def test_no_other_spelling_reaches_a_function(ruled: Harness, name: str) -> None:
    assert ruled.post(f"/v1/functions/{name}", {}, ruled.sign_in()).status == 404


def test_a_bad_token_is_refused_before_the_body_is_read(ruled: Harness) -> None:
    headers = {"authorization": "Bearer nonsense", "content-type": "image/png"}

    answer = ruled.request("POST", "/v1/functions/hello", b"not json", headers)

    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")


def test_an_admin_key_needs_the_scope(ruled: Harness) -> None:
    weak, strong = ruled.admin_key("functions:read"), ruled.admin_key("functions:write")

    assert ruled.post("/v1/functions/nightly", {}, weak).code == "PERMISSION_DENIED"
    # With it, rules do not apply; a timer's function still wants a timer's event.
    assert ruled.post("/v1/functions/hello", {}, strong).json() == "hello"
    for path in ("/http/staff", "/http/shop/any"):
        assert ruled.get(path, weak).code == "PERMISSION_DENIED"
        assert ruled.get(path, strong).status == 200
    as_user = {"x_baas_as": ruled.get("/v1/auth/me", ruled.sign_in()).json()["uid"]}
    assert ruled.get("/http/shop/any", weak, **as_user).code == "PERMISSION_DENIED"


def test_http_functions_and_mounts_are_open_unless_narrowed(unruled: Harness) -> None:
    assert unruled.get("/http/open").json() == "open"
    assert unruled.get("/http/staff").json() is None
    assert unruled.get("/http/shop/any").body == b"mounted"


def test_http_rules_narrow_functions_and_mounts(ruled: Harness) -> None:
    token = ruled.sign_in()

    assert ruled.get("/http/staff").code == "PERMISSION_DENIED"
    assert ruled.get("/http/staff", token).code == "PERMISSION_DENIED"
    assert ruled.get("/http/shop/any").code == "PERMISSION_DENIED"
    assert ruled.get("/http/shop/any", token).body == b"mounted"


@pytest.mark.parametrize("path", ["/http/shop", "/http/shop/", "/http/shop//x", "/http/shop/../x"])
def test_no_spelling_of_a_path_goes_round_a_mounts_rule(ruled: Harness, path: str) -> None:
    assert ruled.get(path).status in (403, 404)


def test_a_bad_token_is_refused_where_a_rule_looks_at_it(ruled: Harness, unruled: Harness) -> None:
    assert ruled.get("/http/shop/any", "nonsense").status == 401
    assert ruled.get("/http/open", "nonsense").status == 401
    # The app's own business where none does: it may have tokens of its own.
    assert unruled.get("/http/shop/any", "nonsense").body == b"mounted"


def test_an_invocation_is_its_callers_alone(ruled: Harness) -> None:
    owner = ruled.sign_in()
    headers = {"authorization": f"Bearer {owner}"}
    accepted = ruled.request("POST", "/v1/functions/hello", b"{}", headers, query="mode=async")
    assert accepted.status == 202, accepted.body
    path = f"/v1/functions/invocations/{accepted.json()['invocationId']}"

    assert ruled.get(path, owner).status == 200
    assert ruled.get(path, ruled.admin_key("functions:read")).status == 200
    assert ruled.get(path, ruled.admin_key("database:read")).code == "PERMISSION_DENIED"
    for stranger in (None, ruled.sign_in()):
        absent = ruled.get("/v1/functions/invocations/absent", stranger)
        hidden = ruled.get(path, stranger)
        assert hidden.status == absent.status == 404
        assert hidden.json()["detail"] == absent.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "mode=later",
        "delay=1",
        "mode=async&delay=-1",
        "x=1",
        "mode=async&delay=nan",
        "mode=async&delay=9999999",
    ],
)
def test_a_mode_that_is_none_is_refused(ruled: Harness, query: str) -> None:
    answer = ruled.request("POST", "/v1/functions/both", b'{"word":"please"}', query=query)

    assert (answer.status, answer.code) == (400, "INVALID_ARGUMENT")
