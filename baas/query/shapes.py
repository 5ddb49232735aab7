"""GeoJSON geometries (RFC 7946) as shapes on the sphere: points, lines and polygons as vectors.

Edges are arcs of great circles, as in MongoDB's 2dsphere: a polygon's edge along a parallel bends
towards the pole. A polygon lies within half of the globe, on the side of its vertices' middle;
seen from there (gnomonic projection) its edges are straight, so what is inside is a question of the
plane. The date line and the poles are points like all others.

What lies on an edge is inside, and holes leave their edges in.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Final, TypeAlias

import msgspec

from baas.query import sphere
from baas.query.sphere import EPSILON, Box, Vector, angle, angle_to_arc, cross, dot
from baas.schema.geojson import geometry_fault

Arc: TypeAlias = tuple[Vector, Vector]
Spot: TypeAlias = tuple[float, float]
Ring: TypeAlias = tuple[Vector, ...]

#: Positions of one geometry of a document; one with more is in no place, and never found.
MAX_POSITIONS: Final = 10_000
_NUMBERS: Final = (int, float)
#: Every vertex of a polygon is nearer to their middle than a quarter of the globe, by about 0.06
#: degrees: so near to it the projection goes to infinity.
_LEAST_COSINE: Final = 1e-3


class Polygon(msgspec.Struct, frozen=True):
    """`rings`, the outer one first, each with its first vertex again at its end; `flat` is the same
    in the plane that touches the globe at `middle`, with `east` and `north` as its axes."""

    rings: tuple[Ring, ...]
    flat: tuple[tuple[Spot, ...], ...]
    middle: Vector
    east: Vector
    north: Vector
    radius: float


class Shape(msgspec.Struct, frozen=True):
    """What geometries come down to. `lines` are chains of arcs."""

    points: tuple[Vector, ...] = ()
    lines: tuple[tuple[Vector, ...], ...] = ()
    polygons: tuple[Polygon, ...] = ()


# -- from GeoJSON ----------------------------------------------------------------------------------


class NoShape(ValueError):
    """Why a value is no geometry, in words."""


class TooManyPositions(NoShape):
    pass


def shape_of(value: Any) -> Shape | None:
    """The shape of a document's value; None where it is none that can be found."""
    if type(value) is not dict:
        return None
    if (point := point_of(value)) is not None:
        return Shape(points=(point,))
    try:
        return read_shape(value)
    except NoShape:
        return None


def point_of(value: Any) -> Vector | None:
    """The place of a GeoJSON point, which most geometries are; None for anything else."""
    if type(value) is not dict or value.get("type") != "Point":
        return None
    position: Any = value.get("coordinates")
    if type(position) is not list or len(position) != 2:  # with an altitude, or none at all
        return None if geometry_fault(value) else sphere.vector(position[0], position[1])
    longitude, latitude = position
    if type(longitude) not in _NUMBERS or type(latitude) not in _NUMBERS:
        return None
    if not (-180 <= longitude <= 180 and -90 <= latitude <= 90):
        return None
    return sphere.vector(longitude, latitude)


def read_shape(value: Any, most: int = MAX_POSITIONS) -> Shape:
    """NoShape for what is no geometry, has more than `most` positions or no place on a sphere."""
    if (fault := geometry_fault(value)) is not None:
        raise NoShape(fault)
    points: list[Vector] = []
    lines: list[tuple[Vector, ...]] = []
    polygons: list[Polygon] = []
    left = most
    for kind, coordinates in _simple(value):
        left -= _count(coordinates)
        if left < 0:
            raise TooManyPositions(f"a geometry has at most {most} positions")
        if kind == "Point":
            points.append(sphere.vector(*coordinates[:2]))
        elif kind == "LineString":
            lines.append(_line(coordinates))
        else:
            polygons.append(_polygon(coordinates))
    return Shape(tuple(points), tuple(lines), tuple(polygons))


def _simple(value: Any) -> Iterator[tuple[str, Any]]:
    """The points, lines and polygons that a geometry is made of."""
    kind = value["type"]
    if kind == "GeometryCollection":
        for item in value["geometries"]:
            yield from _simple(item)
    elif kind.startswith("Multi"):
        for coordinates in value["coordinates"]:
            yield kind.removeprefix("Multi"), coordinates
    else:
        yield kind, value["coordinates"]


