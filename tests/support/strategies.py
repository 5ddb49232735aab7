"""Generated documents, filters, sorts and projections, shared by every property test.

Names and values come from small pools, so that paths meet fields and conditions meet values; a
wide alphabet would test little but "no match". `tests.support.hard_cases` holds the hand-picked
ones. Filters are client JSON; `filters()` gives them parsed.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from baas.query import ast
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter, parse_projection, parse_sort

#: Server time wherever a test needs one: 2026-11-20T08:00:00Z.
NOW_MS = 1_795_161_600_000
LIMITS = QueryLimits()

NAMES = ("a", "b", "c", "0", "1")
DATES = (
    {"$date": "2026-11-20T08:00:00.000Z"},
    {"$date": "2026-11-20T08:00:00.001Z"},
    {"$date": "0001-01-01T00:00:00.000Z"},
    {"$date": "1969-12-31T23:59:59.999Z"},
)
NUMBERS = (0, 1, 2, -1, -3, 3, 7, 10, 0.5, 1.5, -1.5, 2**53 - 1, -(2**53) + 1, 1e300, 1e16, 5e-324)
STRINGS = ("", "a", "b", "ab", "aB", "A", "0", "1", "1.0", "true", "null", "é", "中文", "😀", "\n")
STRINGS_MORE = (
    "a\nb",
    "2026-11-20T08:00:00.000Z",
    "[1]",
    "{}",
    "%",
    "a_",
    "'",
    '"',
    "\\",
    "\ufffd",
)
PATTERNS = (
    "a",
    "^a",
    "b$",
    "^$",
    ".",
    "^.$",
    "[0-9]",
    "A|1",
    "",
    "é",
    "\\.",
    "a.b",
    "^b",
    "(a)(b)?",
)
TYPES = ("number", "string", "bool", "null", "object", "array", "date")


def scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from(NUMBERS),
        st.sampled_from(STRINGS + STRINGS_MORE),
        st.sampled_from(DATES),
    )


def names() -> st.SearchStrategy[str]:
    return st.sampled_from(NAMES)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    # Arrays of objects are what dotted paths are hard about, so they get a branch of their own.
    objects = st.dictionaries(names(), inner, max_size=3)
    return st.one_of(
        objects, st.lists(inner, max_size=3), st.lists(st.one_of(objects, scalars()), max_size=3)
    )


def values(max_leaves: int = 8) -> st.SearchStrategy[Any]:
    """Values in canonical form: scalars, dates, arrays, objects, arrays of objects, nested."""
    return st.recursive(scalars(), _containers, max_leaves=max_leaves)


def documents(*, with_id: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Documents in canonical form. Ids repeat: a test that stores several gives its own."""
    fields = st.dictionaries(names(), values(), max_size=4)
    if not with_id:
        return fields
    ids = st.sampled_from(("d1", "d2", "d3", "1", "a"))
    return st.builds(lambda id, rest: {"_id": id, **rest}, ids, fields)


def stored_documents(max_size: int = 6) -> st.SearchStrategy[list[dict[str, Any]]]:
    """A collection's content: documents with the ids `d0`, `d1`, ... in that order."""
    bodies = st.lists(documents(with_id=False), max_size=max_size)
    return bodies.map(lambda rows: [{"_id": f"d{n}", **row} for n, row in enumerate(rows)])


def paths(max_depth: int = 3) -> st.SearchStrategy[str]:
    """Dotted paths, numeric components among them; now and then `_id`."""
    dotted = st.lists(names(), min_size=1, max_size=max_depth).map(".".join)
    return st.one_of(dotted, dotted, dotted, dotted, st.just("_id"))


# -- filters --------------------------------------------------------------------------------------


def operands() -> st.SearchStrategy[Any]:
    """Values to compare with: mostly scalars."""
    return st.one_of(scalars(), scalars(), values(4))


def regexes() -> st.SearchStrategy[dict[str, str]]:
    options = st.sets(st.sampled_from("ims")).map(lambda flags: "".join(sorted(flags)))
    return st.builds(
        lambda pattern, flags: {"$regex": pattern, "$options": flags},
        st.sampled_from(PATTERNS),
        options,
    )


