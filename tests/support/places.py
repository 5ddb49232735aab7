"""Generated geometries, texts and conditions on them, close enough together to meet often."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

# Round numbers make edges and corners coincide; the others are around the date line and the poles.
LONGITUDES = st.sampled_from((-180, -179, -10, -1, 0, 0.5, 1, 2, 10, 120.25, 179, 180))
LATITUDES = st.sampled_from((-90, -89, -10, -1, 0, 0.5, 1, 2, 10, 39.9, 89, 90))
positions = st.tuples(LONGITUDES, LATITUDES).map(list)


def _geometry(kind: str, coordinates: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return coordinates.map(lambda found: {"type": kind, "coordinates": found})


points = _geometry("Point", positions)
lines = _geometry("LineString", st.lists(positions, min_size=2, max_size=4))


def _square(corner: list[float], side: float) -> list[Any]:
    west, south = corner
    east, north = west + side, south + side
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


_corners = st.tuples(
    st.sampled_from((-20, -1, 0, 1, 5, 160)), st.sampled_from((-30, -1, 0, 1, 5, 60))
).map(list)
_squares = st.builds(_square, _corners, st.sampled_from((1, 2, 10, 20)))
_triangles = st.lists(positions, min_size=3, max_size=5).map(lambda ring: [*ring, ring[0]])
_rings = st.one_of(_squares, _squares, _triangles)
polygons = _geometry("Polygon", st.lists(_rings, min_size=1, max_size=2))
geometries = st.one_of(
    points,
    points,
    lines,
    polygons,
    _geometry("MultiPoint", st.lists(positions, max_size=3)),
    _geometry("MultiPolygon", st.lists(st.lists(_rings, min_size=1, max_size=1), max_size=2)),
)
#: What may stand where a place is looked for: none at all, too.
places = st.one_of(
    geometries,
    geometries,
    st.lists(points, max_size=3),
    st.sampled_from([None, 5, "Point", [1, 2], {}, {"type": "Point"}, {"type": "Point", "x": [1]}]),
)

distances = st.sampled_from((0, 1, 1e3, 2e5, 1e6, 5e6, 1.5e7))
nears = st.builds(
    lambda point, bounds: {"$near": {"$geometry": point, **bounds}},
    points,
    st.fixed_dictionaries({}, optional={"$maxDistance": distances, "$minDistance": distances}),
)
_boxes = st.tuples(positions, positions).map(
    lambda two: [[two[0][0], min(two[0][1], two[1][1])], [two[1][0], max(two[0][1], two[1][1])]]
)
regions = st.one_of(
    polygons.map(lambda shape: {"$geoWithin": {"$geometry": shape}}),
    _boxes.map(lambda box: {"$geoWithin": {"$box": box}}),
    st.tuples(positions, st.sampled_from((0, 0.01, 0.2, 1.0, 2.5, 3.14))).map(
        lambda cap: {"$geoWithin": {"$centerSphere": list(cap)}}
    ),
    geometries.map(lambda shape: {"$geoIntersects": {"$geometry": shape}}),
)

WORDS = (
    "tea",
    "Tee",
    "café",
    "CAFE",
    "iPhone",
    "手机",
    "小程序",
    "程序",
    "序",
    "小",
    "好用",
    "가나다",
    "ไทย",
    "x1",
)
_joints = st.sampled_from((" ", " ", "", "-", "，", ", ", "。", "_", "\n"))
texts = st.lists(st.tuples(st.sampled_from(WORDS), _joints), max_size=6).map(
    lambda parts: "".join(word + joint for word, joint in parts)
)
_quoted = texts.map(lambda text: f'"{text}"')
searches = st.lists(
    st.tuples(st.sampled_from(("", "", "-")), st.one_of(st.sampled_from(WORDS), texts, _quoted)),
    max_size=4,
).map(lambda terms: " ".join(sign + term for sign, term in terms))
