"""What an aggregation expression computes for one document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.expression import (
    Apply,
    ArrayOf,
    BucketOf,
    Conditional,
    Constant,
    Expression,
    FieldOf,
    FilterOver,
    FirstPresent,
    Junction,
    Let,
    MapOver,
    ObjectOf,
    Reduce,
    VariableOf,
)
from baas.query.aggregate.functions import FUNCTIONS
from baas.query.aggregate.functions.base import Fault, absent, array, truthy, whole
from baas.schema.values import DATE, MISSING, Document, Path, Value, compare


class Scope:
    """The variables of one document on its way; `ROOT` is the document itself."""

    __slots__ = ("budget", "variables")

    def __init__(self, budget: Budget, variables: dict[str, Value]) -> None:
        self.budget = budget
        self.variables = variables

    def on(self, document: Document) -> Scope:
        """This scope for one document."""
        return Scope(self.budget, {**self.variables, "ROOT": document})


def evaluate(expression: Expression, scope: Scope) -> Value:
    """The value, or MISSING. Fault where an operator does not take what it is given; Problem
    LIMIT_EXCEEDED and QUERY_TIMEOUT from the scope's budget."""
    scope.budget.spend()
    return _NODES[type(expression)](expression, scope)


def _constant(node: Constant, scope: Scope) -> Value:
    return node.value


def _variable(node: VariableOf, scope: Scope) -> Value:
    return scope.variables[node.name]


def _field(node: FieldOf, scope: Scope) -> Value:
    target = node.target
    if type(target) is VariableOf:
        value = scope.variables[target.name]
    else:
        value = evaluate(target, scope)
    return follow(value, node.path, 0, scope.budget)


def follow(value: Value, path: Path, at: int, budget: Budget) -> Value:
    """`path[at:]` from `value`. Numbers in a path are names, never positions; what the elements
    of an array lack is left out of its list, and a scalar has nothing."""
    while at < len(path):
        if type(value) is list:
            budget.spend(len(value))
            found = [_in_element(element, path, at, budget) for element in value]
            budget.made_entries(len(found))
            return [one for one in found if one is not MISSING]
        if type(value) is not dict or DATE in value:
            return MISSING
        value = value.get(path[at], MISSING)
        at += 1
    return value


def _in_element(element: Value, path: Path, at: int, budget: Budget) -> Value:
    if type(element) is dict or type(element) is list:
        return follow(element, path, at, budget)
    return MISSING


def _object(node: ObjectOf, scope: Scope) -> Value:
    result = {}
    for name, item in zip(node.names, node.items, strict=True):
        value = evaluate(item, scope)
        if value is not MISSING:
            result[name] = value
    return _built(result, scope)


def _array(node: ArrayOf, scope: Scope) -> Value:
    values = [evaluate(item, scope) for item in node.items]
    return _built([None if value is MISSING else value for value in values], scope)


def _built(container: Any, scope: Scope) -> Value:
    scope.budget.made_entries(len(container))
    return scope.budget.check(container)


def _apply(node: Apply, scope: Scope) -> Value:
    args = [evaluate(arg, scope) for arg in node.args]
    try:
        return FUNCTIONS[node.name].run(scope.budget, *args)
    except Fault as fault:
        raise fault.within(node.name) from None


def _junction(node: Junction, scope: Scope) -> Value:
    for item in node.items:
        if truthy(evaluate(item, scope)) is not node.every:
            return not node.every
    return node.every


def _conditional(node: Conditional, scope: Scope) -> Value:
    for test, then in node.branches:
        if truthy(evaluate(test, scope)):
            return evaluate(then, scope)
    if node.other is None:
        raise Fault("no branch of $switch applies, and it has no default")
    return evaluate(node.other, scope)


def _first_present(node: FirstPresent, scope: Scope) -> Value:
    value: Value = None
    for item in node.items:
        value = evaluate(item, scope)
        if not absent(value):
            return value
    return value


def _let(node: Let, scope: Scope) -> Value:
    values = [evaluate(value, scope) for value in node.values]
    inner = {**scope.variables, **dict(zip(node.names, values, strict=True))}
    return evaluate(node.body, Scope(scope.budget, inner))


def _map(node: MapOver, scope: Scope) -> Value:
    given = _array_of(node.array, scope, "$map")
    if given is None:
        return None
    inner = Scope(scope.budget, dict(scope.variables))
    result = []
    for element in given:
        inner.variables[node.name] = element
        value = evaluate(node.body, inner)
        result.append(None if value is MISSING else value)
    return _built(result, scope)


def _filter(node: FilterOver, scope: Scope) -> Value:
    given = _array_of(node.array, scope, "$filter")
    if given is None:
        return None
    most = len(given) if node.limit is None else whole(evaluate(node.limit, scope), "limit")
    if node.limit is not None and most < 1:
        raise Fault("$filter: limit must be positive")
    inner = Scope(scope.budget, dict(scope.variables))
    result: list[Value] = []
    for element in given:
        if len(result) >= most:
            break
        inner.variables[node.name] = element
        if truthy(evaluate(node.condition, inner)):
            result.append(element)
    scope.budget.made_entries(len(result))
    return result


def _reduce(node: Reduce, scope: Scope) -> Value:
    given = _array_of(node.array, scope, "$reduce")
    if given is None:
        return None
    inner = Scope(scope.budget, dict(scope.variables))
    value = evaluate(node.initial, scope)
    for element in given:
        inner.variables["this"] = element
        inner.variables["value"] = value
        value = evaluate(node.body, inner)
    return value


def _array_of(expression: Expression, scope: Scope, name: str) -> list[Value] | None:
    value = evaluate(expression, scope)
    try:
        return None if absent(value) else array(value, "input")
    except Fault as fault:
        raise fault.within(name) from None


def _bucket(node: BucketOf, scope: Scope) -> Value:
    value = evaluate(node.value, scope)
    if not absent(value) and compare(value, node.boundaries[-1]) < 0:
        for boundary in reversed(node.boundaries[:-1]):
            if compare(value, boundary) >= 0:
                return boundary
    if node.other is None:
        raise Fault("$bucket: a value lies outside the boundaries, and there is no default")
    return node.other.value


_NODES: Final[dict[type, Callable[[Any, Scope], Value]]] = {
    Constant: _constant,
    VariableOf: _variable,
    FieldOf: _field,
    ObjectOf: _object,
    ArrayOf: _array,
    Apply: _apply,
    Junction: _junction,
    Conditional: _conditional,
    FirstPresent: _first_present,
    Let: _let,
    MapOver: _map,
    FilterOver: _filter,
    Reduce: _reduce,
    BucketOf: _bucket,
}
