"""Pipelines as frozen Structs: what `parse` makes and `run` runs."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from baas.query.aggregate.expression import Expression
from baas.query.ast import Filter, Sort, SortKey
from baas.schema.values import Path


class Stage(msgspec.Struct, frozen=True, tag=True, tag_field="stage", kw_only=True):
    """Base of all stages. `where` is its place in the body: `pipeline.2.$group`."""

    where: str


class Match(Stage, frozen=True, kw_only=True):
    filter: Filter


class MatchExpression(Stage, frozen=True, kw_only=True):
    """`$expr` of a `$match`."""

    condition: Expression


class Shape(msgspec.Struct, frozen=True):
    """What `$project` and `$addFields` make of an object, and of each object in an array.

    `keep`: whether fields that are not named stay. `names`: fields to leave out where `keep`,
    else to take over. `computed` fields come last. `computes`: whether any are in here or below;
    then a value that is no object is replaced by one.
    """

    keep: bool
    names: frozenset[str] = frozenset()
    children: dict[str, Shape] = {}
    computed: dict[str, Expression] = {}
    computes: bool = False


class Reshape(Stage, frozen=True, kw_only=True):
    """`$project`, `$addFields`, `$set` and `$unset`."""

    shape: Shape


class Accumulate(msgspec.Struct, frozen=True):
    """One output field of a group: `accumulator` over `operand`."""

    name: str
    accumulator: str
    operand: Expression


class Group(Stage, frozen=True, kw_only=True):
    """One document per distinct `key`, in the order in which keys first appear."""

    key: Expression
    fields: tuple[Accumulate, ...] = ()


class SortBy(Stage, frozen=True, kw_only=True):
    sort: Sort


class Distance(Stage, frozen=True, kw_only=True):
    """Puts the metres that `key` orders by, times `factor`, at `target`, and the geometry that they
    lead to at `place`. The last part of a `$geoNear`."""

    key: SortKey
    target: Path
    factor: float
    place: Path | None = None


class Limit(Stage, frozen=True, kw_only=True):
    count: int


class Skip(Stage, frozen=True, kw_only=True):
    count: int


class Unwind(Stage, frozen=True, kw_only=True):
    path: Path
    index: Path | None = None
    keep_empty: bool = False


class Count(Stage, frozen=True, kw_only=True):
    name: str


class ReplaceRoot(Stage, frozen=True, kw_only=True):
    root: Expression


class Sample(Stage, frozen=True, kw_only=True):
    size: int


class Facet(Stage, frozen=True, kw_only=True):
    branches: dict[str, tuple[PipelineStage, ...]]


class Equality(msgspec.Struct, frozen=True):
    """`localField` and `foreignField` of a `$lookup`."""

    local: Path
    foreign: Path


class Lookup(Stage, frozen=True, kw_only=True):
    """Puts into `target` the documents of `collection` that match and what `stages` make of them.

    `filter` is the leading `$match` of the inner pipeline, which is part of the read itself;
    `variables` are what the rest of it (`stages`) may use of the outer document.
    """

    collection: str
    target: Path
    filter: Filter
    equality: Equality | None = None
    variables: dict[str, Expression] = {}
    stages: tuple[PipelineStage, ...] = ()


PipelineStage: TypeAlias = (
    Match
    | MatchExpression
    | Reshape
    | Group
    | SortBy
    | Distance
    | Limit
    | Skip
    | Unwind
    | Count
    | ReplaceRoot
    | Sample
    | Facet
    | Lookup
)
