"""Which clauses of the rules a run of rule tests reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from baas.query import expr as e
from baas.query.conditions import UNDEFINED, Env, evaluate
from baas.rules.explain import clauses
from baas.rules.model import CollectionRules, Operation, RuleBook
from baas.rules.render import render
from baas.rules.residual import speaks_of_result

#: Operations that are the read rule unless given a rule of their own.
_LIKE_READ: Final = frozenset((Operation.COUNT, Operation.AGGREGATE, Operation.WATCH))


class Coverage:
    """Records, clause by clause, whether some case evaluated it, short cuts observed."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._seen: dict[tuple[str, Operation], dict[str, set[bool]]] = {}

    def record(self, collection: str, operation: Operation, env: Env, *, result: bool) -> None:
        """One evaluation of a rule. `result` says that `newDoc` is known."""
        rules = self._book.collections.get(collection)
        if rules is None:
            return
        operation = _stands_for(rules, operation)
        seen = self._seen.setdefault((collection, operation), {})
        _walk(rules.rules[operation].expr, env, seen, result)

    def gaps(self) -> Iterator[str]:
        """A line for every clause that no case reached, or that was never true."""
        for name, rules in self._book.collections.items():
            for operation, rule in rules.rules.items():
                if not rule.file or _stands_for(rules, operation) is not operation:
                    continue
                seen = self._seen.get((name, operation), {})
                for clause in clauses(rule):
                    if isinstance(clause, e.Literal):
                        continue
                    found = seen.get(render(clause))
                    if found is None:
                        yield f"{name} {operation.value}: {render(clause)}: not reached"
                    elif True not in found:
                        yield f"{name} {operation.value}: {render(clause)}: never true"


def _stands_for(rules: CollectionRules, operation: Operation) -> Operation:
    same = rules.rules[operation] is rules.rules[Operation.READ]
    return Operation.READ if operation in _LIKE_READ and same else operation


def _walk(expr: e.Expr, env: Env, seen: dict[str, set[bool]], result: bool) -> object:
    """Evaluates as the rule would, and notes every clause on the way."""
    if isinstance(expr, e.Logic):
        return _walk_logic(expr, env, seen, result)
    if isinstance(expr, e.Conditional):
        test = _walk(expr.test, env, seen, result)
        if type(test) is not bool:
            return UNDEFINED
        return _walk(expr.then if test else expr.other, env, seen, result)
    if isinstance(expr, e.Unary) and isinstance(expr.operand, (e.Logic, e.Conditional)):
        inner = _walk(expr.operand, env, seen, result)
        return not inner if type(inner) is bool else inner
    if not result and speaks_of_result(expr):
        return UNDEFINED
    value = evaluate(expr, env)
    seen.setdefault(render(expr), set()).add(value is True)
    return value


def _walk_logic(expr: e.Logic, env: Env, seen: dict[str, set[bool]], result: bool) -> object:
    decisive = expr.op == "||"
    verdict: object = not decisive
    for item in expr.items:
        value = _walk(item, env, seen, result)
        if value is decisive:
            return decisive
        if type(value) is not bool:
            verdict = UNDEFINED
    return verdict