def _count(coordinates: Any) -> int:
    if type(coordinates[0]) is not list:
        return 1
    return sum(map(_count, coordinates))


def _line(coordinates: Any) -> tuple[Vector, ...]:
    line = tuple(sphere.vector(*position[:2]) for position in coordinates)
    if any(dot(a, b) < 0 and sphere.unit(cross(a, b)) is None for a, b in arcs(line)):
        raise NoShape("the ends of an edge are opposite each other on the globe")
    return line


def _polygon(coordinates: Any) -> Polygon:
    rings = tuple(tuple(sphere.vector(*p[:2]) for p in ring) for ring in coordinates)
    middle = sphere.mean(rings[0][:-1])
    if middle is None or any(dot(p, middle) < _LEAST_COSINE for ring in rings for p in ring):
        raise NoShape("a polygon lies within half of the globe")
    away = (0.0, 0.0, 1.0) if abs(middle[2]) < 0.9 else (1.0, 0.0, 0.0)
    east = sphere.unit(cross(away, middle))
    assert east is not None
    north = cross(middle, east)
    # Of all rings: nothing says that the holes lie within the outer one.
    radius = max(angle(p, middle) for ring in rings for p in ring)
    bare = Polygon(rings, (), middle, east, north, radius)
    flat = tuple(tuple(project(bare, p) for p in ring) for ring in rings)
    return msgspec.structs.replace(bare, flat=flat)


def project(polygon: Polygon, p: Vector) -> Spot:
    """A point of the polygon's half of the globe, in its plane."""
    height = dot(p, polygon.middle)
    return dot(p, polygon.east) / height, dot(p, polygon.north) / height


# -- parts -----------------------------------------------------------------------------------------


def arcs(chain: tuple[Vector, ...]) -> Iterator[Arc]:
    return pairwise(chain)


def edges(shape: Shape) -> Iterator[Arc]:
    """Every arc of lines and of rings."""
    for line in shape.lines:
        yield from arcs(line)
    for polygon in shape.polygons:
        for ring in polygon.rings:
            yield from arcs(ring)


def box_of(shape: Shape) -> Box | None:
    """A box in space around it; None for an empty shape."""
    boxes = [sphere.points_box(shape.points)] if shape.points else []
    boxes += [sphere.arc_box(a, b) for line in shape.lines for a, b in arcs(line)]
    boxes += [sphere.cap_box(one.middle, one.radius) for one in shape.polygons]
    return sphere.union(boxes) if boxes else None


# -- points against shapes -------------------------------------------------------------------------


def covers(polygon: Polygon, p: Vector, *, open: bool = False) -> bool:
    """Whether a point lies in a polygon; its edges belong to it, unless `open`."""
    if dot(p, polygon.middle) < _LEAST_COSINE:
        return False
    return flat_covers(polygon.flat, project(polygon, p), open=open)


def flat_covers(rings: tuple[tuple[Spot, ...], ...], spot: Spot, *, open: bool = False) -> bool:
    outer = _side(rings[0], spot)
    if outer <= 0:
        return outer == 0 and not open
    for hole in rings[1:]:
        side = _side(hole, spot)
        if side == 0:
            return not open
        if side > 0:
            return False
    return True


def _side(ring: tuple[Spot, ...], spot: Spot) -> int:
    """1 inside, 0 on an edge, -1 outside; rings that cross themselves by the even-odd rule."""
    x, y = spot
    touch = EPSILON * (1 + x * x + y * y)
    low, high = y - touch, y + touch
    inside = False
    ax, ay = ring[0]
    for bx, by in ring[1:]:
        if not ((ay < low and by < low) or (ay > high and by > high)):
            if min(ax, bx) - touch <= x <= max(ax, bx) + touch:
                turn = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
                if abs(turn) <= touch * max(abs(bx - ax) + abs(by - ay), touch):
                    return 0
            if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                inside = not inside
        ax, ay = bx, by
    return 1 if inside else -1


def distance(shape: Shape, p: Vector) -> float | None:
    """The angle to the nearest point of a shape; 0 within a polygon, None for an empty shape."""
    if any(covers(polygon, p) for polygon in shape.polygons):
        return 0.0
    return min(_distances(shape, p), default=None)


def _distances(shape: Shape, p: Vector) -> Iterable[float]:
    for point in shape.points:
        yield angle(p, point)
    for a, b in edges(shape):
        yield angle_to_arc(p, a, b)
