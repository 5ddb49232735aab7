"""GeoJSON geometries (RFC 7946, section 3.1): whether a value is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_MAX_GEOMETRIES_DEPTH: Final = 4


def geometry_fault(value: Any) -> str | None:
    """None where `value` is a geometry, else what is wrong with it, in words.

    Positions are `[longitude, latitude]` with an optional altitude, in degrees of WGS 84:
    longitude -180 to 180, latitude -90 to 90.
    """
    return _fault(value, _MAX_GEOMETRIES_DEPTH)


def _fault(value: Any, depth: int) -> str | None:
    if type(value) is not dict or type(value.get("type")) is not str:
        return "must be a GeoJSON geometry"
    kind = value["type"]
    if kind == "GeometryCollection":
        return _collection_fault(value.get("geometries"), depth)
    check = _SHAPES.get(kind)
    if check is None:
        return "must be a GeoJSON geometry: its `type` is not one"
    if not check(value.get("coordinates")):
        return f"must be a GeoJSON geometry: these are not the coordinates of a {kind}"
    return None


def _collection_fault(items: Any, depth: int) -> str | None:
    if type(items) is not list or not depth:
        return "must be a GeoJSON geometry: `geometries` is a list"
    return next((fault for item in items if (fault := _fault(item, depth - 1))), None)


def _is_number(value: Any, bound: float) -> bool:
    return type(value) in (int, float) and -bound <= value <= bound


def _is_position(value: Any) -> bool:
    return (
        type(value) is list
        and 2 <= len(value) <= 3
        and _is_number(value[0], 180)
        and _is_number(value[1], 90)
        and all(_is_number(one, float("inf")) for one in value[2:])
    )


def _list_of(check: Callable[[Any], bool], least: int) -> Callable[[Any], bool]:
    return lambda value: (
        type(value) is list and len(value) >= least and all(check(one) for one in value)
    )


_is_line: Final = _list_of(_is_position, 2)
_is_open_ring: Final = _list_of(_is_position, 4)


def _is_ring(value: Any) -> bool:
    return _is_open_ring(value) and value[0] == value[-1]


_SHAPES: Final[dict[str, Callable[[Any], bool]]] = {
    "Point": _is_position,
    "MultiPoint": _list_of(_is_position, 0),
    "LineString": _is_line,
    "MultiLineString": _list_of(_is_line, 0),
    "Polygon": _list_of(_is_ring, 1),
    "MultiPolygon": _list_of(_list_of(_is_ring, 1), 0),
}
