"""The functions that clients may call, with the types of their events and results."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

import msgspec

from baas.functions.model import EventTrigger, FunctionSpec, Release

_REF: Final = "#/schemas/{name}"


class Function(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A function by name. `event` and `result` are JSON Schemas, None where no type is said."""

    summary: str = ""
    description: str = ""
    event: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


def functions_of(release: Release) -> tuple[dict[str, Function], dict[str, Any]]:
    """By name, and the schemas they refer to as `#/schemas/<name>`."""
    specs = [spec for spec, _ in release.with_trigger(EventTrigger)]
    kinds = {(spec.name, "event"): spec.event_type for spec in specs}
    kinds |= {(spec.name, "result"): spec.result_type for spec in specs}
    kinds = {key: kind for key, kind in kinds.items() if _has_schema(kind)}
    found, named = msgspec.json.schema_components(kinds.values(), ref_template=_REF)
    schemas = dict(zip(kinds, found, strict=True))
    functions = {spec.name: _function(spec, schemas) for spec in specs}
    return _without_namespace((functions, named), release)


def _function(spec: FunctionSpec, schemas: dict[tuple[str, str], Any]) -> Function:
    text = cleandoc(spec.handler.__doc__ or "")
    return Function(
        summary=text.partition("\n\n")[0].replace("\n", " "),
        description=text,
        event=schemas.get((spec.name, "event")),
        result=schemas.get((spec.name, "result")),
    )


def _has_schema(kind: Any) -> bool:
    """Some types can be decoded but have none, `dict[str, object]` for one."""
    if kind is None:
        return False
    try:
        msgspec.json.schema_components([kind])
    except TypeError:
        return False
    return True


def _without_namespace(
    described: tuple[dict[str, Function], dict[str, Any]], release: Release
) -> tuple[dict[str, Function], dict[str, Any]]:
    """Types of one name carry their modules; those are not to change with each version."""
    text = msgspec.json.encode(described).decode().replace(f"{release.namespace}.", "")
    return msgspec.json.decode(text, type=tuple[dict[str, Function], dict[str, Any]])
