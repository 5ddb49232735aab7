"""Rules with the caller and the request filled in: true, false, or a filter over documents.

`reduce` evaluates what is known and leaves the rest as an expression that means exactly what the
rule means (`evaluate(reduce(rule, known), rest) == evaluate(rule, known + rest)`; a property test
holds it). `possible` bounds a write rule by what it says of the stored document alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from baas.query import ast
from baas.query import expr as e
from baas.query.conditions import (
    LookupsLike,
    element,
    is_null,
    lenient,
    member,
    member_chain,
    negation,
    resolve_lookup,
    spread_member,
)
from baas.query.instants import Instant, is_instant, plain
from baas.query.rulefunctions import (
    UNDEFINED,
    arithmetic,
    call,
    member_of,
    negative,
    ordered,
    values_equal,
)
from baas.schema.values import MIN_DATE_MS, date_from_ms


class Known:
    """What is known: `variables` by name (others stay), and `lookups`, or None to leave them."""

    __slots__ = ("lookups", "variables")

    def __init__(self, variables: Mapping[str, Any], lookups: LookupsLike | None = None) -> None:
        self.variables = variables
        self.lookups = lookups


def reduce(expr: e.Expr, known: Known) -> e.Expr:
    """What is left of `expr`. May raise LookupNeeded where `known.lookups` does."""
    return _settled(_reduce(expr, known))


def to_filter(expr: e.Expr) -> ast.Filter:
    """A reduced condition as a filter; conjuncts apart, so that an engine can use an index."""
    if isinstance(expr, e.Literal):
        return ast.ALWAYS if expr.value is True else ast.NEVER
    if isinstance(expr, e.Undefined):
        return ast.NEVER
    if isinstance(expr, e.Logic):
        items = tuple(to_filter(item) for item in expr.items)
        return _all(items) if expr.op == "&&" else _any(items)
    return ast.Where(expr)


def _all(items: tuple[ast.Filter, ...]) -> ast.Filter:
    result: ast.Filter = ast.ALWAYS
    for item in items:
        result = ast.both(result, item)
    return result


def _any(items: tuple[ast.Filter, ...]) -> ast.Filter:
    if any(isinstance(item, ast.Always) for item in items):
        return ast.ALWAYS
    left = tuple(item for item in items if not isinstance(item, ast.Never))
    if len(left) < 2:
        return left[0] if left else ast.NEVER
    return ast.Or(left)


# -- reduction ------------------------------------------------------------------------------------


def _reduce(expr: e.Expr, known: Known) -> e.Expr:
    return _REDUCERS[type(expr)](expr, known)


def _settled(expr: e.Expr) -> e.Expr:
    """Without Instants: nothing outside this module knows them as literals."""
    if isinstance(expr, e.Literal) and type(expr.value) is Instant:
        return e.Literal(plain(expr.value))
    return expr


def _value(expr: e.Expr) -> Any:
    """The value of a Literal or Undefined."""
    return expr.value if isinstance(expr, e.Literal) else UNDEFINED


def _node(value: Any) -> e.Expr:
    return e.Undefined() if value is UNDEFINED else e.Literal(value)


def _is_known(expr: e.Expr) -> bool:
    return isinstance(expr, (e.Literal, e.Undefined))


def _itself(node: Any, known: Known) -> e.Expr:
    return node  # type: ignore[no-any-return]


def _variable(node: e.Variable, known: Known) -> e.Expr:
    return e.Literal(known.variables[node.name]) if node.name in known.variables else node


def _member(node: e.Member, known: Known) -> e.Expr:
    target = _reduce(node.target, known)
    if _is_known(target):
        missing = None if lenient(node) else UNDEFINED
        return _node(member(_value(target), node.name, missing))
    return e.Member(target, node.name)


def _index(node: e.Index, known: Known) -> e.Expr:
    target, key = _reduce(node.target, known), _reduce(node.key, known)
    if isinstance(target, e.Undefined) or isinstance(key, e.Undefined):
        return e.Undefined()
    if _is_known(target) and _is_known(key):
        missing = None if lenient(node) else UNDEFINED
        return _node(element(_value(target), _value(key), missing))
    return e.Index(_settled(target), _settled(key))


def _lookup(node: e.Lookup, known: Known) -> e.Expr:
    id = _reduce(node.id, known)
    if _is_known(id) and known.lookups is not None:
        return _node(resolve_lookup(node.collection, _value(id), known.lookups))
    return e.Undefined() if isinstance(id, e.Undefined) else e.Lookup(node.collection, _settled(id))


def _lookup_exists(node: e.LookupExists, known: Known) -> e.Expr:
    id = _reduce(node.id, known)
    if isinstance(id, e.Undefined):
        return e.FALSE
    if _is_known(id) and known.lookups is not None:
        return e.Literal(resolve_lookup(node.collection, _value(id), known.lookups) is not None)
    return e.LookupExists(node.collection, _settled(id))


def _list(node: e.ListOf, known: Known) -> e.Expr:
    items = tuple(_settled(_reduce(item, known)) for item in node.items)
    if any(isinstance(item, e.Undefined) for item in items):
        return e.Undefined()
    if all(isinstance(item, e.Literal) for item in items):
        return e.Literal([_value(item) for item in items])
    return e.ListOf(items)


def _unary(node: e.Unary, known: Known) -> e.Expr:
    operand = _reduce(node.operand, known)
    if isinstance(operand, e.Undefined):
        return operand
    if isinstance(operand, e.Literal):
        return _node((negation if node.op == "!" else negative)(operand.value))
    return e.Unary(node.op, operand)


def _logic(node: e.Logic, known: Known) -> e.Expr:
    decisive = node.op == "||"
    left: list[e.Expr] = []
    undefined = False
    for item in node.items:
        reduced = _reduce(item, known)
        if not _is_known(reduced):
            same = isinstance(reduced, e.Logic) and reduced.op == node.op
            left.extend(reduced.items if same else (reduced,))  # type: ignore[union-attr]
        elif _value(reduced) is decisive:
            return e.Literal(decisive)
        elif type(_value(reduced)) is not bool:
            undefined = True
    if undefined:
        left.append(e.Undefined())
    if not left:
        return e.Literal(not decisive)
    return left[0] if len(left) == 1 else e.Logic(node.op, tuple(left))


def _conditional(node: e.Conditional, known: Known) -> e.Expr:
    test = _reduce(node.test, known)
    if _is_known(test):
        if type(_value(test)) is not bool:
            return e.Undefined()
        return _settled(_reduce(node.then if _value(test) else node.other, known))
    then, other = _reduce(node.then, known), _reduce(node.other, known)
    return e.Conditional(test, _settled(then), _settled(other))


def _call(node: e.Call, known: Known) -> e.Expr:
    if node.name in ("unchanged", "changed"):
        return node
    if node.name == "has":
        return _has(node, known)
    args = tuple(_settled(_reduce(arg, known)) for arg in node.args)
    if any(isinstance(arg, e.Undefined) for arg in args):
        return e.Undefined()
    if all(isinstance(arg, e.Literal) for arg in args):
        return _node(call(node.name, tuple(_value(arg) for arg in args)))
    return e.Call(node.name, args)


def _has(node: e.Call, known: Known) -> e.Expr:
    """`has` sees what a member's own meaning hides: whether the name is there at all."""
    path = node.args[0]
    if isinstance(path, e.DocField):
        return node
    if isinstance(path, (e.Member, e.Index)):
        target = _reduce(path.target, known)
        key = e.Literal(path.name) if isinstance(path, e.Member) else _reduce(path.key, known)
        if _is_known(target) and _is_known(key):
            found = element(_value(target), _value(key), UNDEFINED)
            return e.Literal(found is not UNDEFINED)
        if isinstance(path, e.Member):
            return e.Call("has", (e.Member(target, path.name),))
        return e.Call("has", (e.Index(_settled(target), _settled(key)),))
    value = _reduce(path, known)
    if _is_known(value):
        return e.Literal(value != e.Literal(None) and not isinstance(value, e.Undefined))
    return e.Call("has", (value,))


