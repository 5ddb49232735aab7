"""Which route or mount answers a request below /http."""

from __future__ import annotations

import pytest

from baas.functions.routes import FunctionMatch, MountMatch, RouteTable, WrongMethod
from tests.support.functions import released

SOURCE = """
@fn.http("GET", "/")
def root(): ...
@fn.http("GET", "/orders/{id}")
def order(): ...
@fn.http("GET", "/orders/new")
def new(): ...
@fn.http("POST", "/orders")
def create(): ...
@fn.http("*", "/any/{rest...}")
def anything(): ...
@fn.http("DELETE", "/any/thing")
def precise(): ...
@fn.webhook("/hook", secret="S")
def hook(): ...
async def app(scope, receive, send): ...
fn.mount("/shop", app)
fn.mount("/shop/admin", app)
"""


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /", ("root", {})),
        ("HEAD /", ("root", {})),
        ("GET /orders/7", ("order", {"id": "7"})),
        ("GET /orders/new", ("new", {})),
        ("POST /orders", ("create", {})),
        ("PUT /any/a/b", ("anything", {"rest": "a/b"})),
        ("DELETE /any/thing", ("precise", {})),
        ("GET /any/thing", ("anything", {"rest": "thing"})),
        ("POST /hook", ("hook", {})),
        ("GET /shop", ("/shop", "/")),
        ("GET /shop/a/b", ("/shop", "/a/b")),
        ("GET /shop/admin/x", ("/shop/admin", "/x")),
        ("GET /shops", None),
        ("GET /orders/", None),
        ("GET /orders/7/lines", None),
        ("GET /nothing", None),
        ("GET /orders", ("POST",)),
        ("GET /hook", ("POST",)),
    ],
)
def test_find(request_line: str, expected: object) -> None:
    method, path = request_line.split()
    with released(SOURCE) as release:
        found = RouteTable(release).find(method, path)
    if isinstance(found, FunctionMatch):
        assert (found.spec.name, found.params) == expected
    elif isinstance(found, MountMatch):
        assert (found.mount.path, found.path) == expected
    elif isinstance(found, WrongMethod):
        assert found.allowed == expected
    else:
        assert expected is None
