"""What is said about a document that does not fit its schema.

Messages hold nothing of the document but names of fields: a caller may be told about a document of
which it may not read every value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from jsonschema_rs import ValidationError, ValidationErrorKind

#: Options of an `enum` that a message spells out.
_MAX_OPTIONS: Final = 10

TYPE_WORDS: Final = {
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


def faults_of(error: ValidationError) -> Iterator[tuple[tuple[str | int, ...], str]]:
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
            return f"must be {either([TYPE_WORDS.get(name, name) for name in types])}"
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


def either(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _options(options: list[Any]) -> str:
    shown = [msgspec.json.encode(option).decode() for option in options[:_MAX_OPTIONS]]
    return ", ".join(shown) + (", ..." if len(options) > _MAX_OPTIONS else "")
