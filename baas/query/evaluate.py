"""What a filter means for one document: the definition that every engine is held to.

`Field(path, test)` holds when at least one *candidate* of the path passes the test. Candidates
follow MongoDB's matcher. `reach(value, path)`, started at the document, is:

1. The path is used up: the value is reached.
2. The value is an object: go on with the field named by the first component; where it lacks
   that field, MISSING is reached.
3. The value is an array: of its elements,
   - each that is an object goes on with the *whole* remaining path, as in 2 (so it may reach
     MISSING);
   - the one whose position is the first component (decimal, no leading zeros) is *picked*: with
     the path used up it is reached; an object or an array goes on with the rest of the path;
     anything else reaches nothing.
   Nothing else is reached: `{a: [1]}` and `{a: []}` reach nothing by `a.b`, so `{"a.b": null}`
   is false and its negation true.
4. Any other value (dates are values, not objects): MISSING is reached.

What is reached is a candidate. Where it is an array that was reached by its name, each of its
elements is a candidate too (one level: elements of elements are not). An array that was picked
by position is a candidate only as a whole.

`Size`, `ElemMatch` and `ElemTest` look at what is reached, never at the elements of an array.
`ElemMatch` asks the array's elements that are objects. (The one known difference: MongoDB also
asks elements that are arrays, as documents whose fields are positions.)

Tests: `Eq`, and `In` with `null`, hold for MISSING as for null; every other test fails on
MISSING, but `Range` `gte`/`lte` with null. `Range` compares within one kind. `Not` negates the
whole leaf, so `$ne` and `$nin` hold where no candidate is equal, and where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from baas.query import ast, geo, text
from baas.query.conditions import Env, satisfied
from baas.query.patterns import compile_pattern, in_stretches
from baas.schema.values import DATE, MISSING, Document, Kind, Path, Value, compare, is_date, kind_of

_TYPE_KINDS: Final = {
    "number": Kind.NUMBER,
    "string": Kind.STRING,
    "bool": Kind.BOOLEAN,
    "null": Kind.NULL,
    "object": Kind.OBJECT,
    "array": Kind.ARRAY,
    "date": Kind.DATE,
}
# Beyond this a float is no 64-bit integer, and $mod has nothing to divide.
_INT64_END: Final = 2.0**63


def matches(filter: ast.Filter, document: Document, lookups: Any = None) -> bool:
    """Whether `document` satisfies `filter`.

    `lookups` (`ports.documents.Lookups`) is needed only where a rule's `Where` node reads another
    document, and may raise LookupNeeded.
    """
    return _NODES[type(filter)](filter, document, lookups)


def _always(node: ast.Always, document: Document, lookups: Any) -> bool:
    return True


def _never(node: ast.Never, document: Document, lookups: Any) -> bool:
    return False


def _and(node: ast.And, document: Document, lookups: Any) -> bool:
    return all(_NODES[type(item)](item, document, lookups) for item in node.items)


def _or(node: ast.Or, document: Document, lookups: Any) -> bool:
    return any(_NODES[type(item)](item, document, lookups) for item in node.items)


def _not(node: ast.Not, document: Document, lookups: Any) -> bool:
    return not matches(node.item, document, lookups)


def _where(node: ast.Where, document: Document, lookups: Any) -> bool:
    return satisfied(node.expr, Env(doc=document, lookups=lookups))


def _text(node: ast.TextSearch, document: Document, lookups: Any) -> bool:
    if not node.some and not node.every:
        return False
    return text.holds(texts_of(document, node.paths), node.some, node.every, node.none)


def texts_of(document: Document, paths: tuple[Path, ...]) -> list[str]:
    """The strings that are candidates of these paths."""
    return [value for path in paths for value in candidates(document, path) if type(value) is str]


def _field(node: ast.Field, document: Document, lookups: Any) -> bool:
    test = node.test
    check = _TESTS[type(test)]
    path = node.path
    if len(path) == 1:
        value = document.get(path[0], MISSING)
        if type(value) is not list:
            return check(test, value)
        return _any_of(check, test, value, False)
    for value, picked in _reach(document, path, 0):
        if type(value) is list:
            if _any_of(check, test, value, picked):
                return True
        elif check(test, value):
            return True
    return False


def _any_of(check: _Check, test: Any, array: list[Value], picked: bool) -> bool:
    if not picked and type(test) not in _WHOLE:
        for element in in_stretches(array):
            if check(test, element):
                return True
    return check(test, array)


def candidates(document: Document, path: Path) -> Iterator[Value]:
    """Every candidate of `path`, elements before their array; MISSING among them."""
    for value, picked in _reach(document, path, 0):
        if type(value) is list and not picked:
            yield from value
        yield value


def _reach(value: Value, path: Path, at: int) -> Iterator[tuple[Value, bool]]:
    """What `path[at:]` reaches from an object, and whether it was picked by position."""
    while at < len(path):
        if type(value) is list:
            yield from _reach_in_array(value, path, at)
            return
        if type(value) is not dict or DATE in value:
            yield MISSING, False
            return
        value = value.get(path[at], MISSING)
        at += 1
    yield value, False


def _reach_in_array(array: list[Value], path: Path, at: int) -> Iterator[tuple[Value, bool]]:
    component = path[at]
    chosen = array_position(component, len(array))
    for position, element in enumerate(in_stretches(array)):
        kind = type(element)
        if kind is dict and DATE not in element:
            yield from _reach(element, path, at)
        if position != chosen:
            continue
        if at + 1 == len(path):
            yield element, True
        elif kind is list or (kind is dict and DATE not in element):
            yield from _reach(element, path, at + 1)


def array_position(component: str, length: int) -> int:
    """The position that a path component names in an array of `length`; -1 where it names none."""
    if len(component) > 7 or not (component.isascii() and component.isdigit()):
        return -1
    if component[0] == "0" and component != "0":
        return -1
    position = int(component)
    return position if position < length else -1


# -- tests: does one candidate pass? --------------------------------------------------------------


def passes(test: ast.Condition, value: Value) -> bool:
    """Whether one value, itself, passes; MISSING is allowed. No array is opened."""
    return _TESTS[type(test)](test, value)


def _eq(test: ast.Eq, value: Value) -> bool:
    return same(test.value, value)


def same(wanted: Value, value: Value) -> bool:
    """Equality of a filter: exact, true is not 1, and a missing value equals null."""
    kind = type(wanted)
    if kind is str:
        return type(value) is str and bool(value == wanted)
    if kind is type(value) and (kind is int or kind is bool):
        return bool(value == wanted)
    if wanted is None:
        return value is None or value is MISSING
    return value is not MISSING and compare(wanted, value) == 0


def _range(test: ast.Range, value: Value) -> bool:
    wanted = test.value
    if wanted is None:
        return test.op in ("gte", "lte") and (value is None or value is MISSING)
    if value is None or value is MISSING or kind_of(wanted) is not kind_of(value):
        return False
    order = compare(value, wanted)
    if test.op == "gt":
        return order > 0
    if test.op == "gte":
        return order >= 0
    return order < 0 if test.op == "lt" else order <= 0


def _in(test: ast.In, value: Value) -> bool:
    kind = type(value)
    if kind is str:
        # A text equals nothing but itself in Python too, so the long lists of ids are quick.
        found = value in test.values
    elif (kind is int or kind is float) and value not in test.values:
        found = False  # no number either, though what is found may be a boolean
    else:
        found = any(same(wanted, value) for wanted in in_stretches(test.values))
    return found or any(_regex(pattern, value) for pattern in test.patterns)


def _exists(test: ast.Exists, value: Value) -> bool:
    return value is not MISSING


def _type(test: ast.Type, value: Value) -> bool:
    if value is MISSING:
        return False
    kind = kind_of(value)
    return any(_TYPE_KINDS[name] is kind for name in test.names)


def _size(test: ast.Size, value: Value) -> bool:
    return type(value) is list and len(value) == test.length


def _mod(test: ast.Mod, value: Value) -> bool:
    """The remainder has the sign of the dividend, as in C and in SQL."""
    if type(value) is float:
        if not -_INT64_END <= value < _INT64_END:
            return False
        value = int(value)
    elif type(value) is not int:
        return False
    remainder = abs(value) % abs(test.divisor)
    return bool((remainder if value >= 0 else -remainder) == test.remainder)


def _regex(test: ast.Regex, value: Value) -> bool:
    return type(value) is str and bool(compile_pattern(test.pattern, test.flags).search(value))


def _elem_match(test: ast.ElemMatch, value: Value) -> bool:
    if type(value) is not list:
        return False
    inner = test.filter
    return any(
        type(e) is dict and not is_date(e) and matches(inner, e) for e in in_stretches(value)
    )


def _elem_test(test: ast.ElemTest, value: Value) -> bool:
    return type(value) is list and any(
        passes(test.test, element) for element in in_stretches(value)
    )


def _all_of(test: ast.AllOf, value: Value) -> bool:
    return all(passes(item, value) for item in test.tests)


def _not_test(test: ast.NotTest, value: Value) -> bool:
    return not passes(test.test, value)


def _geo(test: ast.Geo, value: Value) -> bool:
    return geo.holds(test.region, value)


_Node: TypeAlias = Callable[[Any, Document, Any], bool]
_Check: TypeAlias = Callable[[Any, Value], bool]

_NODES: Final[dict[type, _Node]] = {
    ast.Always: _always,
    ast.Never: _never,
    ast.And: _and,
    ast.Or: _or,
    ast.Not: _not,
    ast.Field: _field,
    ast.Where: _where,
    ast.TextSearch: _text,
}
_TESTS: Final[dict[type, _Check]] = {
    ast.Eq: _eq,
    ast.Range: _range,
    ast.In: _in,
    ast.Exists: _exists,
    ast.Type: _type,
    ast.Size: _size,
    ast.Mod: _mod,
    ast.Regex: _regex,
    ast.ElemMatch: _elem_match,
    ast.ElemTest: _elem_test,
    ast.AllOf: _all_of,
    ast.NotTest: _not_test,
    ast.Geo: _geo,
}
#: Tests that are about an array as a whole.
_WHOLE: Final = frozenset({ast.Size, ast.ElemMatch, ast.ElemTest})
