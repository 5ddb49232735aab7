"""`schema`, `indexes` and `ttl` of a rule file, checked, as a CollectionSpec."""

from __future__ import annotations

from typing import Any, Final

from baas.errors import ConfigurationError
from baas.rules.vocabulary import closest
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.validate import SchemaValidator
from baas.schema.values import Path
from baas.yamlfile import Step, YamlFile

_INDEX_KEYS: Final = ("fields", "unique", "name", "kind", "text", "geo")
_KINDS: Final = ("plain", "text", "geo")
_INDEX_FORMS: Final = (
    "a list of fields, {fields: [...], unique: true}, {text: [...]} or {geo: field}"
)
_MAX_INDEXES: Final = 64
_MAX_INDEX_FIELDS: Final = 8

_SCHEMAS: Final = frozenset(
    (
        "additionalProperties",
        "contains",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    )
)
_SCHEMA_LISTS: Final = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
_SCHEMA_MAPS: Final = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs"))
_PLAIN_KEYWORDS: Final = frozenset(
    (
        "$anchor",
        "$comment",
        "$dynamicAnchor",
        "$dynamicRef",
        "$id",
        "$ref",
        "$schema",
        "const",
        "contentEncoding",
        "contentMediaType",
        "contentSchema",
        "default",
        "definitions",
        "dependentRequired",
        "deprecated",
        "description",
        "enum",
        "examples",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "readOnly",
        "required",
        "title",
        "type",
        "uniqueItems",
        "writeOnly",
    )
)
_TYPES: Final = (
    "object",
    "array",
    "string",
    "number",
    "integer",
    "boolean",
    "null",
    "date",
    "geo",
)
_KEYWORDS: Final = tuple(sorted(_SCHEMAS | _SCHEMA_LISTS | _SCHEMA_MAPS | _PLAIN_KEYWORDS))


def read_declaration(name: str, data: dict[str, Any], yaml: YamlFile) -> CollectionSpec:
    return CollectionSpec(
        name=name,
        schema=_read_schema(data.get("schema"), yaml),
        indexes=_read_indexes(data.get("indexes"), yaml),
        ttl=_read_ttl(data.get("ttl"), yaml),
    )


def dotted(text: Any, yaml: YamlFile, at: tuple[Step, ...]) -> Path:
    """A dotted path of field names, as masks, indexes and `ttl` have them."""
    if not isinstance(text, str) or not text:
        raise yaml.error("a field's name is wanted here", *at)
    path = tuple(text.split("."))
    if any(not part or part.startswith("$") or part.isdigit() or "\0" in part for part in path):
        raise yaml.error(f"'{text}' is not a path of field names", *at)
    return path


# -- schema ---------------------------------------------------------------------------------------


