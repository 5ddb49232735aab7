"""Objects. A null or missing operand makes the result null; `$mergeObjects` passes over it."""

from __future__ import annotations

from typing import Final

from baas.query.aggregate.budget import Budget
from baas.query.aggregate.functions.base import Fault, Function, absent, array, mapping
from baas.schema.admit import name_fault
from baas.schema.values import Value, kind_of


def _merge(budget: Budget, *args: Value) -> Value:
    """Later members win. One operand that is an array stands for its elements."""
    given = args[0] if len(args) == 1 and type(args[0]) is list else args
    budget.spend(len(given))
    parts = [mapping(part) for part in given if not absent(part)]
    budget.made_entries(sum(map(len, parts)))
    result: dict[str, Value] = {}
    for part in parts:
        result.update(part)
    return budget.check(result)


def _pairs(budget: Budget, value: Value) -> Value:
    if absent(value):
        return None
    given = mapping(value)
    budget.made_entries(4 * len(given))
    return budget.check([{"k": name, "v": item} for name, item in given.items()])


def _from_pairs(budget: Budget, value: Value) -> Value:
    """Of `{k, v}` objects or `[k, v]` arrays; names must be ones that a document may have."""
    if absent(value):
        return None
    items = array(value)
    budget.made_entries(len(items))
    budget.spend(len(items))
    return budget.check(dict(map(_pair, items)))


def _pair(item: Value) -> tuple[str, Value]:
    if type(item) is list and len(item) == 2:
        name, value = item
    elif type(item) is dict and item.keys() == {"k", "v"}:
        name, value = item["k"], item["v"]
    else:
        raise Fault(f"takes pairs [k, v] or {{k, v}}, not {kind_of(item).name.lower()}")
    if fault := name_fault(name):
        raise Fault(f"cannot make that member: {fault}")
    return name, value


OBJECTS: Final[dict[str, Function]] = {
    "$mergeObjects": Function(_merge, 0, None),
    "$objectToArray": Function(_pairs),
    "$arrayToObject": Function(_from_pairs),
}
