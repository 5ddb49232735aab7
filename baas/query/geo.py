"""What geographic conditions mean for one value of a document: a GeoJSON geometry, or not found.

`Near` is a distance from a point; `InPolygons`, `InCap` and `InBox` hold of what lies wholly inside
them, `Meets` of what has a point in common. Distances are metres on a sphere of `EARTH_RADIUS`, the
one that MongoDB's 2dsphere has.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import cos, pi, radians, sin
from typing import Any, Final, TypeAlias

import msgspec

from baas.query import shapes, sphere
from baas.query.patterns import ask_clock
from baas.query.shapes import Polygon, Shape, Spot, covers, edges, point_of, shape_of
from baas.query.sphere import EPSILON, Box, Vector, angle, angle_to_arc

#: Metres; the equatorial radius that MongoDB uses too.
EARTH_RADIUS: Final = 6_378_100.0
#: What one comparison of two edges may take, for the clock.
_SECONDS_PER_PAIR: Final = 1e-6


class Near(msgspec.Struct, frozen=True, tag=True):
    """Between `least` and `most` metres, both included, from `point`; `most` None: no bound."""

    point: Vector
    least: float = 0.0
    most: float | None = None


class InPolygons(msgspec.Struct, frozen=True, tag=True):
    """Every part of the geometry lies in one of the polygons of `shape`."""

    shape: Shape


class InCap(msgspec.Struct, frozen=True, tag=True):
    """No point of the geometry is further from `center` than `radius` radians."""

    center: Vector
    radius: float


class InBox(msgspec.Struct, frozen=True, tag=True):
    """Every position lies between two longitudes and two latitudes, in degrees, as on a flat map;
    across the date line where `west` is greater than `east`."""

    west: float
    south: float
    east: float
    north: float


class Meets(msgspec.Struct, frozen=True, tag=True):
    """The geometry and `shape` have a point in common."""

    shape: Shape


Region: TypeAlias = Near | InPolygons | InCap | InBox | Meets


def holds(region: Region, value: Any) -> bool:
    """Whether a document's value is a geometry of which the condition holds. OutOfTime, as of
    `distance`: it may have thousands of positions, and so may the next one."""
    ask_clock(0.0)
    return type(value) is dict and _HOLDS[type(region)](region, value)


def distance(near: Near, value: Any) -> float | None:
    """Metres from the point, where the condition holds; else None."""
    ask_clock(0.0)
    metres = _metres(near.point, value)
    if metres is None or metres < near.least:
        return None
    return metres if near.most is None or metres <= near.most else None


def _metres(point: Vector, value: Any) -> float | None:
    if (place := point_of(value)) is not None:
        return angle(point, place) * EARTH_RADIUS
    shape = shape_of(value)
    found = None if shape is None else shapes.distance(shape, point)
    return None if found is None else found * EARTH_RADIUS


def _near(region: Near, value: Any) -> bool:
    return distance(region, value) is not None


# -- within ----------------------------------------------------------------------------------------


def _in_polygons(region: InPolygons, value: Any) -> bool:
    polygons = region.shape.polygons
    if (point := point_of(value)) is not None:
        return any(covers(polygon, point) for polygon in polygons)
    shape = shape_of(value)
    return (
        shape is not None
        and shape != Shape()
        and all(any(covers(outer, point) for outer in polygons) for point in shape.points)
        and all(any(_line_in(line, outer) for outer in polygons) for line in shape.lines)
        and all(any(_polygon_in(one, outer) for outer in polygons) for one in shape.polygons)
    )


def _polygon_in(inner: Polygon, outer: Polygon) -> bool:
    if not all(_line_in(ring, outer) for ring in inner.rings):
        return False
    # No edge of it enters a hole, so each hole is wholly in it or wholly outside.
    return not any(
        covers(inner, _lifted(_inner_spot(hole), outer), open=True) for hole in outer.flat[1:]
    )


def _line_in(line: tuple[Vector, ...], polygon: Polygon) -> bool:
    if not all(covers(polygon, point) for point in line):
        return False
    rings = [(c, d) for ring in polygon.flat for c, d in pairwise(ring)]
    flat = [shapes.project(polygon, point) for point in line]
    for a, b in pairwise(flat):
        ask_clock(len(rings) * _SECONDS_PER_PAIR)
        if not _edge_in(a, b, rings, polygon):
            return False
    return True


def _edge_in(a: Spot, b: Spot, rings: list[tuple[Spot, Spot]], polygon: Polygon) -> bool:
    """Both ends are inside; so is all between them, if the middle of each piece is that the rings
    cut it into."""
    cuts = {0.0, 1.0}
    for c, d in rings:
        cuts.update(_cuts(a, b, c, d))
    places = sorted(cuts)
    for start, stop in pairwise(places):
        middle = (start + stop) / 2
        spot = a[0] + (b[0] - a[0]) * middle, a[1] + (b[1] - a[1]) * middle
        if not shapes.flat_covers(polygon.flat, spot):
            return False
    return True


def _cuts(a: Spot, b: Spot, c: Spot, d: Spot) -> tuple[float, ...]:
    """Where `cd` meets `ab`, as fractions of the way from `a` to `b`."""
    rx, ry, sx, sy = b[0] - a[0], b[1] - a[1], d[0] - c[0], d[1] - c[1]
    turn = rx * sy - ry * sx
    if turn == 0:
        # Side by side: the ends of the other edge may lie on this one.
        length = rx * rx + ry * ry
        if length == 0:
            return ()
        places = [((p[0] - a[0]) * rx + (p[1] - a[1]) * ry) / length for p in (c, d)]
        return tuple(place for place in places if 0 < place < 1)
    place = ((c[0] - a[0]) * sy - (c[1] - a[1]) * sx) / turn
    other = ((c[0] - a[0]) * ry - (c[1] - a[1]) * rx) / turn
    return (place,) if 0 < place < 1 and -EPSILON <= other <= 1 + EPSILON else ()


def _inner_spot(ring: tuple[Spot, ...]) -> Spot:
    """A point inside a ring: in the middle of a stretch of a level that meets no vertex."""
    levels = sorted({y for _, y in ring})
    y = (levels[0] + levels[1]) / 2 if len(levels) > 1 else levels[0]
    xs = sorted(
        (bx - ax) * (y - ay) / (by - ay) + ax
        for (ax, ay), (bx, by) in pairwise(ring)
        if (ay > y) != (by > y)
    )
    return ((xs[0] + xs[1]) / 2, y) if len(xs) > 1 else ring[0]


def _lifted(spot: Spot, polygon: Polygon) -> Vector:
    x, y = spot
    point = tuple(
        m + x * e + y * n
        for m, e, n in zip(polygon.middle, polygon.east, polygon.north, strict=True)
    )
    found = sphere.unit((point[0], point[1], point[2]))
    assert found is not None
    return found


def _in_cap(region: InCap, value: Any) -> bool:
    center, most = region.center, region.radius + EPSILON
    if (point := point_of(value)) is not None:
        return angle(center, point) <= most
    shape = shape_of(value)
    if shape is None or shape == Shape():
        return False
    opposite = sphere.scaled(center, -1.0)
    return (
        all(angle(center, point) <= most for point in shape.points)
        # The point of an arc that is farthest from the center is nearest to its opposite.
        and all(pi - angle_to_arc(opposite, a, b) <= most for a, b in edges(shape))
        and (most >= pi or not any(covers(one, opposite) for one in shape.polygons))
    )


def _in_box(region: InBox, value: Any) -> bool:
    if shape_of(value) is None:
        return False
    found = list(_positions(value))
    return bool(found) and all(_in_degrees(region, position) for position in found)


def _in_degrees(box: InBox, position: Any) -> bool:
    longitude, latitude = position[0], position[1]
    if not box.south <= latitude <= box.north:
        return False
    if box.west <= box.east:
        return bool(box.west <= longitude <= box.east)
    return bool(longitude >= box.west or longitude <= box.east)


def _positions(value: Any) -> list[Any]:
    if "geometries" in value:
        return [position for item in value["geometries"] for position in _positions(item)]
    return _flattened(value["coordinates"])


def _flattened(coordinates: Any) -> list[Any]:
    if coordinates and type(coordinates[0]) is not list:
        return [coordinates]
    return [position for item in coordinates for position in _flattened(item)]


# -- intersects ------------------------------------------------------------------------------------


def _meets(region: Meets, value: Any) -> bool:
    shape = shape_of(value)
    if shape is None:
        return False
    mine, other = shapes.box_of(region.shape), shapes.box_of(shape)
    if mine is None or other is None or not sphere.overlap(mine, other):
        return False
    return (
        any(_touches(shape, point) for point in _anchors(region.shape))
        or any(_touches(region.shape, point) for point in _anchors(shape))
        or _edges_meet(_edges_near(region.shape, other), _edges_near(shape, mine))
    )


def _anchors(shape: Shape) -> list[Vector]:
    """A point of each connected part: where no edges meet, it decides."""
    firsts = [line[0] for line in shape.lines]
    return [*shape.points, *firsts, *(polygon.rings[0][0] for polygon in shape.polygons)]


def _touches(shape: Shape, point: Vector) -> bool:
    found = shapes.distance(shape, point)
    return found is not None and found <= EPSILON


#: Both ends, and the direction that the great circle turns around; any one for an arc too short.
_Edge: TypeAlias = tuple[Vector, Vector, Vector]
_ANY: Final[Vector] = (0.0, 0.0, 0.0)


def _edges_near(shape: Shape, box: Box) -> list[_Edge]:
    return [
        (a, b, sphere.unit(sphere.cross(a, b)) or _ANY)
        for a, b in edges(shape)
        if sphere.overlap(sphere.arc_box(a, b), box)
    ]


def _edges_meet(one: list[_Edge], other: list[_Edge]) -> bool:
    for a, b, normal in one:
        ask_clock(len(other) * _SECONDS_PER_PAIR)
        for c, d, turned in other:
            # Most pairs: one of them lies wholly on one side of the other.
            if sphere.same_side(normal, c, d) or sphere.same_side(turned, a, b):
                continue
            if sphere.arcs_meet(a, b, c, d):
                return True
    return False


_HOLDS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    Near: _near,
    InPolygons: _in_polygons,
    InCap: _in_cap,
    InBox: _in_box,
    Meets: _meets,
}


# -- for indexes -----------------------------------------------------------------------------------


def search_box(region: Region) -> Box | None:
    """A box that the box of every geometry meets of which the condition holds; None: no bound."""
    if isinstance(region, Near):
        if region.most is None:
            return None
        return sphere.cap_box(region.point, min(pi, region.most / EARTH_RADIUS + EPSILON))
    if isinstance(region, InCap):
        return sphere.cap_box(region.center, min(pi, region.radius + EPSILON))
    if isinstance(region, InBox):
        return _degrees_box(region)
    return shapes.box_of(region.shape)


def _degrees_box(box: InBox) -> Box:
    stretch = (box.east - box.west) % 360 if box.west > box.east else box.east - box.west
    flat = _cosines(box.south, box.north - box.south)
    x = _product(flat, _cosines(box.west, stretch))
    y = _product(flat, _cosines(box.west - 90, stretch))
    return (*x, *y, sin(radians(box.south)) - EPSILON, sin(radians(box.north)) + EPSILON)


def _cosines(start: float, stretch: float) -> tuple[float, float]:
    """The least and the greatest cosine between two angles, in degrees."""
    ends = (cos(radians(start)), cos(radians(start + stretch)))
    least = -1.0 if (180 - start) % 360 <= stretch else min(ends)
    return least, 1.0 if -start % 360 <= stretch else max(ends)


def _product(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    found = [a * b for a in one for b in other]
    return min(found) - EPSILON, max(found) + EPSILON
