"""Rule conditions (`ast.Where`) as SQL: undefined is NULL, and AND, OR, NOT are SQL's own.

A document's field is never undefined, so a comparison of one is made two-valued wherever a
negation could see the difference. Only the forms that an index can serve, or that rules commonly
end in, are compiled; any other sub-condition is a call of `baas.query.conditions`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from baas.engines.sqlite.keys import encode_key, json_path, row_key_sql
from baas.engines.sqlite.predicates import ID_SPOT, Spot, equals, joined, one_of, path_spot, ranged
from baas.query import expr as e
from baas.query.conditions import UNDEFINED, Env
from baas.query.conditions import compile as compile_reference
from baas.query.instants import Instant, plain
from baas.schema.values import Document, Value

if TYPE_CHECKING:
    from baas.engines.sqlite.compile import Compiler

_FLIPPED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def condition(to: Compiler, node: e.Expr, exact: bool = False) -> str:
    """1, 0 or NULL (undefined). Unless `exact`, NULL may also stand for 0."""
    return _COMPILERS.get(type(node), _reference)(to, node, exact)


def _reference(to: Compiler, node: e.Expr, exact: bool) -> str:
    work = compile_reference(node)

    def run(document: Document, lookups: Any) -> bool | None:
        value = work(Env(doc=document, lookups=lookups))
        return value if value is not UNDEFINED and type(value) is bool else None

    return to.call(run, "doc")


def _literal(to: Compiler, node: e.Literal, exact: bool) -> str:
    if type(node.value) is bool:
        return "1" if node.value else "0"
    return "NULL"


def _logic(to: Compiler, node: e.Logic, exact: bool) -> str:
    word = " AND " if node.op == "&&" else " OR "
    return joined(word, [condition(to, item, exact) for item in node.items])


def _unary(to: Compiler, node: e.Unary, exact: bool) -> str:
    if node.op != "!":
        return "NULL"
    return f"(NOT {condition(to, node.operand, True)})"


def _binary(to: Compiler, node: e.Binary, exact: bool) -> str:
    compiled: str | None = None
    if node.op in ("==", "!="):
        compiled = _equality(to, node)
    elif node.op in _FLIPPED:
        compiled = _ordered(to, node, exact)
    elif node.op == "in":
        compiled = _membership(to, node, exact)
    return _reference(to, node, exact) if compiled is None else compiled


def _spot(node: e.Expr) -> Spot | None:
    """Where a field of the stored document lies; None for any other expression."""
    path: tuple[str, ...] = ()
    while isinstance(node, e.Member):
        path = (node.name, *path)
        node = node.target
    if not isinstance(node, e.DocField) or node.root != "doc":
        return None
    path = (*node.path, *path)
    if not path:
        return None
    return ID_SPOT if path == ("_id",) else path_spot(path)


def _sides(node: e.Binary) -> tuple[Spot, str, Any] | None:
    """A field, the operator, and the literal beside it, whichever way round it was written."""
    if isinstance(node.right, e.Literal) and (spot := _spot(node.left)):
        return spot, node.op, node.right.value
    if isinstance(node.left, e.Literal) and (spot := _spot(node.right)):
        return spot, _FLIPPED.get(node.op, node.op), node.left.value
    return None


def _equality(to: Compiler, node: e.Binary) -> str | None:
    if sides := _sides(node):
        spot, _, value = sides
        test = _instant_or(to, value, lambda plain_value: equals(to, spot, plain_value))
    else:
        left, right = _spot(node.left), _spot(node.right)
        if left is None or right is None or left.is_id or right.is_id:
            return None
        test = f"{left.key} IS {right.key}"
    return f"({test})" if node.op == "==" else f"(NOT ({test}))"


def _ordered(to: Compiler, node: e.Binary, exact: bool) -> str | None:
    sides = _sides(node)
    if sides is None:
        return None
    spot, op, value = sides
    test = _instant_or(to, value, lambda plain_value: ranged(to, spot, op, plain_value))
    return f"ifnull({test},0)" if exact else test


def _instant_or(to: Compiler, value: Any, test: Callable[[Value], str]) -> str:
    """An instant is a date beside dates and milliseconds beside numbers."""
    if type(value) is not Instant:
        return test(value)
    return f"({test(plain(value))} OR {test(value.ms)})"


def _membership(to: Compiler, node: e.Binary, exact: bool) -> str | None:
    spot = _spot(node.left)
    if spot is not None and (values := _literal_list(node.right)) is not None:
        test = one_of(to, spot, values)
        return f"ifnull({test},0)" if exact else test
    if isinstance(node.left, e.Literal) and type(node.left.value) is not Instant:
        return _literal_in_field(to, node.left.value, node.right)
    return None


def _literal_list(node: e.Expr) -> list[Value] | None:
    if isinstance(node, e.Literal) and type(node.value) is list:
        values = node.value
    elif isinstance(node, e.ListOf) and all(isinstance(item, e.Literal) for item in node.items):
        values = [item.value for item in node.items if isinstance(item, e.Literal)]
    else:
        return None
    return None if any(type(value) is Instant for value in values) else values


def _literal_in_field(to: Compiler, value: Value, node: e.Expr) -> str | None:
    """Membership in a list that is a top-level field; undefined where the field is no list."""
    if not isinstance(node, e.DocField) or node.root != "doc" or len(node.path) != 1:
        return None
    source = f"doc,{json_path(node.path)}"
    row = to.alias()
    found = f"{row_key_sql(row)} IS {to.bind(encode_key(value))}"
    return (
        f"CASE json_type({source}) WHEN 'array' THEN "
        f"EXISTS(SELECT 1 FROM json_each({source}) {row} WHERE {found}) END"
    )


_COMPILERS: Final[dict[type, Callable[[Compiler, Any, bool], str]]] = {
    e.Literal: _literal,
    e.Logic: _logic,
    e.Unary: _unary,
    e.Binary: _binary,
}
