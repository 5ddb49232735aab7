"""THE choke point: what one caller may do with one collection.

Every path to data, of every service, passes here. The database service asks `read` before a
find, get, count, aggregate or watch, and `write` before a create, update or delete, and puts
what it is given into the store's own step: a filter into the query, checks into the callback that
runs between reading and writing. There is no other way in.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Final, Protocol

import msgspec

from baas.errors import denied, not_found
from baas.ports.documents import Lookups
from baas.query import expr as e
from baas.query.ast import ALWAYS, BY_ID, And, Filter, Never, Sort, both
from baas.query.conditions import Compiled, Env, Instant, compile
from baas.query.fields import paths_in_filter, paths_in_sort
from baas.query.implies import implies
from baas.rules.masks import NO_MASKS, CallerMasks, NoMasks, masks_for
from baas.rules.model import CollectionRules, Operation, RuleBook
from baas.rules.render import as_query
from baas.rules.residual import Known, possible, reduce, to_filter
from baas.schema.actor import Actor
from baas.schema.values import Document, Path, Value

#: Reduced rules kept: one per collection, operation and kind of caller in use.
_CACHE_SIZE: Final = 10_000
_REFUSAL: Final = "The rules do not allow this."


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`request` in rules. `data` what the client sent (on update the `$set` object), `fields` the
    top-level names written or projected (None: all)."""

    time_ms: int
    ip: str = ""
    data: Value = None
    fields: tuple[str, ...] | None = None


class Masks(Protocol):
    """The field masks of one collection for one caller."""

    @property
    def hides_nothing(self) -> bool:
        """Whether stored bytes may be sent as they are."""
        ...

    def readable(self, document: Document, lookups: Lookups) -> Document:
        """A copy without what this caller may not read of this document (which may share parts)."""
        ...

    def check_used(self, paths: frozenset[Path], known: Filter) -> None:
        """PERMISSION_DENIED naming a path of a filter or sort that the caller may not read.

        A parent of a masked path counts. Fine where the mask is true for the caller, or implied
        by `known`: the rule and the filter together.
        """
        ...

    def touches(self, paths: frozenset[Path]) -> bool:
        """Whether one of `paths`, a parent or a child of one may be masked for this caller.

        What touches nothing (a leading `$match`, `$sort` of a pipeline) may run in the engine.
        """
        ...

    def check_read(self, paths: frozenset[Path], document: Document, lookups: Lookups) -> None:
        """PERMISSION_DENIED naming a path that an update operator reads and the caller may not."""
        ...

    def check_written(self, paths: frozenset[Path], document: Document, lookups: Lookups) -> None:
        """PERMISSION_DENIED naming a path that this write may not set on this document."""
        ...

    def unreadable(self, document: Document, lookups: Lookups) -> frozenset[Path]:
        """The masked paths that the caller may not read of this document."""
        ...


class ReadDecision(msgspec.Struct, frozen=True):
    """`filter`: the client's filter and the rule's, to be run as one. `rule`: the rule's alone."""

    filter: Filter
    rule: Filter
    masks: Masks


class WriteDecision(Protocol):
    """What a write must satisfy. For a trusted actor everything passes."""

    filter: Filter
    """For writes by filter: client's filter, what is visible, and as much of the write rule as
    speaks of the stored document alone. Documents outside it are as if absent."""

    masks: Masks

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        """For writes by id: NOT_FOUND for absent or hidden, PERMISSION_DENIED for visible but not
        allowed by what the rule says of the stored document; else the document."""
        ...

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        """The whole rule, with `doc` and `newDoc` known: PERMISSION_DENIED unless true."""
        ...


class Guard(Protocol):
    """The shape; `RuleGuard` below is the one implementation."""

    book: RuleBook

    def rules_of(self, collection: str) -> CollectionRules | None: ...

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
        """PERMISSION_DENIED for a rule that is false for this caller whatever the document, for a
        collection no file names, in mode `reject` for a query that does not imply the rule (naming
        the missing condition), and for a masked field in `filter` or `sort`. May raise
        LookupNeeded (`get()` of another document): fetch it and ask again.

        `by_id` says that one document is asked for by its id: mode `reject` then decides on the
        document. For AGGREGATE, `filter` is the pipeline's leading `$match`; it is part of the
        answer's `filter` only where it meets no masked field (`masks.touches`), so the pipeline
        runs as a whole, `$match` included, over the documents that `masks.readable` gives."""
        ...

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
        """As `read`, for CREATE, UPDATE and DELETE; `filter` is ALWAYS for writes by id."""
        ...


# -- the one implementation -----------------------------------------------------------------------


class RuleGuard:
    """The guard over a book of rules. Setting `book` changes everything at once: what was decided
    stays decided, what is asked next meets the new rules.

    A rule that speaks of nothing but the caller and the document is reduced once per caller
    (`Actor.cache_key`) and kept; one that speaks of `request`, `now` or another document is
    reduced for each request.
    """

    def __init__(self, book: RuleBook) -> None:
        self._state = _State(book)

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
            return ReadDecision(filter, ALWAYS, NO_MASKS)
        plan = self._state.read_plan(operation, collection, actor, request, lookups)
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
            return TrustedWrite(filter)
        plan = self._state.write_plan(operation, collection, actor, request, lookups)
        return plan.decide(actor, filter, by_id)


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
    ) -> _ReadPlan:
        key = (operation, collection, actor.cache_key)
        plan = self._plans.get(key)
        if plan is None:
            rules = self._rules(collection)
            known = Known(rule_variables(operation, actor, request), lookups)
            plan = _ReadPlan(rules, operation, known)
            self._keep(key, plan)
        if plan.denied:
            raise denied(_REFUSAL)
        return plan

    def write_plan(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
    ) -> _WritePlan:
        key = (operation, collection, actor.cache_key)
        plan = self._plans.get(key)
        if plan is None:
            rules = self._rules(collection)
            plan = _WritePlan(rules, operation, rule_variables(operation, actor, request), lookups)
            self._keep(key, plan)
        if plan.denied:
            raise denied(_REFUSAL)
        return plan

    def _rules(self, collection: str) -> CollectionRules:
        rules = self.book.collections.get(collection)
        if rules is None:
            raise denied(_REFUSAL)
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


class _ReadPlan:
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


class _WritePlan:
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
            raise denied(_REFUSAL)
        return document

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        if self._result(Env(before, after, None, lookups)) is not True:
            raise denied(_REFUSAL)


class RuleWrite:
    """The decision for one write of a caller whom rules bind."""

    __slots__ = ("_plan", "filter", "masks")

    def __init__(self, plan: _WritePlan, filter: Filter) -> None:
        self._plan = plan
        self.filter = filter
        self.masks: Masks = plan.masks

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        return self._plan.check_stored(document, lookups)

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        self._plan.check_result(before, after, lookups)
