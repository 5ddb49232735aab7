"""Aggregation expressions as frozen Structs: what the parser makes and `evaluate` computes.

Meaning is MongoDB's: a missing field is not null (`$eq` tells them apart), most functions answer
null for either, and an object leaves out members whose value is missing.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from baas.schema.values import Path, Value


class ExpressionNode(msgspec.Struct, frozen=True, tag=True, tag_field="expression"):
    """Base of all expression nodes. Immutable; compared by value."""


class Constant(ExpressionNode, frozen=True):
    """`value` may be MISSING: an optional argument that was not given."""

    value: Value


class FieldOf(ExpressionNode, frozen=True):
    """`path` of `target`; through an array it is the list of what its elements have there."""

    target: Expression
    path: Path


class VariableOf(ExpressionNode, frozen=True):
    """`ROOT`, `NOW`, or a variable that `$let`, `$map`, `$lookup` and their kind define."""

    name: str


class ObjectOf(ExpressionNode, frozen=True):
    names: tuple[str, ...]
    items: tuple[Expression, ...]


class ArrayOf(ExpressionNode, frozen=True):
    """An array; a missing item is null in it."""

    items: tuple[Expression, ...]


class Apply(ExpressionNode, frozen=True):
    """A function of values (`functions.FUNCTIONS`): every argument is computed first."""

    name: str
    args: tuple[Expression, ...]


class Junction(ExpressionNode, frozen=True):
    """`$and` (`every`) or `$or`; stops at the first item that decides."""

    every: bool
    items: tuple[Expression, ...]


class Conditional(ExpressionNode, frozen=True):
    """`$cond` and `$switch`: the first branch whose test holds; no `other` is a fault then."""

    branches: tuple[tuple[Expression, Expression], ...]
    other: Expression | None


class FirstPresent(ExpressionNode, frozen=True):
    """`$ifNull`: the first item that is neither null nor missing, else the last."""

    items: tuple[Expression, ...]


class Let(ExpressionNode, frozen=True):
    names: tuple[str, ...]
    values: tuple[Expression, ...]
    body: Expression


class MapOver(ExpressionNode, frozen=True):
    array: Expression
    name: str
    body: Expression


class FilterOver(ExpressionNode, frozen=True):
    array: Expression
    name: str
    condition: Expression
    limit: Expression | None


class Reduce(ExpressionNode, frozen=True):
    """`body` sees the element as `this` and the result so far as `value`."""

    array: Expression
    initial: Expression
    body: Expression


class BucketOf(ExpressionNode, frozen=True):
    """The greatest boundary that `value` reaches, below the last; else `other` (None: a fault)."""

    value: Expression
    boundaries: tuple[Value, ...]
    other: Constant | None


Expression: TypeAlias = (
    Constant
    | FieldOf
    | VariableOf
    | ObjectOf
    | ArrayOf
    | Apply
    | Junction
    | Conditional
    | FirstPresent
    | Let
    | MapOver
    | FilterOver
    | Reduce
    | BucketOf
)

ROOT = VariableOf("ROOT")
