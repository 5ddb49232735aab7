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
from copy import deepcopy
from typing import Any, Final, TypeAlias

import jsonschema_rs
import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError, ValidationErrorKind

from baas.errors import Code, ConfigurationError, FieldError, Problem
from baas.schema.admit import admit_value
from baas.schema.geojson import geometry_fault
from baas.schema.values import Document, Path, Value, is_date
from baas.settings import LimitSettings

#: Fields that the server owns; `_id` is the client's to choose, once.
SERVER_FIELDS: Final = ("_id", "_openid", "_createTime", "_updateTime")
#: More faults than these help nobody.
MAX_ERRORS: Final = 50
#: Options of an `enum` that a message spells out.
_MAX_OPTIONS: Final = 10

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

_LIMITS_OF_DEFAULTS: Final = LimitSettings()

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
        self._defaults = _Defaults.of(root)

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
            for where, message in _faults_of(error):
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
        unknown = [name for name in names if name not in _TYPE_WORDS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a type")
        self._types = [name for name in names if name not in _OWN_TYPES]
        self._date = "date" in names
        self._geo = "geo" in names
        self._message = f"must be {_either([_TYPE_WORDS[name] for name in names])}"

    def validate(self, instance: Any) -> None:
        if self._date and is_date(instance):
            return
        if any(_is_plain(instance, name) for name in self._types):
            return
        fault = geometry_fault(instance) if self._geo else ""
        if fault is not None:
            alone = self._geo and not self._date and not self._types
            raise ValueError(fault if alone else self._message)


_TYPE_WORDS: Final = {
    "null": "null",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a string",
    "object": "an object",
    "array": "a list",
    "date": "a date",
    "geo": "a GeoJSON geometry",
}
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


# -- defaults -------------------------------------------------------------------------------------


class _Defaults:
    """The defaults of one object: its own, and those inside its fields and their elements."""

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self.fields: dict[str, _Defaults] = {}
        self.items: _Defaults | None = None

    @classmethod
    def of(cls, root: dict[str, Any]) -> _Defaults | None:
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


def _collect(schema: Any, root: dict[str, Any], made: dict[int, _Defaults]) -> _Defaults:
    """Follows `properties`, `items`, `allOf` and local `$ref`; a recursive schema meets itself."""
    if id(schema) in made:
        return made[id(schema)]
    node = made[id(schema)] = _Defaults()
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


# -- messages -------------------------------------------------------------------------------------


def _faults_of(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where and what, in words that hold nothing of the document but names of fields."""
    where = tuple(error.instance_path)
    match error.kind:
        case ValidationErrorKind.Required(name):
            yield (*where, name), "is required"
        case ValidationErrorKind.AdditionalProperties(names) | (
            ValidationErrorKind.UnevaluatedProperties(names)
        ):
            for name in names:
                yield (*where, name), "is not a field of this collection"
        case ValidationErrorKind.PropertyNames():
            yield where, "has a field whose name the schema does not allow"
        case kind:
            yield where, _message(kind)


def _message(kind: ValidationErrorKind) -> str:
    match kind:
        case ValidationErrorKind.Type(types):
            return f"must be {_either([_TYPE_WORDS.get(name, name) for name in types])}"
        case ValidationErrorKind.Custom(_, message):
            return message
        case ValidationErrorKind.Enum(options):
            return f"must be one of {_options(options)}"
        case ValidationErrorKind.Constant(expected):
            return f"must be {_options([expected])}"
        case ValidationErrorKind.Format(name):
            return f"must have the format {name}"
        case ValidationErrorKind.Pattern(pattern):
            return f"must match the pattern {pattern}"
        case ValidationErrorKind.FalseSchema():
            return "is not allowed"
        case _:
            return _limit_message(kind)


_LIMIT_MESSAGES: Final = {
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
}
_OTHER: Final = {
    "uniqueItems": "must not have equal items",
    "contains": "must contain an item that the schema asks for",
    "not": "has a form that the schema rules out",
    "anyOf": "fits none of the forms that the schema allows",
    "oneOf": "must fit exactly one of the forms that the schema allows",
}


def _limit_message(kind: ValidationErrorKind) -> str:
    if kind.name in _LIMIT_MESSAGES:
        return _LIMIT_MESSAGES[kind.name].format(kind.value)
    return _OTHER.get(kind.name, f"does not fit the schema ({kind.name})")


def _either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _options(options: list[Any]) -> str:
    shown = [msgspec.json.encode(option).decode() for option in options[:_MAX_OPTIONS]]
    return ", ".join(shown) + (", ..." if len(options) > _MAX_OPTIONS else "")


def _is_hidden(where: tuple[str | int, ...], hidden: frozenset[Path]) -> bool:
    """Whether a fault lies at or below a hidden path; list positions do not count."""
    if not hidden:
        return False
    names = tuple(part for part in where if isinstance(part, str))
    return any(names[: len(path)] == path for path in hidden)
