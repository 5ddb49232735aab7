"""Points and arcs on the unit sphere, as vectors: no date line and no poles to take care of.

Angles are in radians. An arc is the shorter way between two points that are not opposite each
other. What is closer than `EPSILON` touches.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import asin, atan2, cos, hypot, pi, radians, sin, sqrt
from typing import Final, TypeAlias

Vector: TypeAlias = tuple[float, float, float]
#: Least and greatest of each coordinate: x, x, y, y, z, z.
Box: TypeAlias = tuple[float, float, float, float, float, float]

#: What counts as touching: some 0.6 mm on the Earth, far above what doubles lose.
EPSILON: Final = 1e-10


def vector(longitude: float, latitude: float) -> Vector:
    """The point at these degrees."""
    around, up = radians(longitude), radians(latitude)
    flat = cos(up)
    return flat * cos(around), flat * sin(around), sin(up)


def dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def scaled(a: Vector, factor: float) -> Vector:
    return a[0] * factor, a[1] * factor, a[2] * factor


def unit(a: Vector) -> Vector | None:
    """The direction of `a`; None where it has none to speak of."""
    length = hypot(*a)
    return scaled(a, 1 / length) if length > EPSILON else None


def mean(points: Iterable[Vector]) -> Vector | None:
    """The middle of points; None where they balance each other."""
    xs, ys, zs = zip(*points, strict=True)
    return unit((sum(xs), sum(ys), sum(zs)))


def angle(a: Vector, b: Vector) -> float:
    """How far apart two points are, exact for near ones and opposite ones too."""
    ax, ay, az = a
    bx, by, bz = b
    off = hypot(ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)
    return atan2(off, ax * bx + ay * by + az * bz)


def angle_to_arc(p: Vector, a: Vector, b: Vector) -> float:
    """How far a point is from the nearest point of an arc."""
    normal = unit(cross(a, b))
    if normal is None:
        return min(angle(p, a), angle(p, b))
    if dot(cross(normal, a), p) >= 0 and dot(cross(b, normal), p) >= 0:
        return abs(asin(max(-1.0, min(1.0, dot(p, normal)))))
    return min(angle(p, a), angle(p, b))


def arcs_meet(a: Vector, b: Vector, c: Vector, d: Vector) -> bool:
    """Whether two arcs have a point in common, an end included."""
    one, other = unit(cross(a, b)), unit(cross(c, d))
    if one is None or other is None:  # no more than a point
        return angle_to_arc(a, c, d) <= EPSILON or angle_to_arc(c, a, b) <= EPSILON
    if same_side(one, c, d) or same_side(other, a, b):
        return False
    # Where the great circles cross, once on each side of the globe; all along, where they are one.
    crossing = unit(cross(one, other))
    if crossing is not None:
        for point in (crossing, scaled(crossing, -1)):
            if angle_to_arc(point, a, b) <= EPSILON and angle_to_arc(point, c, d) <= EPSILON:
                return True
    ends = ((c, a, b), (d, a, b), (a, c, d), (b, c, d))
    return any(angle_to_arc(end, start, stop) <= EPSILON for end, start, stop in ends)


def same_side(normal: Vector, c: Vector, d: Vector) -> bool:
    """Whether an arc lies wholly on one side of a great circle, without touching it."""
    side, other = dot(normal, c), dot(normal, d)
    return (side > EPSILON and other > EPSILON) or (side < -EPSILON and other < -EPSILON)


# -- boxes -----------------------------------------------------------------------------------------


def cap_box(center: Vector, radius: float) -> Box:
    """The box around all points within `radius` of a point."""
    x, y, z = center
    bounds: list[float] = []
    for coordinate, rest in ((x, hypot(y, z)), (y, hypot(z, x)), (z, hypot(x, y))):
        off = atan2(rest, coordinate)  # not acos, which is blind near the axis
        bounds.append(cos(min(pi, off + radius)) - EPSILON)
        bounds.append(cos(max(0.0, off - radius)) + EPSILON)
    return bounds[0], bounds[1], bounds[2], bounds[3], bounds[4], bounds[5]


def points_box(points: Iterable[Vector], beyond: float = EPSILON) -> Box:
    """The box around points, and `beyond` more on every side."""
    xs, ys, zs = zip(*points, strict=True)
    return (
        min(xs) - beyond,
        max(xs) + beyond,
        min(ys) - beyond,
        max(ys) + beyond,
        min(zs) - beyond,
        max(zs) + beyond,
    )


def arc_box(a: Vector, b: Vector) -> Box:
    # An arc is nowhere further from the straight line between its ends than in its middle.
    sagitta = 1 - sqrt(max(0.0, (1 + dot(a, b)) / 2))
    return points_box((a, b), sagitta + EPSILON)


def union(boxes: Iterable[Box]) -> Box:
    columns = list(zip(*boxes, strict=True))
    return (
        min(columns[0]),
        max(columns[1]),
        min(columns[2]),
        max(columns[3]),
        min(columns[4]),
        max(columns[5]),
    )


def overlap(a: Box, b: Box) -> bool:
    return (
        a[0] <= b[1]
        and b[0] <= a[1]
        and a[2] <= b[3]
        and b[2] <= a[3]
        and a[4] <= b[5]
        and b[4] <= a[5]
    )