def _members() -> st.SearchStrategy[list[Any]]:
    return st.lists(st.one_of(operands(), operands(), regexes()), max_size=4)


def _mods() -> st.SearchStrategy[list[int]]:
    return st.tuples(st.sampled_from((1, 2, 3, -2, 7)), st.integers(-2, 3)).map(list)


def _types() -> st.SearchStrategy[Any]:
    one = st.sampled_from(TYPES)
    return st.one_of(one, st.lists(one, min_size=1, max_size=3))


def simple_operators() -> st.SearchStrategy[dict[str, Any]]:
    """One operator object with neither `$not`, `$all` nor `$elemMatch`."""

    def one(name: str, operand: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return operand.map(lambda value: {name: value})

    comparisons = [one(f"${op}", operands()) for op in ("eq", "ne", "gt", "gte", "lt", "lte")]
    return st.one_of(
        *comparisons,
        one("$in", _members()),
        one("$nin", _members()),
        one("$exists", st.booleans()),
        one("$type", _types()),
        one("$size", st.integers(0, 3)),
        one("$mod", _mods()),
        regexes(),
    )


def _operators(filters: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    simple = simple_operators()
    several = st.builds(lambda one, other: {**one, **other}, simple, simple)
    elem_values = st.one_of(simple, several, simple.map(lambda inner: {"$not": inner}))
    elem_match = st.one_of(filters, elem_values).map(lambda inner: {"$elemMatch": inner})
    all_items = st.one_of(
        st.lists(operands(), max_size=3),
        st.lists(elem_match, min_size=1, max_size=2),
        st.lists(regexes(), min_size=1, max_size=2),
    )
    return st.one_of(
        simple,
        simple,
        several,
        elem_match,
        all_items.map(lambda items: {"$all": items}),
        st.one_of(simple, several, elem_match).map(lambda inner: {"$not": inner}),
    )


def _combined(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    items = st.lists(inner, min_size=1, max_size=3)
    logical = st.builds(
        lambda op, parts: {op: parts}, st.sampled_from(("$and", "$or", "$nor")), items
    )
    field = st.builds(lambda path, test: {path: test}, paths(), _operators(inner))
    return st.one_of(logical, field)


def raw_filters(max_leaves: int = 5) -> st.SearchStrategy[dict[str, Any]]:
    """Filters as a client sends them, with every operator that is served."""
    equality = st.builds(lambda path, value: {path: value}, paths(), operands())
    simple = st.builds(lambda path, test: {path: test}, paths(), simple_operators())
    pair = st.builds(lambda one, other: {**one, **other}, equality, simple)
    leaves = st.one_of(equality, simple, simple, pair, st.just({}))
    return st.recursive(leaves, _combined, max_leaves=max_leaves)


def filters(max_leaves: int = 5) -> st.SearchStrategy[ast.Filter]:
    return raw_filters(max_leaves).map(parsed)


def parsed(raw: dict[str, Any], *, uid: str | None = None) -> ast.Filter:
    return parse_filter(raw, LIMITS, now_ms=NOW_MS, uid=uid)


# -- sorts and projections ------------------------------------------------------------------------


def raw_sorts() -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(paths(2), st.sampled_from((1, -1)), max_size=3)


def sorts() -> st.SearchStrategy[ast.Sort]:
    return raw_sorts().map(parse_sort)


def _apart(chosen: dict[str, int]) -> bool:
    """Whether no path lies below another."""
    return not any(
        one != other and other.startswith(f"{one}.") for one in chosen for other in chosen
    )


def raw_projections() -> st.SearchStrategy[dict[str, int]]:
    """All 1 or all 0, `_id` either."""
    named = st.lists(paths(2).filter(lambda path: path != "_id"), min_size=1, max_size=3)
    chosen = st.builds(dict.fromkeys, named, st.sampled_from((0, 1))).filter(_apart)
    ids = st.sampled_from(({}, {"_id": 0}, {"_id": 1}))
    return st.builds(lambda fields, id: {**fields, **id}, chosen, ids)


def projections() -> st.SearchStrategy[ast.Projection | None]:
    return raw_projections().map(parse_projection)
