"""Whether one filter implies another: a prover that may say no too often, never yes wrongly.

Used where a query must already ask for what a rule allows (mode `reject`), and where a masked
field may be used because rule and filter together guarantee it (masks).

What it knows: conjunction, disjunction and cases; the same condition on both sides; a field whose
exact value is known; intervals; lists. A client's `Field` condition looks into arrays, so it says
what a field's value *is* only for paths that never hold an array (`scalar`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice, product
from typing import Any, Final, TypeAlias, TypeGuard

from baas.query import ast
from baas.query import expr as e
from baas.query.conditions import Env, satisfied
from baas.query.evaluate import matches
from baas.schema.values import MISSING, Path, Value, compare, is_date, kind_of

#: Paths that the kit itself writes, and never as arrays.
NEVER_ARRAYS: Final = frozenset({("_id",), ("_openid",), ("_createTime",), ("_updateTime",)})
#: Most cases that a query's alternatives are split into; a client chooses them.
_MAX_CASES: Final = 64

Scalar: TypeAlias = Callable[[Path], bool]
_MIRROR: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_RANGES: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def never_array(path: Path) -> bool:
    return path in NEVER_ARRAYS


def implies(known: ast.Filter, wanted: ast.Filter, scalar: Scalar = never_array) -> bool:
    """Whether every document that matches `known` is sure to match `wanted`.

    `scalar` says of which paths it is certain that they never hold an array, nor pass one.
    """
    goal = _normal(wanted)
    if isinstance(goal, ast.Always):
        return True
    cases = list(islice(_cases(_normal(known)), _MAX_CASES + 1))
    if len(cases) > _MAX_CASES:
        return False
    return all(_Facts(case, scalar).prove(goal) for case in cases)


# -- one shape for both kinds of conditions -------------------------------------------------------


def _normal(filter: ast.Filter) -> ast.Filter:
    """And, Or, Not of a Field, and Where of a bare comparison; the rest as it is."""
    if isinstance(filter, ast.And):
        return _gather(True, tuple(_normal(item) for item in filter.items))
    if isinstance(filter, ast.Or):
        return _gather(False, tuple(_normal(item) for item in filter.items))
    if isinstance(filter, ast.Not):
        return _normal_not(filter.item)
    if isinstance(filter, ast.Field) and filter.test == ast.In(()):
        return ast.NEVER
    return _normal_where(filter.expr) if isinstance(filter, ast.Where) else filter


def _normal_not(item: ast.Filter) -> ast.Filter:
    if isinstance(item, ast.Not):
        return _normal(item.item)
    if isinstance(item, (ast.And, ast.Or)):
        parts = tuple(_normal_not(part) for part in item.items)
        return _gather(isinstance(item, ast.Or), parts)
    if isinstance(item, ast.Always):
        return ast.NEVER
    return ast.ALWAYS if isinstance(item, ast.Never) else ast.Not(item)


def _gather(conjunction: bool, items: tuple[ast.Filter, ...]) -> ast.Filter:
    kind = ast.And if conjunction else ast.Or
    neutral, decisive = (ast.ALWAYS, ast.NEVER) if conjunction else (ast.NEVER, ast.ALWAYS)
    flat: list[ast.Filter] = []
    for item in items:
        if item == decisive:
            return decisive
        if item != neutral:
            flat.extend(item.items if isinstance(item, kind) else (item,))
    if not flat:
        return neutral
    return flat[0] if len(flat) == 1 else kind(tuple(flat))


def _normal_where(expr: e.Expr) -> ast.Filter:
    """The filter that holds where `expr` is true."""
    if isinstance(expr, e.Literal):
        return ast.ALWAYS if expr.value is True else ast.NEVER
    if isinstance(expr, e.Logic):
        return _gather(expr.op == "&&", tuple(_normal_where(item) for item in expr.items))
    if isinstance(expr, e.Unary) and expr.op == "!":
        return _normal_false(expr.operand)
    if isinstance(expr, e.Conditional):
        then = _gather(True, (_normal_where(expr.test), _normal_where(expr.then)))
        other = _gather(True, (_normal_false(expr.test), _normal_where(expr.other)))
        return _gather(False, (then, other))
    if isinstance(expr, e.Binary) and expr.op in _MIRROR and isinstance(expr.left, e.Literal):
        expr = e.Binary(_MIRROR[expr.op], expr.right, expr.left)  # type: ignore[arg-type]
    return ast.NEVER if isinstance(expr, e.Undefined) else ast.Where(expr)


def _normal_false(expr: e.Expr) -> ast.Filter:
    """The filter that holds where `expr` is false (and not undefined)."""
    if isinstance(expr, e.Literal):
        return ast.ALWAYS if expr.value is False else ast.NEVER
    if isinstance(expr, e.Unary) and expr.op == "!":
        return _normal_where(expr.operand)
    if isinstance(expr, e.Logic):
        return _gather(expr.op == "||", tuple(_normal_false(item) for item in expr.items))
    if isinstance(expr, e.Binary) and expr.op in ("==", "!="):
        turned = "!=" if expr.op == "==" else "=="
        return _normal_where(e.Binary(turned, expr.left, expr.right))  # type: ignore[arg-type]
    return ast.Where(e.Unary("!", expr))


def _cases(filter: ast.Filter) -> Iterator[tuple[ast.Filter, ...]]:
    """The alternatives of `filter`, each as a list of facts; one too many at most."""
    if isinstance(filter, ast.Or):
        for item in filter.items:
            yield from _cases(item)
    elif isinstance(filter, ast.And):
        parts = [list(islice(_cases(item), _MAX_CASES + 1)) for item in filter.items]
        for choice in islice(product(*parts), _MAX_CASES + 1):
            yield tuple(fact for part in choice for fact in part)
    else:
        yield (filter,)


# -- proving --------------------------------------------------------------------------------------


class _Facts:
    """Conditions that hold together of one document."""

    def __init__(self, facts: tuple[ast.Filter, ...], scalar: Scalar) -> None:
        self.facts = facts
        self.scalar = scalar
        self.impossible = any(isinstance(fact, ast.Never) for fact in facts)
        self._about: dict[Path, list[ast.Filter]] = {}
        for fact in facts:
            if (path := _subject(fact)) is not None:
                self._about.setdefault(path, []).append(fact)

    def prove(self, goal: ast.Filter) -> bool:
        if self.impossible or isinstance(goal, ast.Always) or goal in self.facts:
            return True
        if isinstance(goal, ast.And):
            return all(self.prove(item) for item in goal.items)
        if isinstance(goal, ast.Or):
            return any(self.prove(item) for item in goal.items)
        path = _subject(goal)
        # Only what speaks of the same field can show anything but itself.
        return path is not None and any(
            self._shows(fact, goal) for fact in self._about.get(path, ())
        )

    def _shows(self, fact: ast.Filter, goal: ast.Filter) -> bool:
        values = self._values(fact)
        if values is not None:
            path, candidates = values
            return all(_holds_with(goal, path, value) for value in candidates)
        return (
            self._by_range(fact, goal) or self._by_candidate(fact, goal) or _by_member(fact, goal)
        )

    def _values(self, fact: ast.Filter) -> tuple[Path, list[Value]] | None:
        """The path and every value it can have, where the fact pins them down.

        Null is left out of it below the top level: there it may also mean that a parent is missing
        or no object, which conditions tell apart.
        """
        found = _exact_values(fact) or self._field_values(fact)
        if found is None:
            return None
        path, values = found
        if all(value is not None for value in values):
            return path, values
        return (path, [*values, MISSING]) if len(path) == 1 else None

    def _field_values(self, fact: ast.Filter) -> tuple[Path, list[Value]] | None:
        if not isinstance(fact, ast.Field) or not self.scalar(fact.path):
            return None
        if isinstance(fact.test, ast.Eq):
            return fact.path, [fact.test.value]
        if isinstance(fact.test, ast.In) and not fact.test.patterns:
            return fact.path, list(fact.test.values)
        return None

    def _by_range(self, fact: ast.Filter, goal: ast.Filter) -> bool:
        """`doc.n > 5` shows `doc.n > 3`, `doc.n != 2` and, for clients, `{n: {$gt: 3}}`."""
        known = self._exact_range(fact)
        if known is None:
            return False
        path, op, bound = known
        if isinstance(goal, ast.Where) and (aim := _comparison(goal.expr)) and aim[0] == path:
            return _within(op, bound, aim[1], aim[2])
        if isinstance(goal, ast.Field) and goal.path == path:
            return _test_within(op, bound, goal.test)
        return False

    def _exact_range(self, fact: ast.Filter) -> tuple[Path, str, Value] | None:
        if isinstance(fact, ast.Where):
            found = _comparison(fact.expr)
            return found if found and found[1][0] in "<>" and _orderable(found[2]) else None
        if not isinstance(fact, ast.Field) or not isinstance(fact.test, ast.Range):
            return None
        if not self.scalar(fact.path) or not _orderable(fact.test.value):
            return None
        return fact.path, _RANGES[fact.test.op], fact.test.value

    def _by_candidate(self, fact: ast.Filter, goal: ast.Filter) -> bool:
        """Both look for some candidate of one path: what passes the one passes the other."""
        if not isinstance(fact, ast.Field) or not isinstance(goal, ast.Field):
            return False
        if fact.path != goal.path or not isinstance(goal.test, _SINGLE):
            return False
        if isinstance(fact.test, ast.Range) and _orderable(fact.test.value):
            return _test_within(_RANGES[fact.test.op], fact.test.value, goal.test)
        values = _test_values(fact.test)
        return values is not None and all(_passes(goal.test, value) for value in values)


#: Tests that look at one candidate.
_SINGLE: Final = (ast.Eq, ast.Range, ast.In, ast.Exists, ast.Type, ast.Mod, ast.Regex)


def _exact_values(fact: ast.Filter) -> tuple[Path, list[Value]] | None:
    """`doc.a == 1` and `doc.a in [1, 2]`: the values that the field can have."""
    if not isinstance(fact, ast.Where) or not isinstance(fact.expr, e.Binary):
        return None
    left, right = fact.expr.left, fact.expr.right
    if not _is_doc(left) or not isinstance(right, e.Literal):
        return None
    if fact.expr.op == "==":
        return left.path, [right.value]
    if fact.expr.op == "in" and type(right.value) is list:
        return left.path, list(right.value)
    return None


def _is_doc(expr: Any) -> TypeGuard[e.DocField]:
    return isinstance(expr, e.DocField) and expr.root == "doc" and bool(expr.path)


def _comparison(expr: e.Expr) -> tuple[Path, str, Value] | None:
    if isinstance(expr, e.Binary) and _is_doc(expr.left) and isinstance(expr.right, e.Literal):
        return expr.left.path, expr.op, expr.right.value
    return None


def _subject(item: ast.Filter) -> Path | None:
    """The one path on whose value the item's truth depends, or None."""
    if isinstance(item, ast.Field):
        return item.path
    if isinstance(item, ast.Not):
        return _subject(item.item)
    if not isinstance(item, ast.Where):
        return None
    paths = set(_paths(item.expr))
    return paths.pop() if len(paths) == 1 else None


