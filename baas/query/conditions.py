"""Rule expressions evaluated: what a condition means once everything it names is known.

`compile` turns an expression into closures once; a rule on the hot path is then a few Python
calls. This is the reference for the engines, which compile the same nodes to their own form. The
meaning is that of `baas.query.expr`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from baas.ids import is_id
from baas.query import expr as e
from baas.query.instants import Instant, is_instant, plain
from baas.query.rulefunctions import (
    UNDEFINED,
    arithmetic,
    call,
    field,
    member_of,
    negative,
    ordered,
    spread,
    unchanged,
    values_equal,
)
from baas.schema.values import Document, Path, Value, is_date

__all__ = ["UNDEFINED", "Env", "Instant", "compile", "evaluate", "satisfied"]

#: `Lookups` of `baas.ports.documents`, which this package does not know.
LookupsLike: TypeAlias = Callable[[str, str], Document | None]


class Env:
    """What the names of a rule stand for.

    `doc` the stored document, `new_doc` the one after the write; None where there is none.
    `variables` holds `auth request now ...` as values; a name that is not there is undefined.
    `lookups` answers `get` and `exists` and may raise LookupNeeded.
    """

    __slots__ = ("doc", "lookups", "new_doc", "variables")

    def __init__(
        self,
        doc: Document | None = None,
        new_doc: Document | None = None,
        variables: Mapping[str, Any] | None = None,
        lookups: LookupsLike | None = None,
    ) -> None:
        self.doc = doc
        self.new_doc = new_doc
        self.variables: Mapping[str, Any] = {} if variables is None else variables
        self.lookups = lookups


#: A compiled expression: its value or UNDEFINED.
Compiled: TypeAlias = Callable[[Env], Any]


def compile(expr: e.Expr) -> Compiled:
    """The expression as a function of an Env."""
    return _COMPILERS[type(expr)](expr)


def evaluate(expr: e.Expr, env: Env) -> Value:
    """The value of `expr`, or UNDEFINED."""
    value = compile(expr)(env)
    return value if value is UNDEFINED else plain(value)


def satisfied(expr: e.Expr, env: Env) -> bool:
    """Whether the condition holds: it is exactly true."""
    return compile(expr)(env) is True


# -- values ---------------------------------------------------------------------------------------


def _literal(node: e.Literal) -> Compiled:
    value = node.value
    return lambda env: value


def _undefined(node: e.Undefined) -> Compiled:
    return lambda env: UNDEFINED


def _variable(node: e.Variable) -> Compiled:
    name = node.name
    return lambda env: env.variables.get(name, UNDEFINED)


def _doc_field(node: e.DocField) -> Compiled:
    path = node.path
    if node.root == "doc":
        return lambda env: field(env.doc, path)
    return lambda env: field(env.new_doc, path)


def lenient(node: e.Expr) -> bool:
    """Whether a missing member of this is null, not undefined: `doc`, `newDoc`, `request`."""
    while isinstance(node, (e.Member, e.Index)):
        node = node.target
    return isinstance(node, e.DocField) or node == e.Variable("request")


def member(target: Any, name: str, missing: Any) -> Any:
    """`target.name`; `missing` where it is not there. Dates have no members."""
    if type(target) is dict and name in target and not is_date(target):
        return target[name]
    return target if target is UNDEFINED else missing


def element(target: Any, key: Any, missing: Any) -> Any:
    """`target[key]`: a position in a list, or a name in an object."""
    if target is UNDEFINED or key is UNDEFINED:
        return UNDEFINED
    if type(key) is str:
        return member(target, key, missing)
    if type(key) is not int:
        return UNDEFINED
    if type(target) is list and 0 <= key < len(target):
        return target[key]
    return missing


def _member(node: e.Member) -> Compiled:
    target, name = compile(node.target), node.name
    missing = None if lenient(node) else UNDEFINED
    return lambda env: member(target(env), name, missing)


def _index(node: e.Index) -> Compiled:
    target, key = compile(node.target), compile(node.key)
    missing = None if lenient(node) else UNDEFINED
    return lambda env: element(target(env), key(env), missing)


def _list(node: e.ListOf) -> Compiled:
    items = [compile(item) for item in node.items]

    def build(env: Env) -> Any:
        values = [plain(item(env)) for item in items]
        return UNDEFINED if UNDEFINED in values else values

    return build


def resolve_lookup(collection: str, id: Any, lookups: LookupsLike | None) -> Any:
    """The other document; null where there is none and for what is no id."""
    if id is UNDEFINED or not is_id(id):
        return id if id is UNDEFINED else None
    if lookups is None:
        raise ValueError(f"nothing here can look up {collection}/{id}")
    return lookups(collection, id)


def _lookup(node: e.Lookup) -> Compiled:
    collection, id = node.collection, compile(node.id)
    return lambda env: resolve_lookup(collection, id(env), env.lookups)


def _lookup_exists(node: e.LookupExists) -> Compiled:
    collection, id = node.collection, compile(node.id)

    def exists(env: Env) -> bool:
        found = resolve_lookup(collection, id(env), env.lookups)
        return found is not None and found is not UNDEFINED

    return exists


# -- operators ------------------------------------------------------------------------------------


def is_null(node: e.Expr) -> bool:
    """The literal `null`, the one thing that `==` and `!=` may compare undefined with."""
    return isinstance(node, e.Literal) and node.value is None


def _binary(node: e.Binary) -> Compiled:
    if node.op in ("==", "!="):
        return _equality(node)
    if node.op == "in":
        return _in(node)
    left, right, op = compile(node.left), compile(node.right), node.op
    if op[0] in "<>":
        return _strict(left, right, lambda a, b: ordered(op, a, b))
    moment = is_instant(node)
    return _strict(left, right, lambda a, b: arithmetic(op, a, b, moment=moment))


def _equality(node: e.Binary) -> Compiled:
    positive = node.op == "=="
    if is_null(node.left) or is_null(node.right):
        other = compile(node.left if is_null(node.right) else node.right)

        def null_test(env: Env) -> bool:
            value = other(env)
            return (value is None or value is UNDEFINED) is positive

        return null_test
    left, right = compile(node.left), compile(node.right)
    if positive:
        return _strict(left, right, values_equal)
    return _strict(left, right, lambda a, b: not values_equal(a, b))


def _in(node: e.Binary) -> Compiled:
    return _strict(compile(node.left), compile_members(node.right), member_of)


def compile_members(node: e.Expr) -> Compiled:
    """The right side of `in`: a path through arrays of objects is the list of its values."""
    root, path = member_chain(node)
    if isinstance(root, e.DocField):
        stored, whole = root.root == "doc", (*root.path, *path)
        return lambda env: spread(env.doc if stored else env.new_doc, whole)
    if not path:
        return compile(node)
    inner, missing = compile(root), None if lenient(node) else UNDEFINED
    return lambda env: spread_member(inner(env), path, missing)


def member_chain(node: e.Expr) -> tuple[e.Expr, Path]:
    """`a.b.c` as what stands first and the names behind it."""
    path: Path = ()
    while isinstance(node, e.Member):
        path = (node.name, *path)
        node = node.target
    return node, path


def spread_member(value: Any, path: Path, missing: Any) -> Any:
    """`spread` for what is not a document field: UNDEFINED where the first member is missing."""
    if value is UNDEFINED:
        return value
    found = spread(value, path)
    return missing if found is None else found


def _strict(left: Compiled, right: Compiled, work: Callable[[Any, Any], Any]) -> Compiled:
    """An operator through which UNDEFINED passes."""

    def run(env: Env) -> Any:
        one, other = left(env), right(env)
        if one is UNDEFINED or other is UNDEFINED:
            return UNDEFINED
        return work(one, other)

    return run


def _unary(node: e.Unary) -> Compiled:
    operand = compile(node.operand)
    work = negation if node.op == "!" else negative

    def run(env: Env) -> Any:
        value = operand(env)
        return value if value is UNDEFINED else work(value)

    return run


def negation(value: Any) -> Any:
    return not value if type(value) is bool else UNDEFINED


def _logic(node: e.Logic) -> Compiled:
    items = tuple(compile(item) for item in node.items)
    decisive = node.op == "||"  # the value that settles it, whatever the others are

    def run(env: Env) -> Any:
        result: Any = not decisive
        for item in items:
            value = item(env)
            if value is decisive:
                return decisive
            if type(value) is not bool:
                result = UNDEFINED
        return result

    return run


def _conditional(node: e.Conditional) -> Compiled:
    test, then, other = compile(node.test), compile(node.then), compile(node.other)

    def run(env: Env) -> Any:
        verdict = test(env)
        if type(verdict) is not bool:
            return UNDEFINED
        return plain(then(env) if verdict else other(env))

    return run


# -- functions ------------------------------------------------------------------------------------


def _call(node: e.Call) -> Compiled:
    if node.name == "has":
        return _has(node.args[0])
    if node.name in ("unchanged", "changed"):
        return _unchanged(node)
    name, args = node.name, tuple(compile(item) for item in node.args)
    return lambda env: call(name, tuple(item(env) for item in args))


def _has(target: e.Expr) -> Compiled:
    if isinstance(target, e.DocField) and target.path:
        *above, name = target.path
        owner = compile(e.DocField(target.root, tuple(above)))
        return lambda env: member(owner(env), name, UNDEFINED) is not UNDEFINED
    if isinstance(target, e.Member):
        inner, name = compile(target.target), target.name
        return lambda env: member(inner(env), name, UNDEFINED) is not UNDEFINED
    if isinstance(target, e.Index):
        inner, key = compile(target.target), compile(target.key)
        return lambda env: element(inner(env), key(env), UNDEFINED) is not UNDEFINED
    value = compile(target)
    return lambda env: value(env) is not UNDEFINED and value(env) is not None


def _unchanged(node: e.Call) -> Compiled:
    paths = unchanged_paths(node)
    wanted = node.name == "unchanged"
    return lambda env: unchanged(env.doc, env.new_doc, paths) is wanted


def unchanged_paths(node: e.Call) -> tuple[Path, ...]:
    """The paths that `unchanged('a', 'b.c')` names; the checker has seen to it that they are
    literals."""
    return tuple(tuple(arg.value.split(".")) for arg in node.args if isinstance(arg, e.Literal))


_COMPILERS: Final[dict[type, Callable[[Any], Compiled]]] = {
    e.Literal: _literal,
    e.Undefined: _undefined,
    e.Variable: _variable,
    e.DocField: _doc_field,
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
