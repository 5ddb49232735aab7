"""The API's description: Litestar walks its own routes, this module says what goes in and out.

Schemas come from the Structs that decode the bodies, so the description cannot promise a field
that is refused. Every operation names the problems it can answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Any, Final

import msgspec
from litestar import MediaType, Request
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Operation, SecurityScheme

from baas import __version__
from baas.errors import Code, FieldError
from baas.functions.model import Release
from baas.gateway.functiondocs import describe_functions
from baas.gateway.functions import QUERY
from baas.gateway.route import Route

_REF: Final = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+):\w+\}")

#: Problems that any route can answer.
_EVERYWHERE: Final = (Code.INTERNAL, Code.UNAVAILABLE)
_WITH_CALLER: Final = (
    Code.INVALID_ARGUMENT,
    Code.UNAUTHENTICATED,
    Code.TOKEN_EXPIRED,
    Code.SESSION_REVOKED,
    Code.PERMISSION_DENIED,
    Code.RATE_LIMITED,
)
_WITH_BODY: Final = (Code.INVALID_ARGUMENT, Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE)

_PATTERNS: Final[dict[str, dict[str, Any]]] = {
    "collection": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"},
    "id": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
    "n": {"type": "string", "pattern": "^[0-9]{1,5}$"},
    "name": {"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9_-]{0,63}$"},
}

_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeats of one key and body happen once. Kept for signed-in callers.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]*$"},
}


class ProblemDocument(msgspec.Struct, rename="camel"):
    """RFC 9457. `errors` name the fields at fault, `operation` the one in a transaction."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[FieldError] | msgspec.UnsetType = msgspec.UNSET
    operation: int | msgspec.UnsetType = msgspec.UNSET


def operation_class(route: Route) -> type[Operation]:
    """Litestar's Operation, completed with what the table says of `route`."""

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            self.parameters = _parameters(route)
            self.request_body = _request_body(route)
            self.responses = _responses(route)
            self.security = _security(route)

    return Described


def _parameters(route: Route) -> Any:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": _PATTERNS.get(name, {"type": "string"}),
        }
        for name in _PARAMETER.findall(route.path)
    ]
    found += route.query
    if route.idempotent:
        found.append(_IDEMPOTENCY_KEY)
    return found or None


def _request_body(route: Route) -> Any:
    if route.body is None:
        return None
    return {"required": True, "content": {route.body_media: {"schema": _schema_of(route.body)}}}


def _responses(route: Route) -> Any:
    content: dict[str, Any] = (
        {"schema": {}} if route.answer is None else {"schema": _schema_of(route.answer)}
    )
    responses: dict[str, Any] = {
        "200": {"description": "OK", "content": {route.media: content}},
    }
    if route.accepted is not None:
        accepted = {"schema": _schema_of(route.accepted)}
        responses["202"] = {"description": "Accepted", "content": {route.media: accepted}}
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys(_codes(route)):
        by_status.setdefault(code.status, []).append(code.name)
    for status, names in sorted(by_status.items()):
        responses[str(status)] = _problem_response(names)
    return responses


def _codes(route: Route) -> Iterable[Code]:
    yield from _EVERYWHERE
    if route.access != "open":
        yield from _WITH_CALLER
    if route.body is not None:
        yield from _WITH_BODY
    yield from route.codes


def _problem_response(names: list[str]) -> dict[str, Any]:
    schema = {
        "allOf": [
            {"$ref": _REF.format(name="ProblemDocument")},
            {"properties": {"code": {"enum": sorted(names)}}},
        ]
    }
    return {
        "description": ", ".join(sorted(names)),
        "content": {"application/problem+json": {"schema": schema}},
    }


def _security(route: Route) -> Any:
    if route.access == "open":
        return None
    bearer: dict[str, list[str]] = {"adminKey" if route.access == "admin" else "accessToken": []}
    return [bearer, {}] if route.access == "anyone" else [bearer]


def _schema_of(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def component_schemas(routes: Iterable[Route]) -> dict[str, Any]:
    """Every schema that the routes refer to."""
    kinds: list[Any] = [ProblemDocument]
    for route in routes:
        described = (route.body, route.answer, route.accepted)
        kinds += [kind for kind in described if kind is not None]
    schemas = msgspec.json.schema_components(kinds, ref_template=_REF)[1]
    for schema in schemas.values():
        if "description" in schema:
            schema["description"] = cleandoc(schema["description"])
    return schemas


class DescriptionPlugin(OpenAPIRenderPlugin):
    """Renders Litestar's description with our schemas in it and the functions in force, once for
    each release of them."""

    def __init__(self, routes: tuple[Route, ...], release: Callable[[], Release | None]) -> None:
        super().__init__(path="/", media_type=MediaType.JSON)
        self._routes = routes
        self._release = release
        self._rendered: tuple[str, bytes] | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        release = self._release()
        version = release.hash if release else ""
        if self._rendered is None or self._rendered[0] != version:
            whole = self._with_functions(openapi_schema, release)
            self._rendered = (version, msgspec.json.encode(whole))
        return self._rendered[1]

    def _with_functions(
        self, description: dict[str, Any], release: Release | None
    ) -> dict[str, Any]:
        paths: dict[str, Any] = {}
        schemas: dict[str, Any] = {}
        if release is not None:
            paths, schemas = describe_functions(release, [*QUERY, _IDEMPOTENCY_KEY])
        schemas = {**component_schemas(self._routes), **schemas}
        return {
            **description,
            "paths": {**description["paths"], **paths},
            "components": {**description["components"], "schemas": schemas},
        }


def openapi_config(
    name: str, routes: tuple[Route, ...], release: Callable[[], Release | None]
) -> OpenAPIConfig:
    schemes: Any = {
        "accessToken": SecurityScheme(
            type="http", scheme="bearer", bearer_format="JWT", description="Of a session answer."
        ),
        "adminKey": SecurityScheme(
            type="http", scheme="bearer", description="An admin key: bak_..."
        ),
    }
    return OpenAPIConfig(
        title=name,
        version=__version__,
        description="What clients and operators of this app can call.",
        path="/openapi.json",
        components=Components(security_schemes=schemes),
        render_plugins=[DescriptionPlugin(routes, release)],
    )
