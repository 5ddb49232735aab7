"""Documents and filters that query engines are known to disagree about.

Small enough for the whole cross product. Documents are canonical, without `_id`; filters are
client JSON.
"""

from __future__ import annotations

from typing import Any, Final

_D1: Final = {"$date": "2026-11-20T08:00:00.000Z"}
_D2: Final = {"$date": "2026-11-20T08:00:00.001Z"}

HARD_DOCUMENTS: Final[tuple[dict[str, Any], ...]] = (
    {},
    *({"a": value} for value in (None, True, False, 0, 1, -1, 1.5, 2**53 - 1, 1e300, _D1, _D2)),
    *({"a": value} for value in ("", "1", "0", "true", "a", "ab", "AB", "a\nb", "é", "中", "😀")),
    *({"a": value} for value in ({}, {"b": 1}, {"b": None}, {"b": 1, "c": 2}, {"c": 2, "b": 1})),
    *({"a": value} for value in ({"b": {"c": 1}}, {"b": []}, {"b": [1, 2]}, {"0": "x"})),
    *({"a": value} for value in ([], [None], [1], [1, 2], [2, 1], ["1"], [True], [[]], [[1]])),
    *({"a": value} for value in ([[1, 2]], [[[1]]], [1, [2, 3]], [0, 5], [{}], [{"b": 1}], [_D1])),
    *(
        {"a": value}
        for value in ([{"b": 1}, {"b": 2}], [{"b": 1}, {}], [{"b": None}], [1, {"b": 1}])
    ),
    *({"a": value} for value in ([{"b": [1, 2]}], [{"b": []}], [[{"b": 1}]], [{"0": 5}, 7])),
    *(
        {"a": value}
        for value in ([5, {"1": 4}], [5, [{"b": 4}]], [{"b": {"c": 1}}], [{"b": [{"c": 1}]}])
    ),
    {"a": [{"b": 1, "c": 2}, {"b": 2, "c": 1}]},
    {"a": 1, "b": 1},
    {"b": 1},
    {"__proto__": 1, "constructor": {"prototype": 2}},
)

_VALUES: Final = (
    *(None, True, False, 0, 1, 1.5, "", "1", "a", _D1),
    *({}, {"b": 1}, {"c": 2, "b": 1}, [], [1], [1, 2], [[1]]),
)
_DEEP_PATHS: Final = ("a.b", "a.0", "a.1", "a.0.b", "a.b.c", "a.0.0", "a.b.0", "a.00")
_TYPES: Final = ("number", "string", "bool", "null", "object", "array", "date")
_REGEXES: Final = (
    *(("a", ""), ("A", "i"), ("^b", ""), ("^b", "m"), ("b$", "")),
    *(("a.b", ""), ("a.b", "s"), ("", ""), ("^.$", "")),
)


def _each(operator: str, *operands: Any, path: str = "a") -> list[dict[str, Any]]:
    return [{path: {operator: operand}} for operand in operands]


HARD_FILTERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    *({"a": value} for value in _VALUES),
    *(
        found
        for operator in ("$ne", "$gt", "$gte", "$lt", "$lte")
        for found in _each(operator, *_VALUES)
    ),
    *({path: value} for path in _DEEP_PATHS for value in (None, 1)),
    *({path: {"$exists": yes}} for path in ("a", "b", *_DEEP_PATHS) for yes in (True, False)),
    *({path: {"$ne": 1}} for path in _DEEP_PATHS),
    *_each("$in", [], [None], [1, "1"], [[1]], [{"$regex": "^a"}], [None, _D1]),
    *_each("$nin", [], [None], [1], [{"$regex": "b$", "$options": "i"}]),
    *_each("$type", *_TYPES),
    {"a.b": {"$type": ["number", "array"]}},
    *({path: {"$size": size}} for path in ("a", "a.0", "a.b") for size in (0, 1, 2)),
    *_each("$mod", [2, 0], [2, 1], [2, -1], [-2, 1], [1, 0], [7, 3]),
    *({"a": {"$regex": pattern, "$options": flags}} for pattern, flags in _REGEXES),
    {"a": {"$gt": 0, "$lt": 5}},
    {"a": {"$gt": 1, "$lt": 3}},
    {"a": {"$elemMatch": {"$gt": 1, "$lt": 3}}},
    {"a": {"$elemMatch": {"$not": {"$gt": 1}}}},
    {"a": {"$elemMatch": {"$ne": 1}}},
    {"a": {"$elemMatch": {"$nin": [1, None]}}},
    {"a": {"$elemMatch": {"$size": 1}}},
    {"a": {"$elemMatch": {"$elemMatch": {"$eq": 1}}}},
    {"a": {"$elemMatch": {"$elemMatch": {"b": 1}}}},
    {"a": {"$elemMatch": {"$in": [1, [1]]}}},
    {"a": {"$elemMatch": {"$exists": True}}},
    {"a": {"$elemMatch": {"$type": "object"}}},
    {"a": {"$elemMatch": {"$all": [1]}}},
    {"a": {"$elemMatch": {"$eq": None}}},
    {"a": {"$elemMatch": {}}},
    {"a": {"$elemMatch": {"b": 1}}},
    {"a": {"$elemMatch": {"b": None}}},
    {"a": {"$elemMatch": {"b": 1, "c": 1}}},
    {"a": {"$elemMatch": {"$or": [{"b": 1}, {"c": 1}]}}},
    {"a": {"$elemMatch": {"$nor": [{"b": 1}]}}},
    {"a": {"$elemMatch": {"b": {"$elemMatch": {"c": 1}}}}},
    {"a.b": {"$elemMatch": {"$gte": 2}}},
    {"a.0": {"$elemMatch": {"$eq": 1}}},
    {"a": {"$all": []}},
    {"a": {"$all": [1, 2]}},
    {"a": {"$all": [[1]]}},
    {"a": {"$all": [None]}},
    {"a": {"$all": [{"$elemMatch": {"b": 1}}, {"$elemMatch": {"b": 2}}]}},
    {"a": {"$all": [{"$regex": "^a"}, "ab"]}},
    {"a": {"$not": {"$gt": 1}}},
    {"a": {"$not": {"$gt": 0, "$lt": 2}}},
    {"a": {"$not": {"$regex": "^a"}}},
    {"a": {"$not": {"$size": 1}}},
    {"a": {"$not": {"$exists": True}}},
    {"a": {"$not": {"$not": {"$eq": 1}}}},
    {"a": {"$not": {"$all": [1]}}},
    {"a": {"$not": {"$elemMatch": {"b": 1}}}},
    {"a": 1, "b": 1},
    {"$or": [{"a": 1}, {"b": 1}]},
    {"$nor": [{"a": 1}, {"b": 1}]},
    {"$and": [{"a": 1}, {"$or": [{"b": 1}, {"b": None}]}]},
    {"$nor": [{"$nor": [{"a": 1}]}]},
    {"__proto__": 1},
    {"constructor.prototype": 2},
    {"_id": {"$exists": True}},
)