# -- operators ------------------------------------------------------------------------------------


def _binary(node: e.Binary, known: Known) -> e.Expr:
    if node.op in ("==", "!=") and (is_null(node.left) or is_null(node.right)):
        return _null_test(node, known)
    right = _members(node.right, known) if node.op == "in" else _reduce(node.right, known)
    left = _reduce(node.left, known)
    if isinstance(left, e.Undefined) or isinstance(right, e.Undefined):
        return e.Undefined()
    if isinstance(left, e.Literal) and isinstance(right, e.Literal):
        return _node(_apply(node, left.value, right.value))
    if _is_moment(left) or _is_moment(right):
        return _beside_unknown(node.op, left, right)
    if node.op in ("==", "!=") and (is_null(left) or is_null(right)):
        return _null_value(node.op, right if is_null(left) else left)
    return e.Binary(node.op, left, right)


def _apply(node: e.Binary, left: Any, right: Any) -> Any:
    op = node.op
    if op == "==":
        return values_equal(left, right)
    if op == "!=":
        return not values_equal(left, right)
    if op == "in":
        return member_of(left, right)
    if op[0] in "<>":
        return ordered(op, left, right)
    return arithmetic(op, left, right, moment=is_instant(node))


def _null_test(node: e.Binary, known: Known) -> e.Expr:
    """`== null` written out: the one comparison that sees undefined."""
    other = _reduce(node.left if is_null(node.right) else node.right, known)
    if _is_known(other):
        return e.Literal((_value(other) in (None, UNDEFINED)) is (node.op == "=="))
    return e.Binary(node.op, other, e.Literal(None))


