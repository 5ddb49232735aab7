"""In the description every schema that is referred to is there, under its own name."""

from __future__ import annotations

import re

import msgspec

from baas.gateway.openapi import component_schemas, operation_class
from baas.gateway.routes import all_routes
from baas.settings import Settings


def test_no_two_bodies_share_a_name() -> None:
    """Two Structs of one name would be told apart by their modules, and the routes' references to
    them would lead nowhere."""
    routes = [route for route in all_routes(Settings()) if route.documented]
    schemas = component_schemas(routes)
    described = [
        [operation.request_body, operation.responses]
        for operation in (operation_class(route)() for route in routes)
    ]
    text = msgspec.json.encode([schemas, described]).decode()
    named = set(re.findall(r"#/components/schemas/([^\"]+)", text))
    assert named - schemas.keys() == set()
