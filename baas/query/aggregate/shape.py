"""What a Shape makes of a document."""

from __future__ import annotations

from typing import Any

from baas.query.aggregate.evaluate import Scope, evaluate
from baas.query.aggregate.model import Shape
from baas.schema.values import DATE, MISSING, Document, Value


def reshape(shape: Shape, document: Document, scope: Scope) -> Document:
    """A new document; parts that stay are shared. `scope` is that of the document."""
    return _object(shape, document, scope)


def _value(shape: Shape, value: Value, scope: Scope) -> Value:
    if type(value) is list:
        scope.budget.spend(len(value))
        shaped = [_value(shape, element, scope) for element in value]
        scope.budget.made_entries(len(shaped))
        return [element for element in shaped if element is not MISSING]
    if type(value) is dict and DATE not in value:
        return _object(shape, value, scope)
    if shape.computes:
        return _object(shape, {}, scope)
    return value if shape.keep else MISSING


def _object(shape: Shape, value: dict[str, Any], scope: Scope) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, field in value.items():
        child = shape.children.get(name)
        if child is not None:
            shaped = _value(child, field, scope)
            if shaped is not MISSING:
                result[name] = shaped
        elif (name in shape.names) is not shape.keep:
            result[name] = field
    for name, child in shape.children.items():
        if child.computes and name not in value:
            result[name] = _object(child, {}, scope)
    for name, expression in shape.computed.items():
        computed = scope.budget.check(evaluate(expression, scope))
        if computed is MISSING:
            result.pop(name, None)
        else:
            result[name] = computed
    scope.budget.made_entries(len(result))
    return result
