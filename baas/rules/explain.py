"""A rule laid open for one caller: what is left of it, and what each of its clauses comes to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from baas.query import ast
from baas.query import expr as e
from baas.query.conditions import LookupsLike
from baas.rules.model import CollectionRules, Operation, Rule
from baas.rules.render import render
from baas.rules.residual import Known, reduce, to_filter

Verdict = Literal["true", "false", "depends"]


class Clause(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of a rule, as written, and what is left of it for the caller."""

    text: str
    verdict: Verdict
    rest: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """`reduced` is the rule for this caller, in the rule language; `filter` the same to run.

    For create and update it may speak of `newDoc`; `filter` then is ALWAYS.
    """

    collection: str
    operation: str
    text: str
    place: str
    verdict: Verdict
    reduced: str
    clauses: tuple[Clause, ...]
    filter: ast.Filter


def explain(
    rules: CollectionRules,
    operation: Operation,
    variables: Mapping[str, Any],
    lookups: LookupsLike | None = None,
) -> Explanation:
    """`variables` as `guard.rule_variables` makes them. May raise LookupNeeded."""
    rule = rules.rules[operation]
    known = Known(variables, lookups)
    rest = reduce(rule.expr, known)
    filter = to_filter(rest)
    writes = operation in (Operation.CREATE, Operation.UPDATE)
    return Explanation(
        collection=rules.spec.name,
        operation=operation.value,
        text=rule.text,
        place=f"{rule.file}:{rule.line}" if rule.file else "no rule is given",
        verdict=_verdict(rest),
        reduced=render(rest),
        clauses=tuple(_clause(item, known) for item in clauses(rule)),
        filter=ast.ALWAYS if writes and not isinstance(filter, ast.Never) else filter,
    )


def clauses(rule: Rule) -> tuple[e.Expr, ...]:
    """The conditions that a rule joins by `&& || ?:`, in reading order, each once."""
    return tuple({render(leaf): leaf for leaf in _leaves(rule.expr)}.values())


def _leaves(expr: e.Expr) -> Iterator[e.Expr]:
    if isinstance(expr, e.Logic):
        for item in expr.items:
            yield from _leaves(item)
    elif isinstance(expr, e.Conditional):
        for part in (expr.test, expr.then, expr.other):
            yield from _leaves(part)
    elif isinstance(expr, e.Unary) and isinstance(expr.operand, (e.Logic, e.Conditional)):
        yield from _leaves(expr.operand)
    else:
        yield expr


def _clause(expr: e.Expr, known: Known) -> Clause:
    rest = reduce(expr, known)
    return Clause(text=render(expr), verdict=_verdict(rest), rest=render(rest))


def _verdict(rest: e.Expr) -> Verdict:
    filter = to_filter(rest)
    if isinstance(filter, ast.Never):
        return "false"
    return "true" if isinstance(filter, ast.Always) else "depends"