def _read_schema(value: Any, yaml: YamlFile) -> dict[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise yaml.error("a schema is a mapping", "schema")
    _check_keywords(value, yaml, ("schema",))
    try:
        SchemaValidator(value)
    except ConfigurationError as fault:
        raise yaml.error(fault.message, *_place_of(value, ("schema",))) from None
    return value


def _check_keywords(schema: Any, yaml: YamlFile, at: tuple[Step, ...]) -> None:
    if not isinstance(schema, dict):
        return
    for key, value in schema.items():
        if key not in _KEYWORDS and not key.startswith("x-"):
            advice = closest(key, _KEYWORDS)
            raise yaml.error(f"unknown schema keyword '{key}'{advice}", *at, key, key=True)
        if key == "type":
            _check_types(value, yaml, (*at, key))
        elif key in _SCHEMAS:
            _check_keywords(value, yaml, (*at, key))
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            for position, item in enumerate(value):
                _check_keywords(item, yaml, (*at, key, position))
        elif key in _SCHEMA_MAPS and isinstance(value, dict):
            for name, item in value.items():
                _check_keywords(item, yaml, (*at, key, name))


def _check_types(value: Any, yaml: YamlFile, at: tuple[Step, ...]) -> None:
    for name in value if isinstance(value, list) else [value]:
        if name not in _TYPES:
            advice = closest(str(name), _TYPES) or f"; types are {', '.join(_TYPES)}"
            raise yaml.error(f"unknown type {name!r}{advice}", *at)


def _place_of(schema: dict[str, Any], at: tuple[Step, ...]) -> tuple[Step, ...]:
    """The innermost property whose schema is no schema by itself: where to point."""
    for name, inner in schema.get("properties", {}).items() if _has_properties(schema) else ():
        if isinstance(inner, dict) and "$ref" not in inner and not _stands_alone(inner):
            return _place_of(inner, (*at, "properties", name))
    return at


def _has_properties(schema: dict[str, Any]) -> bool:
    return isinstance(schema.get("properties"), dict)


def _stands_alone(schema: dict[str, Any]) -> bool:
    try:
        SchemaValidator(schema)
    except ConfigurationError:
        return False
    return True


# -- indexes and ttl ------------------------------------------------------------------------------


def _read_indexes(value: Any, yaml: YamlFile) -> tuple[IndexSpec, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MAX_INDEXES:
        raise yaml.error(f"'indexes' is a list of at most {_MAX_INDEXES}", "indexes")
    out: list[IndexSpec] = []
    for position, item in enumerate(value):
        spec = _read_index(item, yaml, ("indexes", position))
        if spec.kind == "text" and any(other.kind == "text" for other in out):
            message = "a collection has one text index; name all its fields there"
            raise yaml.error(message, "indexes", position)
        if any(other.name == spec.name for other in out):
            raise yaml.error(f"the index '{spec.name}' is here twice", "indexes", position)
        out.append(spec)
    return tuple(out)


def _read_index(item: Any, yaml: YamlFile, at: tuple[Step, ...]) -> IndexSpec:
    if isinstance(item, (str, list)):
        item, inner = {"fields": item}, at
    elif isinstance(item, dict):
        item, inner = _written_out(item, yaml, at)
    else:
        raise yaml.error(f"an index is {_INDEX_FORMS}", *at)
    for key in item:
        if key not in _INDEX_KEYS:
            raise yaml.error(f"unknown key '{key}'{closest(key, _INDEX_KEYS)}", *at, key, key=True)
    keys = _index_keys(item.get("fields"), yaml, inner)
    unique, kind = item.get("unique", False), item.get("kind", "plain")
    if not isinstance(unique, bool):
        raise yaml.error("'unique' is true or false", *at, "unique")
    if kind not in _KINDS:
        raise yaml.error(f"'kind' is one of {', '.join(_KINDS)}", *at, "kind")
    if kind != "plain":
        _check_special(kind, keys, unique, yaml, inner)
    parts = [kind] if kind != "plain" else []
    parts += [("-" * key.descending) + ".".join(key.path) for key in keys]
    name = item.get("name", "_".join(parts))
    if not isinstance(name, str) or not name:
        raise yaml.error("an index's name is a text", *at, "name")
    return IndexSpec(name=name, keys=keys, unique=unique, kind=kind)


def _written_out(
    item: dict[str, Any], yaml: YamlFile, at: tuple[Step, ...]
) -> tuple[dict[str, Any], tuple[Step, ...]]:
    """`{text: [title, body]}` as `{kind: text, fields: [title, body]}`."""
    kind = next((kind for kind in ("text", "geo") if kind in item), None)
    if kind is None:
        return item, (*at, "fields")
    for key in item:
        if key not in (kind, "name"):
            raise yaml.error(f"'{key}' does not go with '{kind}'", *at, key, key=True)
    rest = {key: value for key, value in item.items() if key != kind}
    return {**rest, "fields": item[kind], "kind": kind}, (*at, kind)


def _check_special(
    kind: str, keys: tuple[IndexKey, ...], unique: bool, yaml: YamlFile, at: tuple[Step, ...]
) -> None:
    if unique or any(key.descending for key in keys):
        raise yaml.error(f"a {kind} index is neither unique nor descending", *at)
    if kind == "geo" and len(keys) != 1:
        raise yaml.error("a geo index has one field", *at)


def _index_keys(value: Any, yaml: YamlFile, at: tuple[Step, ...]) -> tuple[IndexKey, ...]:
    fields = [value] if isinstance(value, str) else value
    if not isinstance(fields, list) or not 1 <= len(fields) <= _MAX_INDEX_FIELDS:
        raise yaml.error(f"an index has 1 to {_MAX_INDEX_FIELDS} fields", *at)
    keys: list[IndexKey] = []
    for position, field in enumerate(fields):
        here = at if isinstance(value, str) else (*at, position)
        descending = isinstance(field, str) and field.startswith("-")
        path = dotted(field[1:] if descending else field, yaml, here)
        if any(key.path == path for key in keys):
            raise yaml.error(f"'{'.'.join(path)}' is in this index twice", *here)
        keys.append(IndexKey(path, descending))
    return tuple(keys)


def _read_ttl(value: Any, yaml: YamlFile) -> Path | None:
    if value is None:
        return None
    if isinstance(value, dict):
        if set(value) != {"field"}:
            raise yaml.error("'ttl' is a date field's name, or {field: name}", "ttl")
        return dotted(value["field"], yaml, ("ttl", "field"))
    return dotted(value, yaml, ("ttl",))
