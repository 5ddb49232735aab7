"""The operands of `$near`, `$geoWithin` and `$geoIntersects` as regions."""

from __future__ import annotations

from math import inf, pi
from typing import Any, Final

from baas.errors import invalid
from baas.query.geo import EARTH_RADIUS, InBox, InCap, InPolygons, Meets, Near
from baas.query.hint import unknown
from baas.query.limits import MAX_GEO_POSITIONS, exceeded
from baas.query.shapes import NoShape, Shape, TooManyPositions, read_shape
from baas.query.sphere import Vector, vector
from baas.schema.admit import shown

_NEAR: Final = ("$geometry", "$maxDistance", "$minDistance")
_WITHIN: Final = ("$geometry", "$centerSphere", "$box")
#: Half of the Earth's circumference: nothing is further away.
_FARTHEST: Final = pi * EARTH_RADIUS


def read_near(raw: object, where: str) -> Near:
    """`{$geometry: point, $maxDistance?, $minDistance?}`, distances in metres."""
    if type(raw) is not dict:
        raise invalid(where, 'takes {"$geometry": {"type": "Point", ...}, "$maxDistance": metres}')
    _check_names(raw, _NEAR, where)
    spot = f"{where}.$geometry"
    shape = _shape(raw.get("$geometry"), spot)
    if len(shape.points) != 1 or shape.lines or shape.polygons:
        raise invalid(spot, "must be a Point")
    most = raw.get("$maxDistance")
    return Near(
        shape.points[0],
        _distance(raw.get("$minDistance", 0), f"{where}.$minDistance"),
        None if most is None else _distance(most, f"{where}.$maxDistance"),
    )


def read_within(raw: object, where: str) -> InPolygons | InCap | InBox:
    """One of `$geometry` (polygons), `$centerSphere` (radians) and `$box` (degrees)."""
    if type(raw) is not dict or len(raw) != 1:
        raise invalid(where, f"takes an object with one of {', '.join(_WITHIN)}")
    _check_names(raw, _WITHIN, where)
    name, operand = next(iter(raw.items()))
    spot = f"{where}.{name}"
    if name == "$centerSphere":
        return _cap(operand, spot)
    if name == "$box":
        return _box(operand, spot)
    shape = _shape(operand, spot)
    if shape.points or shape.lines or not shape.polygons:
        raise invalid(spot, "must be a Polygon or a MultiPolygon")
    return InPolygons(shape)


def read_intersects(raw: object, where: str) -> Meets:
    """`{$geometry: any geometry}`."""
    if type(raw) is not dict or raw.keys() != {"$geometry"}:
        raise invalid(where, 'takes {"$geometry": ...}')
    return Meets(_shape(raw["$geometry"], f"{where}.$geometry"))


def _check_names(raw: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in raw:
        if name not in known:
            raise invalid(where, unknown("member", shown(name).strip("'\""), known))


def _shape(raw: object, where: str) -> Shape:
    """LIMIT_EXCEEDED for too many positions."""
    try:
        shape = read_shape(raw, MAX_GEO_POSITIONS)
    except TooManyPositions as fault:
        raise exceeded(where, str(fault)) from None
    except NoShape as fault:
        raise invalid(where, str(fault)) from None
    if shape == Shape():
        raise invalid(where, "must not be empty")
    return shape


def _distance(raw: object, where: str) -> float:
    if type(raw) not in (int, float) or not 0 <= raw < inf:  # type: ignore[operator]
        raise invalid(where, "must be a number of metres from 0 on")
    # The lesser one first: an integer may be too large for a float.
    return float(min(raw, _FARTHEST))  # type: ignore[call-overload]


def _cap(raw: object, where: str) -> InCap:
    if type(raw) is not list or len(raw) != 2:
        raise invalid(where, "takes [[longitude, latitude], radius in radians]")
    radius = raw[1]
    if type(radius) not in (int, float) or not 0 <= radius <= pi:
        raise invalid(f"{where}.1", "the radius is in radians, 0 to pi: metres / 6378100")
    return InCap(_place(raw[0], f"{where}.0"), float(radius))


def _box(raw: object, where: str) -> InBox:
    if type(raw) is not list or len(raw) != 2:
        raise invalid(where, "takes [[west, south], [east, north]] in degrees")
    for position, corner in enumerate(raw):
        _place(corner, f"{where}.{position}")
    (west, south), (east, north) = raw
    if south > north:
        raise invalid(where, "the first corner is the south-western one")
    return InBox(float(west), float(south), float(east), float(north))


def _place(raw: object, where: str) -> Vector:
    if type(raw) is not list or len(raw) != 2 or not all(map(_in_degrees, raw, (180, 90))):
        raise invalid(where, "must be [longitude, latitude] in degrees, within +-180 and +-90")
    return vector(raw[0], raw[1])


def _in_degrees(value: object, bound: float) -> bool:
    return type(value) in (int, float) and -bound <= value <= bound  # type: ignore[operator]
