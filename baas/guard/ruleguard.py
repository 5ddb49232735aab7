"""The guard over a book of rules: the one implementation of `contract.Guard`."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any, Final, NamedTuple

from baas.errors import denied, invalid, not_found
from baas.guard.contract import Masks, ReadDecision, RequestFacts, WriteDecision
from baas.guard.plans import REFUSAL, ReadPlan, WritePlan
from baas.ports.documents import Lookups
from baas.query import expr as e
from baas.query.ast import ALWAYS, Filter, Sort, both
from baas.query.conditions import Instant
from baas.query.near import text_search_of, with_text_index
from baas.rules.masks import NO_MASKS
from baas.rules.model import CollectionRules, Operation, RuleBook
from baas.rules.residual import Known
from baas.schema.actor import Actor
from baas.schema.values import Document, Path

#: Reduced rules kept: one per collection, operation and kind of caller in use.
_CACHE_SIZE: Final = 10_000


#: Decisions remembered, so that an edit of the rules can be tried on what really happens.
RECENT: Final = 500


class Decided(NamedTuple):
    """A question that a caller whom rules bind has asked. Not what was asked for or sent: that may
    be large, and is nobody's to keep."""

    operation: Operation
    collection: str
    actor: Actor
    ip: str


class RuleGuard:
    """The guard over a book of rules. Setting `book` changes everything at once: what was decided
    stays decided, what is asked next meets the new rules.

    A rule that speaks of nothing but the caller and the document is reduced once per caller
    (`Actor.cache_key`) and kept; one that speaks of `request`, `now` or another document is
    reduced for each request.
    """

    def __init__(self, book: RuleBook) -> None:
        self._state = _State(book)
        self.recent: deque[Decided] = deque(maxlen=RECENT)

    @property
    def book(self) -> RuleBook:
        return self._state.book

    @book.setter
    def book(self, book: RuleBook) -> None:
        self._state = _State(book)

    def rules_of(self, collection: str) -> CollectionRules | None:
        return self._state.book.collections.get(collection)

    def read(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        sort: Sort,
        lookups: Lookups,
        by_id: bool = False,
    ) -> ReadDecision:
        if actor.trusted:
            return ReadDecision(self._whole(filter, collection), ALWAYS, NO_MASKS)
        self.recent.append(Decided(operation, collection, actor, request.ip))
        plan = self._state.read_plan(operation, collection, actor, request, lookups)
        filter = self._whole(filter, collection)
        if plan.simple:
            if filter is ALWAYS:
                return plan.decision
            return ReadDecision(both(filter, plan.rule), plan.rule, NO_MASKS)
        return plan.decide(operation, actor, filter, sort, by_id)

    def write(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        lookups: Lookups,
        by_id: bool = False,
    ) -> WriteDecision:
        if actor.trusted:
            return TrustedWrite(self._whole(filter, collection))
        self.recent.append(Decided(operation, collection, actor, request.ip))
        plan = self._state.write_plan(operation, collection, actor, request, lookups)
        return plan.decide(actor, self._whole(filter, collection), by_id)

    def _whole(self, filter: Filter, collection: str) -> Filter:
        """The filter with the fields that its `$text` looks at. After the rule was asked, so that
        nobody learns of indexes who may not read; before masks, which judge those fields."""
        if filter is ALWAYS or (search := text_search_of(filter)) is None or search.paths:
            return filter
        return with_text_index(filter, self.text_paths(collection))

    def text_paths(self, collection: str) -> tuple[Path, ...]:
        rules = self.rules_of(collection)
        for index in () if rules is None else rules.spec.indexes:
            if index.kind == "text":
                return tuple(key.path for key in index.keys)
        message = f"{collection} has no text index; declare one in its rule file under `indexes`"
        raise invalid("filter.$text", f"{message}: `- text: [title, body]`")


class TrustedWrite:
    """The decision for callers whom no rule binds."""

    __slots__ = ("filter", "masks")

    def __init__(self, filter: Filter) -> None:
        self.filter = filter
        self.masks: Masks = NO_MASKS

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        if document is None:
            raise not_found()
        return document

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        return None


class _State:
    """One book and what was reduced from it."""

    def __init__(self, book: RuleBook) -> None:
        self.book = book
        self._plans: OrderedDict[tuple[Operation, str, str], Any] = OrderedDict()
        self._passing: dict[tuple[Operation, str], bool] = {}

    def read_plan(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
    ) -> ReadPlan:
        key = (operation, collection, actor.cache_key)
        plan = self._plans.get(key)
        if plan is None:
            rules = self._rules(collection)
            known = Known(rule_variables(operation, actor, request), lookups)
            plan = ReadPlan(rules, operation, known)
            self._keep(key, plan)
        if plan.denied:
            raise denied(REFUSAL)
        return plan

    def write_plan(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
    ) -> WritePlan:
        key = (operation, collection, actor.cache_key)
        plan = self._plans.get(key)
        if plan is None:
            rules = self._rules(collection)
            plan = WritePlan(rules, operation, rule_variables(operation, actor, request), lookups)
            self._keep(key, plan)
        if plan.denied:
            raise denied(REFUSAL)
        return plan

    def _rules(self, collection: str) -> CollectionRules:
        rules = self.book.collections.get(collection)
        if rules is None:
            raise denied(REFUSAL)
        return rules

    def _keep(self, key: tuple[Operation, str, str], plan: Any) -> None:
        """Keeps a plan that all requests of this caller may share; past the size, oldest first."""
        operation, collection, caller = key
        if not caller or self._changes(operation, collection):
            return
        self._plans[key] = plan
        if len(self._plans) > _CACHE_SIZE:
            self._plans.popitem(last=False)

    def _changes(self, operation: Operation, collection: str) -> bool:
        """Whether what is decided may differ between two requests of one caller."""
        key = (operation, collection)
        if key not in self._passing:
            rules = self.book.collections[collection]
            used = [rules.rules[operation].expr, rules.rules[Operation.READ].expr]
            used += [r.expr for mask in rules.masks for r in (mask.read, mask.write) if r]
            self._passing[key] = any(_is_passing(expr) for expr in used)
        return self._passing[key]


_PASSING: Final = frozenset(("request", "now"))


def _is_passing(expr: e.Expr) -> bool:
    if isinstance(expr, (e.Lookup, e.LookupExists)):
        return True
    if isinstance(expr, e.Variable) and expr.name in _PASSING:
        return True
    return any(_is_passing(child) for child in e.children(expr))


def rule_variables(operation: Operation, actor: Actor, request: RequestFacts) -> dict[str, Any]:
    """`auth`, `request` and `now` as rules see them."""
    now = Instant(request.time_ms)
    facts = {
        "data": request.data,
        "ip": request.ip,
        "time": now,
        "fields": None if request.fields is None else list(request.fields),
        "operation": operation.value,
    }
    return {"auth": actor.as_rule_value(), "request": facts, "now": now}
