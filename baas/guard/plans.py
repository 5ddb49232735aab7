"""A collection's rules reduced for one caller: what the guard keeps, and decides from."""

from __future__ import annotations

from typing import Any, Final

from baas.errors import denied, not_found
from baas.guard.contract import Masks, ReadDecision, WriteDecision
from baas.ports.documents import Lookups
from baas.query.ast import ALWAYS, BY_ID, And, Filter, Never, Sort, both
from baas.query.conditions import Compiled, Env, compile
from baas.query.fields import paths_in_filter, paths_in_sort
from baas.query.implies import implies
from baas.rules.masks import CallerMasks, NoMasks, masks_for
from baas.rules.model import CollectionRules, Operation
from baas.rules.render import as_query
from baas.rules.residual import Known, possible, reduce, to_filter
from baas.schema.actor import Actor
from baas.schema.values import Document, Path

#: The same words whether a rule refuses or no file names the collection.
REFUSAL: Final = "The rules do not allow this."


class ReadPlan:
    """A read rule reduced for one caller."""

    __slots__ = ("decision", "denied", "masks", "reject", "rule", "simple")

    def __init__(self, rules: CollectionRules, operation: Operation, known: Known) -> None:
        self.rule = to_filter(reduce(rules.rules[operation].expr, known))
        self.denied = isinstance(self.rule, Never)
        self.masks: CallerMasks | NoMasks = masks_for(rules.masks, known)
        self.reject = rules.mode == "reject"
        self.simple = not self.reject and self.masks.hides_nothing
        self.decision = ReadDecision(self.rule, self.rule, self.masks)

    def decide(
        self, operation: Operation, actor: Actor, filter: Filter, sort: Sort, by_id: bool
    ) -> ReadDecision:
        if self.reject and not by_id:
            _check_implied(filter, self.rule, actor.uid)
        if filter is ALWAYS and sort is BY_ID:
            return self.decision
        whole = both(filter, self.rule)
        if not self.masks.hides_nothing:
            used = paths_in_filter(filter) if sort is BY_ID else _used(filter, sort)
            if operation is not Operation.AGGREGATE:
                self.masks.check_used(used, whole)
            elif self.masks.touches(used):
                whole = self.rule
        return ReadDecision(whole, self.rule, self.masks)


def _used(filter: Filter, sort: Sort) -> frozenset[Path]:
    return paths_in_filter(filter) | paths_in_sort(sort)


class WritePlan:
    """A write rule reduced for one caller. Documents that it looks up are left to the moment of
    the write itself; what is found before only serves to refuse early, and to judge the query
    (`_asked`, `_usable`)."""

    __slots__ = (
        "_allowed",
        "_asked",
        "_result",
        "_usable",
        "_visible",
        "bound",
        "denied",
        "is_create",
        "masks",
        "reject",
    )

    def __init__(
        self,
        rules: CollectionRules,
        operation: Operation,
        variables: dict[str, Any],
        lookups: Lookups,
    ) -> None:
        known = Known(variables)
        rule = rules.rules[operation].expr
        rest = reduce(rule, known)
        visible = reduce(rules.rules[Operation.READ].expr, known)
        allowed = possible(rest)
        self.is_create = operation is Operation.CREATE
        found = Known(variables, lookups)
        asked = to_filter(possible(reduce(rest, found)))
        self.denied = isinstance(asked, Never)
        self._asked = both(to_filter(reduce(visible, found)), asked)
        self._usable = masks_for(rules.masks, found)
        self.bound = both(to_filter(visible), to_filter(allowed))
        self.masks: CallerMasks | NoMasks = masks_for(rules.masks, known)
        self.reject = rules.mode == "reject"
        self._visible: Compiled = compile(visible)
        self._allowed: Compiled = compile(allowed)
        self._result: Compiled = compile(rest)

    def decide(self, actor: Actor, filter: Filter, by_id: bool) -> WriteDecision:
        if self.is_create or by_id:
            return RuleWrite(self, both(filter, self.bound))
        if self.reject:
            _check_implied(filter, self._asked, actor.uid)
        if not self._usable.hides_nothing:
            self._usable.check_used(paths_in_filter(filter), both(filter, self._asked))
        return RuleWrite(self, both(filter, self.bound))

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        env = Env(document, None, None, lookups)
        if document is None or self._visible(env) is not True:
            raise not_found()
        if self._allowed(env) is not True:
            raise denied(REFUSAL)
        return document

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        if self._result(Env(before, after, None, lookups)) is not True:
            raise denied(REFUSAL)


class RuleWrite:
    """The decision for one write of a caller whom rules bind."""

    __slots__ = ("_plan", "filter", "masks")

    def __init__(self, plan: WritePlan, filter: Filter) -> None:
        self._plan = plan
        self.filter = filter
        self.masks: Masks = plan.masks

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        return self._plan.check_stored(document, lookups)

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        self._plan.check_result(before, after, lookups)


def _every_path(path: Path) -> bool:
    return True


def _check_implied(filter: Filter, rule: Filter, uid: str | None) -> None:
    """Mode `reject`: PERMISSION_DENIED naming the first condition that the query does not ask for.

    Lenient about arrays (`published: true` also finds `[true]`): the rule is added to the query
    all the same, so nothing more is found by that.
    """
    for item in rule.items if isinstance(rule, And) else (rule,):
        if not implies(filter, item, _every_path):
            raise denied(
                f"The query must ask for what the rule allows: add {as_query(item, uid)} to where."
            )