def _paths(expr: e.Expr) -> Iterator[Path | None]:
    """Every path of the document that is read; None for what is no such path."""
    if isinstance(expr, e.DocField):
        yield expr.path if expr.root == "doc" and expr.path else None
    elif isinstance(expr, (e.Lookup, e.LookupExists, e.Variable)):
        yield None
    for child in e.children(expr):
        yield from _paths(child)


def _holds_with(goal: ast.Filter, path: Path, value: Any) -> bool:
    document = _document_with(path, value)
    if isinstance(goal, ast.Where):
        return satisfied(goal.expr, Env(document))
    return matches(goal, document)


def _document_with(path: Path, value: Any) -> dict[str, Value]:
    if value is MISSING:
        return {}
    for name in reversed(path):
        value = {name: value}
    return value  # type: ignore[no-any-return]


def _orderable(value: Value) -> bool:
    return type(value) in (int, float, str, bool) or is_date(value)


def _within(op: str, bound: Value, goal_op: str, goal: Value) -> bool:
    """Whether `x <op> bound` shows `x <goal_op> goal`, for values of one kind."""
    same = kind_of(bound) is kind_of(goal)
    verdict = compare(bound, goal) if same else 0
    if goal_op == "!=":
        return not same or not _satisfies(verdict * -1, op)
    if not same or goal_op[0] != op[0]:
        return False
    further = verdict > 0 if op[0] == ">" else verdict < 0
    return further or (verdict == 0 and (goal_op == op or goal_op[1:] == "="))


