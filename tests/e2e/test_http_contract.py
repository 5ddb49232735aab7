"""The HTTP part of the protocol, from outside: methods, codes, types, ids, limits, origins."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, write_app

FIND = "/v1/database/notes/find"
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("app"), NOTES_APP)
    with running(folder, BAAS_LIMITS__BODY_BYTES="20000", BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return gateway.sign_in()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    members: dict[str, Any] = answer.json()
    assert members["code"] == code, members
    assert members["status"] == status
    assert members["requestId"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= members.keys()
    return members


# -- the whole way ---------------------------------------------------------------------------------


def test_a_document_goes_in_and_comes_back(gateway: Gateway, token: str) -> None:
    inserted = gateway.post(
        "/v1/database/notes/insert", {"document": {"_id": "n1", "n": 1}}, token=token
    )
    assert (inserted.status_code, inserted.json()) == (200, {"ids": ["n1"]})

    got = gateway.post("/v1/database/notes/get", {"id": "n1"}, token=token)
    assert got.status_code == 200
    assert got.json()["n"] == 1

    listed = gateway.post(FIND, {"filter": {"n": 1}}, token=token)
    assert [document["_id"] for document in listed.json()["documents"]] == ["n1"]


def test_get_carries_the_entity_tag_that_the_get_route_honours(
    gateway: Gateway, token: str
) -> None:
    gateway.post("/v1/database/notes/insert", {"document": {"_id": "tagged"}}, token=token)
    bearer = {"authorization": f"Bearer {token}"}
    tag = gateway.post("/v1/database/notes/get", {"id": "tagged"}, token=token).headers["etag"]

    route = "/v1/database/notes/documents/tagged"
    again = gateway.client.get(route, headers={**bearer, "if-none-match": tag})
    whole = gateway.client.get(route, headers={**bearer, "if-none-match": '"other"'})

    assert (again.status_code, again.content) == (304, b"")
    assert "content-length" not in again.headers
    assert (whole.status_code, whole.headers["etag"]) == (200, tag)


def test_a_transaction_is_one_request(gateway: Gateway, token: str) -> None:
    answer = gateway.post(
        "/v1/database/transaction",
        {
            "operations": [
                {"verb": "insert", "collection": "notes", "document": {"_id": "t1"}},
                {"verb": "get", "collection": "notes", "id": "t1"},
            ]
        },
        token=token,
    )

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["results"]) == 2


# -- methods and paths -----------------------------------------------------------------------------

ROUTES = [
    ("POST", FIND),
    ("POST", "/v1/database/notes/get"),
    ("POST", "/v1/database/notes/count"),
    ("POST", "/v1/database/notes/insert"),
    ("POST", "/v1/database/notes/update"),
    ("POST", "/v1/database/notes/replace"),
    ("POST", "/v1/database/notes/delete"),
    ("POST", "/v1/database/notes/aggregate"),
    ("GET", "/v1/database/notes/documents/x"),
    ("POST", "/v1/database/transaction"),
    ("POST", "/v1/auth/sign-up"),
    ("POST", "/v1/auth/sign-in/password"),
    ("POST", "/v1/auth/sign-in/anonymous"),
    ("POST", "/v1/auth/refresh"),
    ("POST", "/v1/auth/sign-out"),
    ("POST", "/v1/auth/sessions"),
    ("GET", "/v1/auth/me"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_another_method_is_405_and_names_the_right_one(
    gateway: Gateway, method: str, path: str
) -> None:
    for other in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {method}:
        answer = gateway.client.request(other, path)

        assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
        assert method in answer.headers["allow"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v1/",
        "/v1/nothing",
        "/v1/database",
        "/v1/database/notes",
        "/v1/database/notes/drop",
        "/v1/database/notes/find/more",
        "/v1//database/notes/find",
        "/v2/database/notes/find",
        "/v1/storage/nothing",
        "/v1/functions",
        "/http/nothing",
        "/v1/realtime",
        "/docs/nothing.js",
        "/nothing.html",
    ],
)
def test_what_does_not_exist_is_a_404_problem(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.client.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/v1/database/notes/drop", "/v1/nothing", "/v1//auth/sign-up"])
def test_also_for_post(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.post(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/"])
def test_head_answers_like_get_without_the_body(gateway: Gateway, path: str) -> None:
    head, get = gateway.client.head(path), gateway.client.get(path)

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(get.content))


@pytest.mark.parametrize(
    "path",
    ["sign-in/ticket", "sign-in/code", "code", "sign-in/oidc/x", "password/reset", "mfa/enroll"],
)
def test_what_the_protocol_names_and_is_not_there_yet_says_so(gateway: Gateway, path: str) -> None:
    assert_problem(gateway.post(f"/v1/auth/{path}"), 501, "NOT_SUPPORTED")


# -- bodies ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [FIND, "/v1/auth/sign-in/anonymous"])
@pytest.mark.parametrize(
    "type", ["application/json", "text/plain", "text/plain;charset=UTF-8", None]
)
def test_json_is_read_whether_called_json_or_text(
    gateway: Gateway, token: str, path: str, type: str | None
) -> None:
    headers = {"authorization": f"Bearer {token}"}
    if type is not None:
        headers["content-type"] = type

    assert gateway.client.post(path, content=b"{}", headers=headers).status_code == 200


@pytest.mark.parametrize("path", [FIND, "/v1/auth/sign-in/anonymous", "/v1/database/transaction"])
@pytest.mark.parametrize(
    "type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "image/png"]
)
def test_other_types_are_415(gateway: Gateway, path: str, type: str) -> None:
    answer = gateway.client.post(path, content=b"{}", headers={"content-type": type})

    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("path", [FIND, "/v1/auth/sign-in/password", "/v1/database/transaction"])
@pytest.mark.parametrize(
    "body", [b"{", b"nonsense", b"\xff\xfe", b'{"a": NaN}', b"{} {}", b"[" * 9000]
)
def test_what_is_not_json_is_400(gateway: Gateway, path: str, body: bytes) -> None:
    answer = gateway.client.post(path, content=body, headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["code"] in ("INVALID_ARGUMENT", "LIMIT_EXCEEDED")


@pytest.mark.parametrize(
    "path", [FIND, "/v1/auth/sign-up", "/v1/auth/sign-in/anonymous", "/v1/database/transaction"]
)
@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"text"'])
def test_what_is_no_object_is_400(gateway: Gateway, path: str, body: bytes) -> None:
    answer = gateway.client.post(path, content=body, headers=JSON)

    assert_problem(answer, 400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        (FIND, {"filtr": {}}, "filtr"),
        ("/v1/database/notes/insert", {"document": {}, "upsert": True}, "upsert"),
        ("/v1/auth/sign-in/anonymous", {"uid": "me"}, "uid"),
        ("/v1/auth/sign-up", {"username": "a", "password": "b" * 9, "roles": ["x"]}, "roles"),
        ("/v1/database/transaction", {"operations": [], "more": 1}, "more"),
    ],
)
def test_unknown_fields_are_refused_by_name(
    gateway: Gateway, path: str, body: Any, at: str
) -> None:
    members = assert_problem(gateway.post(path, body), 400, "INVALID_ARGUMENT")

    assert [fault["path"] for fault in members["errors"]] == [at]


@pytest.mark.parametrize(
    ("path", "body", "at"),
    [
        (FIND, {"limit": "10"}, "limit"),
        (FIND, {"count": 1}, "count"),
        ("/v1/auth/sign-in/password", {"username": 1, "password": "x"}, "username"),
        (
            "/v1/database/transaction",
            {"operations": [{"verb": "get", "collection": "notes", "id": 5}]},
            "operations.0.id",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named_by_its_path(
    gateway: Gateway, path: str, body: Any, at: str
) -> None:
    members = assert_problem(gateway.post(path, body), 400, "INVALID_ARGUMENT")

    assert [fault["path"] for fault in members["errors"]] == [at]


@pytest.mark.parametrize("path", [FIND, "/v1/database/transaction", "/v1/auth/sign-up"])
def test_a_body_over_the_limit_is_413(gateway: Gateway, path: str) -> None:
    body = b'{"filter": {"a": "' + b"x" * 20_000 + b'"}}'

    assert_problem(gateway.client.post(path, content=body, headers=JSON), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("path", [FIND, "/v1/database/transaction"])
def test_also_when_it_does_not_say_how_long_it_is(gateway: Gateway, path: str) -> None:
    def parts() -> Iterator[bytes]:
        yield b'{"filter": {"a": "'
        for _ in range(40):
            yield b"x" * 1000

    assert_problem(
        gateway.client.post(path, content=parts(), headers=JSON), 413, "PAYLOAD_TOO_LARGE"
    )


def test_a_body_in_parts_is_read_whole(gateway: Gateway, token: str) -> None:
    headers = {**JSON, "authorization": f"Bearer {token}"}

    answer = gateway.client.post(FIND, content=iter([b'{"lim', b'it":', b" 1}"]), headers=headers)

    assert answer.status_code == 200


def test_the_token_is_judged_before_the_body_has_come(gateway: Gateway) -> None:
    """A stranger cannot make the server wait for, or hold, a body that would be refused."""
    head = (
        f"POST {FIND} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer nonsense\r\n"
        "content-type: application/json\r\ncontent-length: 5000\r\n\r\n"
    )
    with socket.create_connection(gateway.host_and_port, timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


# -- who calls -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [FIND, "/v1/database/transaction", "/v1/auth/sign-in/anonymous"])
@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic eDp5", "nonsense", ""])
def test_a_token_that_is_sent_must_be_good(gateway: Gateway, path: str, header: str) -> None:
    answer = gateway.client.post(path, json={}, headers={"authorization": header})

    assert_problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_refresh_does_not_look_at_the_access_token(gateway: Gateway) -> None:
    session = gateway.post("/v1/auth/sign-in/anonymous").json()

    answer = gateway.post(
        "/v1/auth/refresh", {"refreshToken": session["refreshToken"]}, token="expired-nonsense"
    )

    assert answer.status_code == 200


@pytest.mark.parametrize("name", ["token", "access_token", "accessToken"])
def test_a_token_in_the_url_is_refused(gateway: Gateway, token: str, name: str) -> None:
    for path in (FIND, "/v1/auth/sign-in/anonymous"):
        answer = gateway.client.post(path, params={name: token}, json={})

        assert_problem(answer, 401, "UNAUTHENTICATED")


def test_a_rule_refuses_with_403_with_or_without_a_token(gateway: Gateway, token: str) -> None:
    for given in (None, token):
        answer = gateway.post("/v1/database/closed/find", token=given)

        assert_problem(answer, 403, "PERMISSION_DENIED")


def test_a_collection_that_no_file_names_answers_as_one_that_allows_nothing(
    gateway: Gateway, token: str
) -> None:
    closed = gateway.post("/v1/database/closed/find", token=token).json()
    unknown = gateway.post("/v1/database/nowhere/find", token=token).json()

    assert (closed["code"], closed["status"]) == (unknown["code"], unknown["status"])
    assert closed["detail"].replace("closed", "nowhere") == unknown["detail"]


# -- ids, origins, descriptions --------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/healthz", "/nothing", FIND, "/v1/nothing", "/docs"])
def test_every_answer_has_a_request_id_and_is_not_sniffed(gateway: Gateway, path: str) -> None:
    for method in ("GET", "POST"):
        headers = gateway.client.request(method, path).headers

        assert headers["x-request-id"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


@pytest.mark.parametrize("path", ["/healthz", FIND, "/nothing"])
def test_a_sane_request_id_is_given_back(gateway: Gateway, path: str) -> None:
    answer = gateway.client.post(path, headers={"x-request-id": "my.id-7"})

    assert answer.headers["x-request-id"] == "my.id-7"


def test_request_and_trace_ids_are_in_the_log(gateway: Gateway) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    parent = f"00-{trace}-b7ad6b7169203331-01"
    gateway.post(FIND, x_request_id="find-me", traceparent=parent)

    line = gateway.logged(id="find-me")

    assert (line["trace"], line["route"]) == (trace, "database.find")


@pytest.mark.parametrize("path", [FIND, "/v1/auth/sign-in/anonymous", "/v1/nothing"])
def test_any_origin_may_call_v1_without_credentials(gateway: Gateway, path: str) -> None:
    origin = {"origin": "https://elsewhere.example"}
    asked = {**origin, "access-control-request-method": "POST"}

    preflight = gateway.client.options(path, headers=asked)
    answer = gateway.client.post(path, json={}, headers=origin)

    assert preflight.status_code == 204
    for headers in (preflight.headers, answer.headers):
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers
    assert "Authorization" in preflight.headers["access-control-allow-headers"]


@pytest.mark.parametrize("path", ["/v1/admin", "/v1/admin/rules", "/healthz", "/"])
def test_nothing_else_is_opened_to_other_origins(gateway: Gateway, path: str) -> None:
    origin = {"origin": "https://elsewhere.example", "access-control-request-method": "GET"}

    for method in ("OPTIONS", "GET"):
        headers = gateway.client.request(method, path, headers=origin).headers
        assert not [name for name in headers if name.startswith("access-control")]


def test_a_refusal_can_be_read_by_other_origins(gateway: Gateway) -> None:
    answer = gateway.client.post(
        FIND, content=b"{", headers={**JSON, "origin": "https://elsewhere.example"}
    )

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "X-Request-Id" in answer.headers["access-control-expose-headers"]


def test_operations_answer(gateway: Gateway) -> None:
    assert gateway.client.get("/healthz").json() == {"status": "ok"}
    assert gateway.client.get("/readyz").json() == {"status": "ok"}
    numbers = gateway.client.get("/metrics")
    assert numbers.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'baas_requests_total{route="operations.healthz",status="200"' in numbers.text
    for name in (
        "baas_build_info",
        "baas_dead_letters",
        "baas_function_load_errors",
        "baas_mount_sockets_total",
        "baas_rules_stale",
        "baas_store_waiting_writes",
    ):
        assert f"\n{name}" in numbers.text
    keys = gateway.client.get("/.well-known/jwks.json").json()["keys"]
    assert all(key["alg"] == "EdDSA" and "d" not in key for key in keys)


def test_the_page_of_the_description_loads_nothing_from_elsewhere(gateway: Gateway) -> None:
    page = gateway.client.get("/docs")
    policy = page.headers["content-security-policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    for name in ("docs.css", "docs.js"):
        assert f"/docs/{name}" in page.text
        part = gateway.client.get(f"/docs/{name}")
        assert part.status_code == 200
        assert "http://" not in part.text
        assert "https://" not in part.text
    assert "://" not in page.text


def test_every_route_of_the_protocol_is_described(gateway: Gateway) -> None:
    paths = gateway.client.get("/openapi.json").json()["paths"]

    for verb in ("find", "get", "count", "insert", "update", "replace", "delete", "aggregate"):
        operation = paths[f"/v1/database/{{collection}}/{verb}"]["post"]
        assert "requestBody" in operation
        problem = operation["responses"]["403"]["content"]
        assert "application/problem+json" in problem
    for path in ("/v1/database/transaction", "/v1/auth/sign-up", "/v1/auth/refresh", "/healthz"):
        assert path in paths


def test_the_public_page_is_served(gateway: Gateway) -> None:
    page = gateway.client.get("/")

    assert (page.status_code, "Hello" in page.text) == (200, True)
    assert (
        gateway.client.get("/", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    )


def test_the_page_of_the_description_shows_every_method_that_openapi_can_have(
    gateway: Gateway,
) -> None:
    """HTTP functions may be declared with any of them."""
    script = gateway.client.get("/docs/docs.js").text
    for method in ("get", "post", "put", "patch", "delete"):
        assert f'"{method}"' in script
