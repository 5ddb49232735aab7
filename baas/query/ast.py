"""The filter language as frozen Structs: what `parse` makes and every engine compiles.

A filter is a tree of `And Or Not` over two kinds of leaves:

- `Field(path, test)`: a client's condition in the MongoDB dialect. It holds when any *candidate*
  of the path passes the test; `baas.query.evaluate` defines candidates (arrays are looked into).
- `Where(expr)`: a condition that came out of a rule. It is exact: arrays are values there.

`parse` rewrites what has a smaller form: `$ne` is Not(Eq), `$nin` Not(In), `$nor` Not(Or),
`$all` an And of Eq or ElemMatch, `$not` Not. So engines compile few nodes.

Values inside are in the kit's value model (`baas.schema.values`); dates are canonical objects.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from baas.query.expr import Expr
from baas.query.geo import Near, Region
from baas.schema.values import Path, Value


class Node(msgspec.Struct, frozen=True, tag=True, tag_field="node"):
    """Base of all filter nodes. Immutable; compared by value."""


class Always(Node, frozen=True):
    """True for every document."""


class Never(Node, frozen=True):
    """False for every document."""


class And(Node, frozen=True):
    items: tuple[Filter, ...]


class Or(Node, frozen=True):
    items: tuple[Filter, ...]


class Not(Node, frozen=True):
    """True exactly where `item` is not (no third value: a filter is true or false)."""

    item: Filter


class Field(Node, frozen=True):
    """Some candidate of `path` passes `test`."""

    path: Path
    test: Test


class Where(Node, frozen=True):
    """A rule's reduced condition over the document; holds when `expr` is exactly true."""

    expr: Expr


class TextSearch(Node, frozen=True):
    """`$text`: the texts at `paths` have one of the needles `some` (where there are any), `every`
    one of those and `none` of the last; without `some` and `every` nothing is found. Needles are of
    `baas.query.text`. `paths` are the text index's; none yet until the guard has filled them in.
    """

    some: tuple[str, ...]
    every: tuple[str, ...] = ()
    none: tuple[str, ...] = ()
    paths: tuple[Path, ...] = ()


class Eq(Node, frozen=True):
    """Equal to `value`; null also holds for a missing field."""

    value: Value


class Range(Node, frozen=True):
    """Ordered against `value`, among values of one kind only.

    `gte` and `lte` with null hold for null and missing, `gt` and `lt` with null never do.
    """

    op: Literal["gt", "gte", "lt", "lte"]
    value: Value


class In(Node, frozen=True):
    """Equal to one of `values`, or matched by one of `patterns`."""

    values: tuple[Value, ...]
    patterns: tuple[Regex, ...] = ()


class Exists(Node, frozen=True):
    """The field is there (null counts as there). `$exists: false` is Not of this."""


class Type(Node, frozen=True):
    """One of `number string bool null object array date`."""

    names: tuple[str, ...]


class Size(Node, frozen=True):
    """An array of exactly `length` elements."""

    length: int


class Mod(Node, frozen=True):
    """A number that, truncated to an integer, leaves `remainder` when divided by `divisor`."""

    divisor: int
    remainder: int


class Regex(Node, frozen=True):
    """A string in which the RE2 `pattern` is found; `flags` from `i m s`, sorted."""

    pattern: str
    flags: str = ""


class ElemMatch(Node, frozen=True):
    """An array with an element that, as a document, matches `filter`."""

    filter: Filter


class ElemTest(Node, frozen=True):
    """An array with one element that itself passes `test` (no further array is opened)."""

    test: Condition


class Geo(Node, frozen=True):
    """A GeoJSON geometry of which `region` holds (`baas.query.geo`)."""

    region: Region


class AllOf(Node, frozen=True):
    """Every one of `tests` holds of the same element (only inside ElemTest)."""

    tests: tuple[Condition, ...]


class NotTest(Node, frozen=True):
    """`test` does not hold of the element (only inside ElemTest)."""

    test: Condition


Test: TypeAlias = Eq | Range | In | Exists | Type | Size | Mod | Regex | ElemMatch | ElemTest | Geo
Condition: TypeAlias = Test | AllOf | NotTest
Filter: TypeAlias = Always | Never | And | Or | Not | Field | Where | TextSearch

ALWAYS: Final = Always()
NEVER: Final = Never()


def both(left: Filter, right: Filter) -> Filter:
    """The conjunction, without needless nodes."""
    if isinstance(left, Always):
        return right
    if isinstance(right, Always):
        return left
    if isinstance(left, Never) or isinstance(right, Never):
        return NEVER
    return And((*_conjuncts(left), *_conjuncts(right)))


def _conjuncts(item: Filter) -> tuple[Filter, ...]:
    return item.items if isinstance(item, And) else (item,)


class SortKey(msgspec.Struct, frozen=True):
    """`near`: not by the value at `path`, but by the distance of what lies there."""

    path: Path
    descending: bool = False
    near: Near | None = None


#: Always ends with a key on `_id`, so that the order is total.
Sort: TypeAlias = tuple[SortKey, ...]
BY_ID: Final[Sort] = (SortKey(("_id",)),)


class Projection(msgspec.Struct, frozen=True):
    """`fields`: either only `paths` (include) or all but `paths`; `_id` as `with_id` says."""

    paths: tuple[Path, ...]
    include: bool
    with_id: bool = True
