"""Defaults of a schema: what a document gets where it lacks a field.

They are looked for where they always apply: under `properties`, `items`, `allOf` and local `$ref`.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from baas.errors import ConfigurationError, Problem
from baas.schema.admit import admit_value
from baas.schema.values import Document, Value, is_date
from baas.settings import LimitSettings

_LIMITS_OF_DEFAULTS: Final = LimitSettings()


class Defaults:
    """The defaults of one object: its own, and those inside its fields and their elements."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.fields: dict[str, Defaults] = {}
        self.items: Defaults | None = None

    @classmethod
    def of(cls, root: dict[str, Any]) -> Defaults | None:
        made = _collect(root, root, {})
        return made if made.is_useful(set()) else None

    def is_useful(self, seen: set[int]) -> bool:
        if id(self) in seen:
            return False
        seen.add(id(self))
        inner = [*self.fields.values(), *([self.items] if self.items else [])]
        return bool(self.values) or any(one.is_useful(seen) for one in inner)

    def fill(self, value: Value, now_ms: int) -> Value:
        if type(value) is list:
            return self._fill_list(value, now_ms)
        if type(value) is not dict or is_date(value):
            return value
        changed: Document = {}
        for name, inner in self.fields.items():
            if name in value:
                filled = inner.fill(value[name], now_ms)
                if filled is not value[name]:
                    changed[name] = filled
        for name, default in self.values.items():
            if name not in value:
                changed[name] = _fresh(default, name, now_ms)
        return {**value, **changed} if changed else value

    def _fill_list(self, value: list[Value], now_ms: int) -> list[Value]:
        if self.items is None:
            return value
        filled = [self.items.fill(item, now_ms) for item in value]
        same = all(new is old for new, old in zip(filled, value, strict=True))
        return value if same else filled


def _fresh(default: Value, name: str, now_ms: int) -> Value:
    """A copy of its own in the value model; `{"$date": {"offset": 0}}` is now."""
    return admit_value(deepcopy(default), _LIMITS_OF_DEFAULTS, now_ms=now_ms, path=name)


def _checked_default(default: Value, name: str) -> Value:
    try:
        _fresh(default, name, 0)
    except Problem as problem:
        raise ConfigurationError(f"schema: the default of {problem.detail}") from None
    return default


def _collect(schema: Any, root: dict[str, Any], made: dict[int, Defaults]) -> Defaults:
    """Follows `properties`, `items`, `allOf` and local `$ref`; a recursive schema meets itself."""
    if id(schema) in made:
        return made[id(schema)]
    node = made[id(schema)] = Defaults()
    for part in _parts(schema, root, []):
        for name, inner in part.get("properties", {}).items():
            if isinstance(inner, dict):
                node.fields[name] = _collect(inner, root, made)
                if "default" in inner:
                    node.values[name] = _checked_default(inner["default"], name)
        if isinstance(part.get("items"), dict):
            node.items = _collect(part["items"], root, made)
    return node


def _parts(schema: Any, root: dict[str, Any], seen: list[Any]) -> Iterator[dict[str, Any]]:
    """The schema and those that always apply with it."""
    if not isinstance(schema, dict) or any(schema is one for one in seen):
        return
    seen.append(schema)
    yield schema
    for inner in schema.get("allOf", ()):
        yield from _parts(inner, root, seen)
    if isinstance(reference := schema.get("$ref"), str):
        yield from _parts(_resolve(reference, root), root, seen)


def _resolve(reference: str, root: dict[str, Any]) -> Any:
    """The subschema at a JSON pointer `#/...` (RFC 6901); None for anchors."""
    target: Any = root
    if reference not in ("#", "") and not reference.startswith("#/"):
        return None
    for part in reference[2:].split("/") if len(reference) > 1 else ():
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(target, list) and key.isdecimal() and int(key) < len(target):
            target = target[int(key)]
        elif isinstance(target, dict):
            target = target.get(key)
        else:
            return None
    return target