def _satisfies(verdict: int, op: str) -> bool:
    """Whether a value that compares so to the bound lies on the side that `op` names."""
    if verdict == 0:
        return op.endswith("=")
    return verdict > 0 if op[0] == ">" else verdict < 0


def _test_within(op: str, bound: Value, test: ast.Test) -> bool:
    if isinstance(test, ast.Exists):
        return True
    if isinstance(test, ast.Range):
        return _orderable(test.value) and _within(op, bound, _RANGES[test.op], test.value)
    return isinstance(test, ast.Type) and _passes(test, bound)


def _test_values(test: ast.Test) -> list[Value] | None:
    """The candidates that pass, where they are plain values."""
    if isinstance(test, ast.Eq):
        values = [test.value]
    elif isinstance(test, ast.In) and not test.patterns:
        values = list(test.values)
    else:
        return None
    return values if all(_orderable(value) for value in values) else None


def _passes(test: ast.Test, value: Value) -> bool:
    return matches(ast.Field(("x",), test), {"x": value})


def _by_member(fact: ast.Filter, goal: ast.Filter) -> bool:
    """`'a' in doc.tags` shows the client's `{tags: 'a'}`, which looks into the list as well."""
    if not isinstance(fact, ast.Where) or not isinstance(goal, ast.Field):
        return False
    expr = fact.expr
    if not isinstance(expr, e.Binary) or expr.op != "in" or not _is_doc(expr.right):
        return False
    if not isinstance(expr.left, e.Literal) or not _orderable(expr.left.value):
        return False
    same_path = expr.right.path == goal.path
    return same_path and isinstance(goal.test, _SINGLE) and _passes(goal.test, expr.left.value)
