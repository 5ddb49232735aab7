"""What each stage that reads no other collection makes of the documents before it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Final

from baas.query.aggregate.evaluate import Scope, evaluate
from baas.query.aggregate.functions.accumulators import ACCUMULATORS, Accumulator
from baas.query.aggregate.functions.base import Fault, mapping, truthy
from baas.query.aggregate.matching import Matcher
from baas.query.aggregate.model import (
    Accumulate,
    Count,
    Distance,
    Group,
    Limit,
    Match,
    MatchExpression,
    ReplaceRoot,
    Reshape,
    Sample,
    Skip,
    SortBy,
    Stage,
    Unwind,
)
from baas.query.aggregate.shape import reshape
from baas.query.ast import SortKey
from baas.query.fields import get_path
from baas.query.order import nearest, order_key, sort_value
from baas.schema.values import MISSING, Document, Path, Value, canonical_number, encode

Documents = list[Document]

#: Steps that one document costs in a filter, a sort or a copy, beside its expressions.
_STEPS: Final = 3


def _match(stage: Match, documents: Documents, scope: Scope, random: Random) -> Documents:
    matcher = Matcher(stage.filter, scope.budget)
    return [document for document in documents if matcher.holds(document)]


def _match_expression(
    stage: MatchExpression, documents: Documents, scope: Scope, random: Random
) -> Documents:
    condition = stage.condition
    return [one for one in documents if truthy(evaluate(condition, scope.on(one)))]


def _reshape(stage: Reshape, documents: Documents, scope: Scope, random: Random) -> Documents:
    return [reshape(stage.shape, document, scope.on(document)) for document in documents]


def _group(stage: Group, documents: Documents, scope: Scope, random: Random) -> Documents:
    groups: dict[bytes, tuple[Value, list[Accumulator]]] = {}
    for document in documents:
        inner = scope.on(document)
        key = evaluate(stage.key, inner)
        key = None if key is MISSING else scope.budget.check(key)
        identity = encode(key)
        scope.budget.spend(_STEPS + len(identity) // 64)
        if identity not in groups:
            scope.budget.made_text(len(identity))
            scope.budget.made_entries(1 + 4 * len(stage.fields))
            made = [ACCUMULATORS[field.accumulator](scope.budget) for field in stage.fields]
            groups[identity] = (key, made)
        for field, accumulator in zip(stage.fields, groups[identity][1], strict=True):
            _feed(field, accumulator, inner)
    return [_grouped(stage, key, found) for key, found in groups.values()]


def _feed(field: Accumulate, accumulator: Accumulator, scope: Scope) -> None:
    try:
        accumulator.add(evaluate(field.operand, scope))
    except Fault as fault:
        raise fault.within(field.accumulator) from None


def _grouped(stage: Group, key: Value, found: list[Accumulator]) -> Document:
    result = {"_id": key}
    for field, accumulator in zip(stage.fields, found, strict=True):
        try:
            result[field.name] = accumulator.result()
        except Fault as fault:
            raise fault.within(field.accumulator) from None
    return result


def _sort(stage: SortBy, documents: Documents, scope: Scope, random: Random) -> Documents:
    ordered = documents.copy()
    # Python's sort is stable, so the last key goes first. Keys are made beforehand, where the
    # budget sees their cost; comparing them is left to the interpreter.
    for key in reversed(stage.sort):
        ordered.sort(key=partial(_sort_key, key, scope), reverse=key.descending)
    return ordered


def _sort_key(key: SortKey, scope: Scope, document: Document) -> tuple[Any, ...]:
    scope.budget.spend(_STEPS)
    reached = document.get(key.path[0])
    if type(reached) is list or type(reached) is dict:
        scope.budget.check(reached)
    value = sort_value(document, key)
    scope.budget.made_key(value)
    return order_key(value)


def _distance(stage: Distance, documents: Documents, scope: Scope, random: Random) -> Documents:
    return [_with_distance(stage, document, scope) for document in documents]


def _with_distance(stage: Distance, document: Document, scope: Scope) -> Document:
    scope.budget.spend(_STEPS)
    found = nearest(document, stage.key)
    if found is None:
        return document
    metres, place = found
    scope.budget.made_entries(len(document) + 2)
    document = put(document, stage.target, canonical_number(metres * stage.factor))
    return document if stage.place is None else put(document, stage.place, place)


def _limit(stage: Limit, documents: Documents, scope: Scope, random: Random) -> Documents:
    return documents[: stage.count]


def _skip(stage: Skip, documents: Documents, scope: Scope, random: Random) -> Documents:
    return documents[stage.count :]


def _count(stage: Count, documents: Documents, scope: Scope, random: Random) -> Documents:
    """Nothing of nothing, as in MongoDB."""
    return [{stage.name: len(documents)}] if documents else []


def _replace_root(
    stage: ReplaceRoot, documents: Documents, scope: Scope, random: Random
) -> Documents:
    return [_new_root(stage, document, scope) for document in documents]


def _new_root(stage: ReplaceRoot, document: Document, scope: Scope) -> Document:
    root = evaluate(stage.root, scope.on(document))
    try:
        return mapping(scope.budget.check(root), "the new document")
    except Fault as fault:
        raise fault.within("$replaceRoot") from None


def _sample(stage: Sample, documents: Documents, scope: Scope, random: Random) -> Documents:
    return random.sample(documents, min(stage.size, len(documents)))


def _unwind(stage: Unwind, documents: Documents, scope: Scope, random: Random) -> Documents:
    result: Documents = []
    for document in documents:
        value = get_path(document, stage.path)
        if type(value) is list and value:
            scope.budget.documents(len(result) + len(value))
            for position, element in enumerate(value):
                result.append(_unwound(stage, document, element, position, scope))
        elif value is not MISSING and value is not None and type(value) is not list:
            result.append(_with_index(stage, document, None, scope))
        elif stage.keep_empty:
            kept = document if value is not MISSING and value is None else _without(stage, document)
            result.append(_with_index(stage, kept, None, scope))
    return result


def _unwound(
    stage: Unwind, document: Document, element: Value, position: int, scope: Scope
) -> Document:
    scope.budget.spend(_STEPS)
    scope.budget.made_entries(len(document))
    return _with_index(stage, put(document, stage.path, element), position, scope)


def _with_index(stage: Unwind, document: Document, position: int | None, scope: Scope) -> Document:
    return document if stage.index is None else put(document, stage.index, position)


def _without(stage: Unwind, document: Document) -> Document:
    """Without the empty array; a missing field stays missing."""
    if get_path(document, stage.path) is MISSING:
        return document
    return put(document, stage.path, MISSING)


def put(document: Document, path: Path, value: Value) -> Document:
    """A copy with `value` at `path` (MISSING: without it). What is on the way and no object is
    replaced by one; the rest is shared."""
    result = dict(document)
    if len(path) > 1:
        child = document.get(path[0])
        below = child if type(child) is dict else {}
        result[path[0]] = put(below, path[1:], value)
    elif value is MISSING:
        result.pop(path[0], None)
    else:
        result[path[0]] = value
    return result


_Runner = Callable[[Any, Documents, Scope, Random], Documents]

RUNNERS: Final[dict[type[Stage], _Runner]] = {
    Match: _match,
    MatchExpression: _match_expression,
    Reshape: _reshape,
    Group: _group,
    SortBy: _sort,
    Distance: _distance,
    Limit: _limit,
    Skip: _skip,
    Count: _count,
    ReplaceRoot: _replace_root,
    Sample: _sample,
    Unwind: _unwind,
}
