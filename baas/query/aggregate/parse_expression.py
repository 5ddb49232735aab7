"""From client JSON to expressions: an allow-list of operators and variables, and limits."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from baas.errors import invalid
from baas.query.aggregate.expression import (
    ROOT,
    Apply,
    ArrayOf,
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
from baas.query.aggregate.functions.base import Function
from baas.query.aggregate.functions.dates import DATE_PARTS
from baas.query.aggregate.limits import MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_NODES
from baas.query.aggregate.operands import members as check_members
from baas.query.hint import unknown
from baas.query.limits import QueryLimits, exceeded
from baas.query.parse import parse_path, parse_regex
from baas.schema.admit import admit_value, name_fault
from baas.schema.values import DATE, MISSING

_VARIABLE: Final = re.compile(r"[a-z][A-Za-z0-9_]{0,63}", re.ASCII)
#: `CURRENT` is `ROOT` here, since nothing rebinds it.
_SYSTEM: Final = {"ROOT": ROOT, "CURRENT": ROOT, "NOW": VariableOf("NOW")}

Names = frozenset[str]


class ExpressionParser:
    """All expressions of one pipeline share one parser, and so one limit on their nodes."""

    def __init__(self, limits: QueryLimits, now_ms: int) -> None:
        self._limits = limits
        self._now_ms = now_ms
        self._nodes_left = MAX_EXPRESSION_NODES

    def parse(self, raw: Any, where: str, names: Names = frozenset()) -> Expression:
        """`names` are the variables in scope. Problem INVALID_ARGUMENT or LIMIT_EXCEEDED with the
        place in the body below `where`."""
        return self._any(raw, where, names, MAX_EXPRESSION_DEPTH)

    def constant(self, raw: Any, where: str) -> Constant:
        """A value that nothing is computed in: `$literal`, boundaries."""
        return Constant(admit_value(raw, self._limits, now_ms=self._now_ms, path=where))

    def _any(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise exceeded(
                where, f"a pipeline's expressions have at most {MAX_EXPRESSION_NODES} parts"
            )
        if depth == 0:
            raise exceeded(where, f"an expression has at most {MAX_EXPRESSION_DEPTH} levels")
        if type(raw) is str and raw.startswith("$"):
            return _reference(raw, where, names)
        if type(raw) is list:
            return self._array(raw, where, names, depth)
        if type(raw) is not dict or DATE in raw:
            return self.constant(raw, where)
        if any(type(name) is str and name.startswith("$") for name in raw):
            return self._operator(raw, where, names, depth)
        return self._object(raw, where, names, depth)

    def _array(self, raw: list[Any], where: str, names: Names, depth: int) -> Expression:
        items = self._all(raw, where, names, depth)
        if all(type(item) is Constant for item in items):
            return self._folded(ArrayOf(items))
        return ArrayOf(items)

    def _all(self, raw: list[Any], where: str, names: Names, depth: int) -> tuple[Expression, ...]:
        return tuple(
            self._any(item, f"{where}.{position}", names, depth - 1)
            for position, item in enumerate(raw)
        )

    def _folded(self, node: ArrayOf) -> Constant:
        """Computed once: a list that is written out is the same for every document."""
        return Constant([item.value for item in node.items if isinstance(item, Constant)])

    def _object(self, raw: dict[str, Any], where: str, names: Names, depth: int) -> Expression:
        for name in raw:
            if fault := name_fault(name):
                raise invalid(where, fault)
        items = [self._any(raw[name], f"{where}.{name}", names, depth - 1) for name in raw]
        return ObjectOf(tuple(raw), tuple(items))

    def _operator(self, raw: dict[str, Any], where: str, names: Names, depth: int) -> Expression:
        if len(raw) != 1:
            raise invalid(where, "an operator stands alone in its object")
        name, operand = next(iter(raw.items()))
        inside = f"{where}.{name}"
        if form := FORMS.get(name):
            return form(self, operand, inside, names, depth - 1)
        if name not in FUNCTIONS:
            raise invalid(where, unknown("expression operator", name, [*FUNCTIONS, *FORMS]))
        return self._function(name, operand, inside, names, depth)

    def _function(self, name: str, raw: Any, where: str, names: Names, depth: int) -> Expression:
        function = FUNCTIONS[name]
        if name == "$regexMatch":
            _check_regex(raw, where)
        bare = name in DATE_PARTS and not (type(raw) is dict and "date" in raw)
        if function.names and not bare:
            members = self.members(raw, where, names, depth, function.names, function.least)
            given = tuple(members.get(one, Constant(MISSING)) for one in function.names)
            return Apply(name, given)
        args = self._all(raw if type(raw) is list else [raw], where, names, depth)
        _check_count(name, len(args), 1 if bare else function.most, function, where)
        return Apply(name, args)

    def members(
        self,
        raw: Any,
        where: str,
        names: Names,
        depth: int,
        known: tuple[str, ...],
        least: int,
    ) -> dict[str, Expression]:
        """The members of an operand that is an object, the first `least` of `known` required."""
        check_members(raw, where, known, least)
        return {one: self._any(raw[one], f"{where}.{one}", names, depth - 1) for one in raw}

    # -- forms: operators that do not compute every operand once ----------------------------------

    def _literal(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        return self.constant(raw, where)

    def _every(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        return Junction(True, self._operands(raw, where, names, depth))

    def _some(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        return Junction(False, self._operands(raw, where, names, depth))

    def _operands(self, raw: Any, where: str, names: Names, depth: int) -> tuple[Expression, ...]:
        return self._all(raw if type(raw) is list else [raw], where, names, depth)

    def _if_null(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        if type(raw) is not list or len(raw) < 2:
            raise invalid(where, "must be an array of two operands or more")
        return FirstPresent(self._all(raw, where, names, depth))

    def _condition(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        if type(raw) is list:
            if len(raw) != 3:
                raise invalid(where, "must be [if, then, else]")
            raw = dict(zip(("if", "then", "else"), raw, strict=True))
        known = ("if", "then", "else")
        parts = self.members(raw, where, names, depth, known, 3)
        return Conditional(((parts["if"], parts["then"]),), parts["else"])

    def _switch(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        check_members(raw, where, ("branches", "default"), 1)
        branches = raw["branches"]
        if type(branches) is not list or not branches:
            raise invalid(f"{where}.branches", "must be an array of {case, then}")
        pairs = []
        for position, branch in enumerate(branches):
            inside = f"{where}.branches.{position}"
            parts = self.members(branch, inside, names, depth - 1, ("case", "then"), 2)
            pairs.append((parts["case"], parts["then"]))
        other = None
        if "default" in raw:
            other = self._any(raw["default"], f"{where}.default", names, depth - 1)
        return Conditional(tuple(pairs), other)

    def _let(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        check_members(raw, where, ("vars", "in"), 2)
        defined = self.definitions(raw["vars"], f"{where}.vars", names, depth)
        inner = names | defined.keys()
        body = self._any(raw["in"], f"{where}.in", inner, depth - 1)
        return Let(tuple(defined), tuple(defined.values()), body)

    def definitions(
        self, raw: Any, where: str, names: Names, depth: int = MAX_EXPRESSION_DEPTH
    ) -> dict[str, Expression]:
        """The variables of `$let` or `$lookup`, computed in the scope outside."""
        if type(raw) is not dict:
            raise invalid(where, "must be an object of variables and expressions")
        for name in raw:
            check_variable(name, where)
        return {name: self._any(raw[name], f"{where}.{name}", names, depth - 1) for name in raw}

    def _map(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        check_members(raw, where, ("input", "in", "as"), 2)
        name = _element_name(raw, where)
        array = self._any(raw["input"], f"{where}.input", names, depth - 1)
        body = self._any(raw["in"], f"{where}.in", names | {name}, depth - 1)
        return MapOver(array, name, body)

    def _filter(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        check_members(raw, where, ("input", "cond", "as", "limit"), 2)
        name = _element_name(raw, where)
        array = self._any(raw["input"], f"{where}.input", names, depth - 1)
        condition = self._any(raw["cond"], f"{where}.cond", names | {name}, depth - 1)
        limit = None
        if "limit" in raw:
            limit = self._any(raw["limit"], f"{where}.limit", names, depth - 1)
        return FilterOver(array, name, condition, limit)

    def _reduce(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        check_members(raw, where, ("input", "initialValue", "in"), 3)
        array = self._any(raw["input"], f"{where}.input", names, depth - 1)
        initial = self._any(raw["initialValue"], f"{where}.initialValue", names, depth - 1)
        body = self._any(raw["in"], f"{where}.in", names | {"this", "value"}, depth - 1)
        return Reduce(array, initial, body)

    def _get_field(self, raw: Any, where: str, names: Names, depth: int) -> Expression:
        if type(raw) is not dict:
            raw = {"field": raw, "input": "$$ROOT"}
        check_members(raw, where, ("field", "input"), 2)
        if fault := name_fault(raw["field"]):
            raise invalid(f"{where}.field", fault)
        target = self._any(raw["input"], f"{where}.input", names, depth - 1)
        return FieldOf(target, (raw["field"],))


_Form = Callable[[ExpressionParser, Any, str, Names, int], Expression]

# The parser's own methods, which is why they may be private to it.
FORMS: Final[dict[str, _Form]] = {
    "$literal": ExpressionParser._literal,
    "$and": ExpressionParser._every,
    "$or": ExpressionParser._some,
    "$ifNull": ExpressionParser._if_null,
    "$cond": ExpressionParser._condition,
    "$switch": ExpressionParser._switch,
    "$let": ExpressionParser._let,
    "$map": ExpressionParser._map,
    "$filter": ExpressionParser._filter,
    "$reduce": ExpressionParser._reduce,
    "$getField": ExpressionParser._get_field,
}


def _reference(text: str, where: str, names: Names) -> Expression:
    """`$a.b` is a path of the document, `$$x.a` one of a variable."""
    if not text.startswith("$$"):
        return FieldOf(ROOT, parse_path(text[1:], where))
    name, _, rest = text[2:].partition(".")
    if name == "REMOVE" and not rest:
        return Constant(MISSING)
    target = _SYSTEM.get(name)
    if target is None:
        if name not in names:
            raise invalid(where, unknown("variable", name, [*names, *_SYSTEM, "REMOVE"]))
        target = VariableOf(name)
    return FieldOf(target, parse_path(rest, where)) if "." in text else target


def check_variable(name: object, where: str) -> None:
    if type(name) is not str or not _VARIABLE.fullmatch(name):
        raise invalid(where, "a variable has a lower case letter, then letters, digits and '_'")


def _element_name(raw: dict[str, Any], where: str) -> str:
    name = raw.get("as", "this")
    check_variable(name, f"{where}.as")
    return str(name)


def _check_count(name: str, count: int, most: int | None, function: Function, where: str) -> None:
    if count < function.least or (most is not None and count > most):
        wanted = f"{function.least}" if most == function.least else f"{function.least} to {most}"
        if most is None:
            wanted = f"at least {function.least}"
        raise invalid(where, f"{name} takes {wanted} operands, not {count}")


def _check_regex(raw: Any, where: str) -> None:
    """A pattern is compiled once, so it cannot come from a document."""
    if type(raw) is not dict:
        return
    for name in ("regex", "options"):
        if type(raw.get(name, "")) is not str or raw.get(name, "").startswith("$"):
            raise invalid(f"{where}.{name}", "must be a string that is written out")
    parse_regex(raw.get("regex", ""), raw.get("options", ""), f"{where}.regex")
