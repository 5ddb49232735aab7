"""`$geoNear`: documents by their distance, which it writes into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from baas.errors import invalid
from baas.query.aggregate.model import Distance, Limit, Match, SortBy
from baas.query.aggregate.operands import Stages, integer, members
from baas.query.ast import BY_ID, Field, Filter, Geo, SortKey, both
from baas.query.parse import parse_path
from baas.query.parse_geo import read_near

_MEMBERS: Final = (
    *("near", "distanceField", "key", "maxDistance", "minDistance", "query", "limit"),
    *("distanceMultiplier", "includeLocs", "spherical"),
)
#: `near`, `distanceField` and `key` are needed; a collection may have several places.
_NEEDED: Final = 3
#: A distance in any unit stays a number that documents can hold.
_LARGEST_FACTOR: Final = 1e9


def geo_near(raw: Any, where: str, parse_query: Callable[[Any, str], Filter]) -> Stages:
    """As a `$match` with `$near`, a `$limit`, and the distances in metres times
    `distanceMultiplier`; `includeLocs` names where the place goes that was nearest."""
    members(raw, where, _MEMBERS, _NEEDED)
    if raw.get("spherical", True) is not True:
        raise invalid(f"{where}.spherical", "only true: distances are those on the globe")
    path = parse_path(raw["key"], f"{where}.key")
    bounds = {f"${name}": raw[name] for name in ("maxDistance", "minDistance") if name in raw}
    near = read_near({"$geometry": raw["near"], **bounds}, where)
    key = SortKey(path, near=near)
    query = parse_query(raw.get("query", {}), f"{where}.query")
    places = raw.get("includeLocs")
    distance = Distance(
        where=where,
        key=key,
        target=parse_path(raw["distanceField"], f"{where}.distanceField"),
        factor=_factor(raw.get("distanceMultiplier", 1), f"{where}.distanceMultiplier"),
        place=None if places is None else parse_path(places, f"{where}.includeLocs"),
    )
    match = Match(where=where, filter=both(Field(path, Geo(near)), query))
    found: Stages = (match, SortBy(where=where, sort=(key, *BY_ID)))
    if "limit" in raw:
        found += (Limit(where=where, count=integer(raw["limit"], f"{where}.limit", 1)),)
    return (*found, distance)


def _factor(raw: Any, where: str) -> float:
    if type(raw) not in (int, float) or not 0 <= raw <= _LARGEST_FACTOR:
        raise invalid(where, "must be a number, 0 to 1e9")
    return float(raw)
