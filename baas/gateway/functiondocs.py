"""The functions in force, as operations of the API's description.

Types of events and results become schemas; their names have a prefix of their own, so that an
app's `Session` is not the kit's. A function's own problems are the default answer.
"""

from __future__ import annotations

import re
from inspect import cleandoc
from typing import Any, Final

import msgspec

from baas.functions.model import EventTrigger, FunctionSpec, HttpTrigger, Release

_PREFIX: Final = "functions."
_REF: Final = "#/components/schemas/" + _PREFIX + "{name}"
_REST = re.compile(r"\{(\w+)\.\.\.\}")
_PARAMETER = re.compile(r"\{(\w+)\}")
_PROBLEM: Final[dict[str, Any]] = {
    "description": "A problem, of the kit's codes or of the function's own.",
    "content": {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}
    },
}
_CALLERS: Final[list[dict[str, list[str]]]] = [{"accessToken": []}, {}]


def describe_functions(
    release: Release, parameters: list[dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Paths and schemas of a release: functions that clients may call, and routes below /http.
    `parameters` are those of every call by name."""
    callable_, routes = release.with_trigger(EventTrigger), release.with_trigger(HttpTrigger)
    kinds, schemas = _schemas([spec for spec, _ in callable_])
    paths: dict[str, Any] = {}
    for spec, _ in callable_:
        operation = _described(spec, f"function.{spec.name}", parameters)
        operation["requestBody"] = _json(kinds.get((spec.name, "event"), {}))
        operation["responses"]["200"] |= _json(kinds.get((spec.name, "result"), {}))
        paths[f"/v1/functions/{spec.name}"] = {"post": operation}
    for spec, trigger in routes:
        if trigger.method != "*":
            path, method = _REST.sub(r"{\1}", trigger.path), trigger.method.lower()
            operation = _described(spec, f"http.{spec.name}.{method}{path}", _in_path(path))
            operation["responses"]["200"]["content"] = {"*/*": {"schema": {}}}
            paths.setdefault(f"/http{path}", {})[method] = operation
    return _without_namespace((paths, schemas), release)


def _schemas(
    specs: list[FunctionSpec],
) -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    """The schema of each function's event and result, and those that these refer to. All at once,
    since a type's name depends on what else there is of that name."""
    kinds: dict[tuple[str, str], Any] = {}
    for spec in specs:
        kinds[spec.name, "event"] = spec.event_type
        kinds[spec.name, "result"] = spec.result_type
    kinds = {key: kind for key, kind in kinds.items() if _describable(kind)}
    found, named = msgspec.json.schema_components(kinds.values(), ref_template=_REF)
    return (
        dict(zip(kinds, found, strict=True)),
        {_PREFIX + name: _tidy(schema) for name, schema in named.items()},
    )


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _described(spec: FunctionSpec, id: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    text = cleandoc(spec.handler.__doc__ or "")
    summary = text.partition("\n\n")[0].replace("\n", " ")
    described = {
        "operationId": id,
        "tags": ["functions"],
        "summary": summary or spec.name,
        "parameters": parameters,
        "security": _CALLERS,
        "responses": {"200": {"description": "OK"}, "default": _PROBLEM},
    }
    return {**described, "description": text} if text and text != summary else described


def _in_path(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(path)
    ]


def _describable(kind: Any) -> bool:
    """Some types can be decoded but have no schema, `dict[str, object]` for one."""
    if kind is None:
        return False
    try:
        msgspec.json.schema_components([kind])
    except TypeError:
        return False
    return True


def _tidy(schema: dict[str, Any]) -> dict[str, Any]:
    if "description" in schema:
        return {**schema, "description": cleandoc(schema["description"])}
    return schema


def _without_namespace(described: Any, release: Release) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two types of one name get their modules in front; those are not to change by version."""
    text = msgspec.json.encode(described).decode()
    paths, schemas = msgspec.json.decode(text.replace(f"{release.namespace}.", ""))
    return paths, schemas