def _null_value(op: str, other: e.Expr) -> e.Expr:
    """Compared with a null that came from a value: undefined must still pass through.

    A document's field is never undefined; for anything else `x in [null]` says the same.
    """
    if isinstance(other, e.DocField):
        return e.Binary("==" if op == "==" else "!=", other, e.Literal(None))
    test = e.Binary("in", other, e.Literal([None]))
    return test if op == "==" else e.Unary("!", test)


def _members(node: e.Expr, known: Known) -> e.Expr:
    """The right side of `in`, where a path opens arrays of objects."""
    root, path = member_chain(node)
    if not path or isinstance(root, e.DocField):
        return _reduce(node, known)
    reduced = _reduce(root, known)
    if _is_known(reduced):
        missing = None if lenient(node) else UNDEFINED
        return _node(spread_member(_value(reduced), path, missing))
    for name in path:
        reduced = e.Member(reduced, name)
    return reduced


def _is_moment(expr: e.Expr) -> bool:
    return isinstance(expr, e.Literal) and type(expr.value) is Instant


def _beside_unknown(op: Any, left: e.Expr, right: e.Expr) -> e.Expr:
    """An Instant beside what is not known yet: as a date and as milliseconds, both spelled out."""
    moment = _value(left) if _is_moment(left) else _value(right)
    other = right if _is_moment(left) else left
    forms = (e.Literal(plain(moment)), e.Literal(moment.ms))
    date, ms = (
        e.Binary(op, form, right) if _is_moment(left) else e.Binary(op, left, form)
        for form in forms
    )
    if op in ("+", "-", "*", "/", "%"):
        # Only dates are ordered beside the first of all dates.
        is_date = e.Binary(">=", other, e.Literal(_FIRST_DATE))
        return e.Conditional(is_date, date, ms)
    if op == "!=":
        return e.Logic("&&", (date, ms))
    return e.Logic("||", (date, ms))


_FIRST_DATE: Final = date_from_ms(MIN_DATE_MS)

_Reducer: TypeAlias = Callable[[Any, Known], e.Expr]
_REDUCERS: Final[dict[type, _Reducer]] = {
    e.Literal: _itself,
    e.Undefined: _itself,
    e.Variable: _variable,
    e.DocField: _itself,
    e.Member: _member,
    e.Index: _index,
    e.Lookup: _lookup,
    e.LookupExists: _lookup_exists,
    e.ListOf: _list,
    e.Unary: _unary,
    e.Binary: _binary,
    e.Logic: _logic,
    e.Conditional: _conditional,
    e.Call: _call,
}


# -- what a write rule says of the stored document ------------------------------------------------


def possible(expr: e.Expr) -> e.Expr:
    """A condition over `doc` that holds wherever `expr` can be true, whatever `newDoc` will be."""
    return _may_be(expr, True)


def _may_be(expr: e.Expr, verdict: bool) -> e.Expr:
    if not speaks_of_result(expr):
        return expr if verdict else _not(expr)
    if isinstance(expr, e.Unary) and expr.op == "!":
        return _may_be(expr.operand, not verdict)
    if isinstance(expr, e.Logic):
        items = tuple(_may_be(item, verdict) for item in expr.items)
        return _join((expr.op == "&&") is verdict, items)
    if isinstance(expr, e.Conditional):
        return _join(
            False,
            (
                _join(True, (_may_be(expr.test, True), _may_be(expr.then, verdict))),
                _join(True, (_may_be(expr.test, False), _may_be(expr.other, verdict))),
            ),
        )
    return e.TRUE


def _not(expr: e.Expr) -> e.Expr:
    return _unary(e.Unary("!", expr), Known({}))


def _join(conjunction: bool, items: tuple[e.Expr, ...]) -> e.Expr:
    return _logic(e.Logic("&&" if conjunction else "||", items), Known({}))


def speaks_of_result(expr: e.Expr) -> bool:
    """Whether the value depends on the document as it will be."""
    if isinstance(expr, e.DocField):
        return expr.root == "newDoc"
    if isinstance(expr, e.Call) and expr.name in ("unchanged", "changed"):
        return True
    return any(speaks_of_result(child) for child in e.children(expr))
