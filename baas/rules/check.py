"""From a rule's syntax to an expression: every name resolved, every argument counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from baas.ids import is_collection_name
from baas.query import expr as e
from baas.query.conditions import lenient
from baas.query.instants import reads_documents
from baas.query.patterns import compile_pattern
from baas.query.rulefunctions import MAX_PATTERN
from baas.rules import syntax as s
from baas.rules.syntax import RuleFault, Syntax, parse_rule
from baas.rules.vocabulary import (
    CONDITION_FUNCTIONS,
    CONSTANTS,
    FOREIGN_METHODS,
    FUNCTION_ARGUMENTS,
    Root,
    Scope,
    closest,
)

#: Most `get` and `exists` of one rule, those of its named conditions counted.
MAX_LOOKUPS: Final = 3
#: Most parts of one rule with its named conditions put in their places.
MAX_PARTS: Final = 3_000
_LOOKUP_FORM: Final = "get('database.<collection>.' + id)"
_COMPARISONS: Final = frozenset(("==", "!=", "<", "<=", ">", ">=", "in"))


class Found(msgspec.Struct):
    """A remark about a rule that loads, and its place in the text (-1: in a named condition)."""

    message: str
    offset: int


def check_rule(
    text: str,
    scope: Scope,
    defines: Mapping[str, Syntax] | None = None,
    define_scope: Scope | None = None,
) -> tuple[e.Expr, list[Found]]:
    """The expression of one rule, as a condition, with remarks. RuleFault where it is wrong.

    `defines` are the named conditions, parsed; they are read in `define_scope`, or in this rule's.
    """
    checker = _Checker(scope, defines or {}, define_scope or scope)
    try:
        return checker.condition(parse_rule(text)), checker.remarks
    except RecursionError:
        raise RuleFault("nested too deeply, named conditions counted", 0) from None


class _Checker:
    def __init__(self, own: Scope, defines: Mapping[str, Syntax], define_scope: Scope) -> None:
        self._own_scope = own
        self._define_scope = define_scope
        self.defines = defines
        self.remarks: list[Found] = []
        self.lookups = 0
        self._parts = 0
        # Inside a named condition offsets speak of another text: the use is pointed at instead.
        self._inside: list[str] = []
        self._used_at = 0

    @property
    def scope(self) -> Scope:
        return self._define_scope if self._inside else self._own_scope

    def fault(self, message: str, at: int) -> RuleFault:
        if self._inside:
            return RuleFault(f"in '{self._inside[-1]}': {message}", self._used_at)
        return RuleFault(message, at)

    def remark(self, message: str, at: int) -> None:
        if not self._inside:
            self.remarks.append(Found(message, at))

    # -- conditions -------------------------------------------------------------------------------

    def condition(self, node: Syntax) -> e.Expr:
        """`node` where a condition is wanted: only exactly true satisfies it."""
        if isinstance(node, s.Ternary):
            return self._ternary(node, as_condition=True)
        return _as_condition(self.value(node))

    def _ternary(self, node: s.Ternary, *, as_condition: bool = False) -> e.Expr:
        branch = self.condition if as_condition else self.value
        return e.Conditional(self.condition(node.test), branch(node.then), branch(node.other))

    # -- values -----------------------------------------------------------------------------------

    def value(self, node: Syntax) -> e.Expr:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise self.fault("too large, named conditions counted", node.at)
        method = getattr(self, f"_{type(node).__name__.lower()}")
        return method(node)  # type: ignore[no-any-return]

    def _constant(self, node: s.Constant) -> e.Expr:
        return e.Literal(node.value)

    def _items(self, node: s.Items) -> e.Expr:
        items = tuple(self.value(item) for item in node.items)
        if all(isinstance(item, e.Literal) for item in items):
            return e.Literal([item.value for item in items if isinstance(item, e.Literal)])
        return e.ListOf(items)

    def _template(self, node: s.Template) -> e.Expr:
        parts = tuple(self.value(part) for part in node.parts)
        if len(parts) == 1 and isinstance(parts[0], e.Literal) and type(parts[0].value) is str:
            return parts[0]
        return e.Call("concat", parts)

    def _prefixed(self, node: s.Prefixed) -> e.Expr:
        if node.op == "!":
            return e.Unary("!", self.condition(node.operand))
        operand = self.value(node.operand)
        if isinstance(operand, e.Literal) and type(operand.value) in (int, float):
            return e.Literal(-operand.value or 0)
        return e.Unary("-", operand)

    def _infix(self, node: s.Infix) -> e.Expr:
        if node.op in ("&&", "||"):
            return self._logic(node)
        return e.Binary(node.op, self.value(node.left), self.value(node.right))  # type: ignore[arg-type]

    def _logic(self, node: s.Infix) -> e.Expr:
        items: list[e.Expr] = []
        for side in (node.left, node.right):
            item = self.condition(side)
            items.extend(
                item.items if isinstance(item, e.Logic) and item.op == node.op else (item,)
            )
        return e.Logic("&&" if node.op == "&&" else "||", tuple(items))

    # -- names ------------------------------------------------------------------------------------

    def _name(self, node: s.Name) -> e.Expr:
        name = node.name
        if name in CONSTANTS:
            return e.Literal(CONSTANTS[name])
        if name in self.defines:
            return self._define(node)
        root = self.scope.roots.get(name)
        if root is None:
            raise self._unknown(node)
        if not root.whole:
            members = ", ".join(root.members or ())
            raise self.fault(f"'{name}' is used through its members: {members}", node.at)
        return self._rooted(name, root)

    def _rooted(self, name: str, root: Root) -> e.Expr:
        if root.becomes:
            return e.DocField("doc" if root.becomes == "doc" else "newDoc", ())
        return e.Variable(name)

    def _define(self, node: s.Name) -> e.Expr:
        if node.name in self._inside:
            raise self.fault(f"'{node.name}' is defined through itself", node.at)
        if not self._inside:
            self._used_at = node.at
        self._inside.append(node.name)
        try:
            return self.condition(self.defines[node.name])
        finally:
            self._inside.pop()

    def _unknown(self, node: s.Name) -> RuleFault:
        name = node.name
        if name in self.scope.absent:
            return self.fault(self.scope.absent[name], node.at)
        if name in ("undefined", "nil", "None"):
            return self.fault(f"unknown name '{name}'; did you mean 'null'?", node.at)
        if name in FUNCTION_ARGUMENTS:
            return self.fault(f"'{name}' is a function: {name}(...)", node.at)
        known = [*CONSTANTS, *self.scope.roots, *self.defines]
        advice = closest(name, known)
        if not advice and "doc" in self.scope.roots:
            advice = f"; a field is 'doc.{name}', a text is in quotes"
        return self.fault(f"unknown name '{name}'{advice}", node.at)

    def _dot(self, node: s.Dot) -> e.Expr:
        if node.name.startswith("$"):
            raise self.fault("a field name does not start with '$'", node.at)
        if isinstance(node.target, s.Name) and node.target.name in self.scope.roots:
            return self._first_member(node, self.scope.roots[node.target.name], node.target.name)
        if node.name == "length":
            self.remark("'.length' is a field's name here; the length is size(x)", node.at)
        return self._below(self.value(node.target), node.name, node.at)

    def _first_member(self, node: s.Dot, root: Root, name: str) -> e.Expr:
        if root.members is not None and node.name not in root.members:
            advice = closest(node.name, root.members)
            raise self.fault(f"'{name}' has no member '{node.name}'{advice}", node.at)
        if name == "request" and node.name == "data" and self.scope.both_documents:
            self.remark(
                "'request.data' is only what the client sent; newDoc is the document as it will be",
                node.at,
            )
        return self._below(self._rooted(name, root), node.name, node.at)

    def _below(self, target: e.Expr, name: str, at: int) -> e.Expr:
        if isinstance(target, e.DocField):
            return e.DocField(target.root, (*target.path, name))
        if isinstance(target, (e.Variable, e.Member, e.Index, e.Lookup)):
            return e.Member(target, name)
        raise self.fault(f"there is no member '{name}' of this", at)

    def _item(self, node: s.Item) -> e.Expr:
        if isinstance(node.key, s.Constant) and type(node.key.value) is str:
            return self._dot(s.Dot(node.key.at, node.target, node.key.value))
        target = self.value(node.target)
        if isinstance(target, (e.Variable, e.DocField, e.Member, e.Index, e.Lookup)):
            key = self.value(node.key)
            if not isinstance(target, e.DocField) and lenient(target) and reads_documents(key):
                raise self.fault("a document cannot choose the member of request", node.at)
            return e.Index(target, key)
        raise self.fault("only a document or a list has elements", node.at)

    # -- functions --------------------------------------------------------------------------------

    def _calling(self, node: s.Calling) -> e.Expr:
        name = self._function_name(node)
        least, most = FUNCTION_ARGUMENTS[name]
        if not least <= len(node.args) <= most:
            wanted = str(least) if least == most else f"{least} or more"
            plural = "" if wanted == "1" else "s"
            raise self.fault(
                f"{name}() takes {wanted} argument{plural}, not {len(node.args)}", node.at
            )
        if name in ("get", "exists"):
            return self._lookup(node, name)
        if name in ("unchanged", "changed"):
            return self._unchanged(node, name)
        args = tuple(self.value(arg) for arg in node.args)
        self._check_arguments(name, args, node)
        return e.Call(name, args)

    def _function_name(self, node: s.Calling) -> str:
        function = node.function
        if isinstance(function, s.Dot):
            raise self._method(function, node)
        if not isinstance(function, s.Name):
            raise self.fault("only a function can be called", node.at)
        if function.name not in FUNCTION_ARGUMENTS:
            advice = closest(function.name, tuple(FUNCTION_ARGUMENTS))
            raise self.fault(f"unknown function '{function.name}'{advice}", node.at)
        return function.name

    def _method(self, function: s.Dot, node: s.Calling) -> RuleFault:
        said = FOREIGN_METHODS.get(function.name)
        rest = ", ..." if node.args else ""
        advice = f"; write {said}(x{rest})" if said else "; functions stand before their arguments"
        if said == "in":
            advice = "; write: item in list"
        return self.fault(f"values have no method '{function.name}'{advice}", function.at)

    def _check_arguments(self, name: str, args: tuple[e.Expr, ...], node: s.Calling) -> None:
        if name == "has" and not isinstance(
            args[0], (e.DocField, e.Member, e.Index, e.Variable, e.Lookup)
        ):
            raise self.fault("has() takes a path, such as has(doc.a.b)", node.args[0].at)
        if name == "matches" and isinstance(args[1], e.Literal):
            self._check_pattern(args[1], node.args[1].at)

    def _check_pattern(self, pattern: e.Literal, at: int) -> None:
        if type(pattern.value) is not str:
            raise self.fault("the pattern of matches() is a string", at)
        if len(pattern.value) > MAX_PATTERN:
            raise self.fault(f"a pattern has at most {MAX_PATTERN} characters", at)
        try:
            compile_pattern(pattern.value)
        except ValueError as fault:
            raise self.fault(f"not a regular expression (RE2): {fault}", at) from None

    def _unchanged(self, node: s.Calling, name: str) -> e.Expr:
        for arg in node.args:
            if not isinstance(arg, s.Constant) or type(arg.value) is not str or not arg.value:
                raise self.fault(
                    f"{name}() takes field names in quotes: {name}('a', 'b.c')", arg.at
                )
        if self.scope.both_documents:
            return e.Call(name, tuple(self.value(arg) for arg in node.args))
        if self.scope.unchanged_is is None:
            raise self.fault(f"{name}() needs a stored and a new document: update only", node.at)
        return e.Literal(self.scope.unchanged_is is (name == "unchanged"))

    def _lookup(self, node: s.Calling, name: str) -> e.Expr:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            raise self.fault(f"at most {MAX_LOOKUPS} get() and exists() in one rule", node.at)
        collection, id = self._lookup_path(self.value(node.args[0]), s.start_of(node.args[0]))
        if reads_documents(id) and not self.scope.pushed_down:
            raise self.fault(f"a {name}() that depends on doc cannot be followed by watch", node.at)
        return e.Lookup(collection, id) if name == "get" else e.LookupExists(collection, id)

    def _lookup_path(self, path: e.Expr, at: int) -> tuple[str, e.Expr]:
        parts = _joined(path)
        head = parts[0]
        if not isinstance(head, e.Literal) or type(head.value) is not str:
            raise self.fault(f"the collection must be written out: {_LOOKUP_FORM}", at)
        database, _, rest = head.value.partition(".")
        collection, dot, first = rest.partition(".")
        if database != "database" or not dot:
            raise self.fault(f"the path is 'database.<collection>.<id>': {_LOOKUP_FORM}", at)
        if collection.startswith("_"):
            raise self.fault(f"the collection '{collection}' is reserved", at)
        if not is_collection_name(collection):
            raise self.fault(f"'{collection}' cannot be a collection's name", at)
        rests = ((e.Literal(first),) if first or not parts[1:] else ()) + parts[1:]
        return collection, _concatenated(rests, isinstance(path, e.Call))


def _joined(path: e.Expr) -> tuple[e.Expr, ...]:
    """The parts of `'a' + b + c` or of a template."""
    if isinstance(path, e.Binary) and path.op == "+":
        return (*_joined(path.left), path.right)
    if isinstance(path, e.Call) and path.name == "concat":
        return path.args
    return (path,)


def _concatenated(parts: tuple[e.Expr, ...], template: bool) -> e.Expr:
    """The id: strings only, or (from a template) whatever a template takes."""
    if template:
        literal = len(parts) == 1 and isinstance(parts[0], e.Literal)
        return parts[0] if literal else e.Call("concat", parts)
    whole = parts[0]
    for part in parts[1:]:
        whole = e.Binary("+", whole, part)
    return whole


def _as_condition(value: e.Expr) -> e.Expr:
    """A bare value `x` is `x == true`; what is a condition already stays."""
    if isinstance(value, (e.Logic, e.LookupExists, e.Undefined)):
        return value
    if isinstance(value, e.Binary) and value.op in _COMPARISONS:
        return value
    if isinstance(value, e.Unary) and value.op == "!":
        return value
    if isinstance(value, e.Literal) and type(value.value) is bool:
        return value
    if isinstance(value, e.Call) and value.name in CONDITION_FUNCTIONS:
        return value
    if isinstance(value, e.Conditional):
        return e.Conditional(value.test, _as_condition(value.then), _as_condition(value.other))
    return e.Binary("==", value, e.TRUE)
