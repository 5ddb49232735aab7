"""Schemas of collections: JSON Schema 2020-12 with the kit's types `date` and `geo`.

A validator is built once per collection and asked on every write, by anyone. Three things differ
from the plain specification:

- `type: date` takes the kit's date object, `type: geo` a GeoJSON geometry (RFC 7946, section 3.1);
- `default` is applied, to the fields that `properties` names, before the document is validated;
- server fields that a schema does not mention are no business of `additionalProperties: false`.

`$ref` stays inside the schema: nothing is ever fetched. Patterns run on an engine without
backtracking, so that a stored text cannot make a write slow.

Messages never contain a value of the document: a caller may be told about a document of which it
may not read every field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

import jsonschema_rs
from jsonschema_rs import Draft202012Validator, ValidationError

from baas.errors import Code, ConfigurationError, FieldError, Problem
from baas.schema.defaults import Defaults
from baas.schema.faults import TYPE_WORDS, either, faults_of
from baas.schema.geojson import geometry_fault
from baas.schema.values import Document, Path, Value, is_date

#: Fields that the server owns; `_id` is the client's to choose, once.
SERVER_FIELDS: Final = ("_id", "_openid", "_createTime", "_updateTime")
#: More faults than these help nobody.
MAX_ERRORS: Final = 50

#: What stands in the compiled schema where the file says `type: date`. No keyword starts like it.
_KIT_TYPE: Final = "baas:type"
_OWN_TYPES: Final = frozenset({"date", "geo"})

_SUBSCHEMA: Final = frozenset(
    {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not"}
    | {"propertyNames", "then", "unevaluatedItems", "unevaluatedProperties"}
)
_SUBSCHEMA_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SUBSCHEMA_MAP: Final = frozenset(
    {"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"}
)

Schema: TypeAlias = dict[str, Any] | bool


class SchemaValidator:
    """One collection's schema, compiled. None takes every document.

    Raises ConfigurationError where the schema is not one, refers outside itself, or holds a
    pattern that the linear engine does not take.
    """

    def __init__(self, schema: Schema | None) -> None:
        self._validator = None if schema is None else _compile(schema)
        root = schema if isinstance(schema, dict) else {}
        named = {*root.get("properties", ()), *root.get("required", ())}
        self._stripped = tuple(name for name in SERVER_FIELDS if name not in named)
        self._defaults = Defaults.of(root)

    def with_defaults(self, document: Document, *, now_ms: int) -> Document:
        """The document with the schema's defaults where it has no such field.

        A copy where anything was added, sharing unchanged parts. A default inside an object is
        applied where that object is there.
        """
        return document if self._defaults is None else self._defaults.fill(document, now_ms)

    def check(
        self,
        document: Document,
        *,
        path: str = "document",
        hidden: Callable[[], frozenset[Path]] = frozenset,
    ) -> None:
        """VALIDATION_FAILED with one entry in `errors` per fault, rooted at `path`.

        `hidden` gives, where there are faults, the paths that this caller can neither read nor has
        written now: a fault there is older than this write (stored documents are not validated
        again), and telling it would show what is hidden.
        """
        if self._validator is None:
            return
        subject = {k: v for k, v in document.items() if k not in self._stripped}
        if self._validator.is_valid(subject):
            return
        errors = tuple(self._faults(subject, path, hidden()))
        if errors:
            detail = f"{errors[0].path}: {errors[0].message}"
            raise Problem(Code.VALIDATION_FAILED, detail, errors=errors)

    def _faults(
        self, subject: Document, root: str, hidden: frozenset[Path]
    ) -> Iterator[FieldError]:
        assert self._validator is not None
        told = 0
        for error in self._validator.iter_errors(subject):
            for where, message in faults_of(error):
                if _is_hidden(where, hidden):
                    continue
                yield FieldError(".".join((root, *map(str, where))), message)
                told += 1
                if told == MAX_ERRORS:
                    return


# -- compiling ------------------------------------------------------------------------------------


def _compile(schema: Schema) -> Draft202012Validator:
    try:
        return Draft202012Validator(
            _with_kit_types(schema),
            keywords={_KIT_TYPE: _KitType},
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(),
            offline=True,
        )
    except (ValidationError, jsonschema_rs.ReferencingError, ValueError) as fault:
        message = str(getattr(fault, "message", fault))
        raise ConfigurationError(f"schema: {message}") from None


def _with_kit_types(schema: Any) -> Any:
    """The schema with the kit's types spelled as the keyword that `_KitType` serves."""
    if not isinstance(schema, dict):
        return schema
    out: dict[str, Any] = {}
    for name, value in schema.items():
        if name == "type" and not _OWN_TYPES.isdisjoint(_names(value)):
            out[_KIT_TYPE] = _names(value)
        elif name in ("$ref", "$dynamicRef") and not str(value).startswith("#"):
            raise ConfigurationError(f"schema: {name} {value!r} leaves the schema; only #... may")
        else:
            out[name] = _rewritten(name, value)
    return out


def _rewritten(name: str, value: Any) -> Any:
    if name in _SUBSCHEMA:
        return _with_kit_types(value)
    if name in _SUBSCHEMA_LIST and isinstance(value, list):
        return [_with_kit_types(item) for item in value]
    if name in _SUBSCHEMA_MAP and isinstance(value, dict):
        return {key: _with_kit_types(item) for key, item in value.items()}
    return value


def _names(types: Any) -> list[Any]:
    return types if isinstance(types, list) else [types]


class _KitType:
    """`type` with `date` or `geo` among its names: the value is of one of them."""

    def __init__(self, parent: dict[str, Any], value: Any, path: list[str | int]) -> None:
        names = [str(name) for name in value]
        unknown = [name for name in names if name not in TYPE_WORDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a type")
        self._types = [name for name in names if name not in _OWN_TYPES]
        self._date = "date" in names
        self._geo = "geo" in names
        self._message = f"must be {either([TYPE_WORDS[name] for name in names])}"

    def validate(self, instance: Any) -> None:
        if self._date and is_date(instance):
            return
        if any(_is_plain(instance, name) for name in self._types):
            return
        fault = geometry_fault(instance) if self._geo else ""
        if fault is not None:
            alone = self._geo and not self._date and not self._types
            raise ValueError(fault if alone else self._message)


_PYTHON_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "object": (dict,),
    "array": (list,),
}


def _is_plain(value: Value, name: str) -> bool:
    # type() and not isinstance: a bool is no number. Numbers are canonical, 1.0 is stored as 1.
    return type(value) in _PYTHON_TYPES[name] and not (name == "object" and is_date(value))


def _is_hidden(where: tuple[str | int, ...], hidden: frozenset[Path]) -> bool:
    """Whether a fault lies at or below a hidden path; list positions do not count."""
    if not hidden:
        return False
    names = tuple(part for part in where if isinstance(part, str))
    return any(names[: len(path)] == path for path in hidden)
