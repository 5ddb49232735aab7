"""Where things lie on the globe: distances that are known, and the shapes that are hard."""

from __future__ import annotations

from math import pi
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.query import geo
from baas.query.evaluate import matches
from baas.query.limits import MAX_GEO_POSITIONS, QueryLimits
from baas.query.near import default_sort
from baas.query.order import sort_documents, sort_values
from baas.query.parse import parse_filter
from baas.query.shapes import MAX_POSITIONS, shape_of
from baas.query.sphere import vector


def point(longitude: float, latitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def line(*positions: tuple[float, float]) -> dict[str, Any]:
    return {"type": "LineString", "coordinates": [list(one) for one in positions]}


def polygon(*rings: list[tuple[float, float]]) -> dict[str, Any]:
    closed = [[list(one) for one in [*ring, ring[0]]] for ring in rings]
    return {"type": "Polygon", "coordinates": closed}


def square(west: float, south: float, side: float) -> list[tuple[float, float]]:
    east, north = west + side, south + side
    return [(west, south), (east, south), (east, north), (west, north)]


BEIJING, SHANGHAI = point(116.4074, 39.9042), point(121.4737, 31.2304)
LONDON, PARIS = point(-0.1276, 51.5072), point(2.3522, 48.8566)
SUVA, APIA = point(178.4419, -18.1416), point(-171.7514, -13.8507)
NORTH, SOUTH = point(0, 90), point(77, -90)
#: A degree of arc in metres, on a sphere of 6,378,100 m.
DEGREE = pi * 6_378_100 / 180


def metres(one: dict[str, Any], other: dict[str, Any]) -> float:
    shape = shape_of(one)
    assert shape is not None
    found = geo.distance(geo.Near(shape.points[0]), other)
    assert found is not None
    return found


def holds(condition: dict[str, Any], value: Any) -> bool:
    filter = parse_filter({"at": condition}, QueryLimits(), now_ms=0, whole=True)
    return matches(filter, {"at": value})


def within(geometry: dict[str, Any], value: Any) -> bool:
    return holds({"$geoWithin": {"$geometry": geometry}}, value)


def meets(geometry: dict[str, Any], value: Any) -> bool:
    found = holds({"$geoIntersects": {"$geometry": geometry}}, value)
    assert holds({"$geoIntersects": {"$geometry": value}}, geometry) is found
    return found


# -- distances -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        (BEIJING, SHANGHAI, 1068),
        (LONDON, PARIS, 344),
        (SUVA, APIA, 1153),  # across the date line
        (point(0, 0), point(180, 0), 20037),
        (NORTH, SOUTH, 20037),
        (point(179.99, 0), point(-179.99, 0), 2.226),
        (point(10, 90), point(-120, 90), 0),  # the pole is one place
    ],
)
def test_distances_are_those_on_the_map(one: Any, other: Any, kilometres: float) -> None:
    assert metres(one, other) / 1000 == pytest.approx(kilometres, rel=2e-3, abs=1e-6)
    assert metres(other, one) == pytest.approx(metres(one, other), rel=1e-12)


def test_a_degree_is_a_degree_along_a_meridian() -> None:
    for latitude in (-89, -30, 0, 45, 89):
        assert metres(point(7, latitude), point(7, latitude + 1)) == pytest.approx(DEGREE)


def test_the_same_place_is_at_no_distance() -> None:
    for place in (BEIJING, SUVA, NORTH, point(-180, 12.5)):
        assert metres(place, place) == 0


def test_small_distances_are_exact() -> None:
    assert metres(point(116, 40), point(116, 40 + 1e-6)) == pytest.approx(DEGREE * 1e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "degrees"),
    [
        (line((-10, 1), (10, 1)), 1.0153),  # a great circle, which bends towards the pole
        (line((5, -10), (5, 10)), 5),
        (line((5, 0), (10, 0)), 5),
        (polygon(square(-1, -1, 2)), 0),
        (polygon(square(2, -1, 2)), 2),
        (polygon(square(-9, -9, 18), square(-1, -1, 2)), 1),
        ({"type": "MultiPoint", "coordinates": [[50, 0], [3, 0]]}, 3),
        ({"type": "GeometryCollection", "geometries": [point(9, 0), line((0, 8), (0, 7))]}, 7),
    ],
)
def test_the_distance_of_a_shape_is_that_of_its_nearest_point(value: Any, degrees: float) -> None:
    assert metres(point(0, 0), value) == pytest.approx(DEGREE * degrees, rel=1e-3, abs=1e-6)


def test_near_holds_between_its_bounds_both_included() -> None:
    there = metres(BEIJING, SHANGHAI)
    for least, most, found in [
        (0, there, True),
        (there, there + 1, True),
        (0, there - 1, False),
        (there + 1, there + 2, False),
    ]:
        bounds = {"$geometry": BEIJING, "$minDistance": least, "$maxDistance": most}
        assert holds({"$near": bounds}, SHANGHAI) is found
        assert holds({"$nearSphere": bounds}, SHANGHAI) is found


def test_near_holds_of_nothing_that_has_no_place() -> None:
    for value in (None, 5, "Point", [116, 39], {}, {"type": "Point"}, {"type": "Point", "x": [1]}):
        assert not holds({"$near": {"$geometry": BEIJING}}, value)


def test_of_several_places_any_may_be_near_and_the_nearest_counts() -> None:
    there = {"at": [SHANGHAI, BEIJING]}
    near = {"$near": {"$geometry": BEIJING, "$maxDistance": 10}}
    filter = parse_filter({"at": near}, QueryLimits(), now_ms=0, whole=True)
    assert matches(filter, there)
    assert sort_values({**there, "_id": "x"}, default_sort(filter)) == (0.0, "x")


def test_without_a_sort_the_nearest_comes_first_and_ties_go_by_id() -> None:
    near = {"at": {"$near": {"$geometry": point(0, 0), "$minDistance": 1}}}
    order = default_sort(parse_filter(near, QueryLimits(), now_ms=0, whole=True))
    places = {"b": point(3, 0), "a": point(-3, 0), "c": point(1, 0), "d": point(20, 0)}
    documents = [{"_id": id, "at": place} for id, place in places.items()]
    assert [one["_id"] for one in sort_documents(documents, order)] == ["c", "a", "b", "d"]


# -- within ----------------------------------------------------------------------------------------

CHINA_EAST = polygon([(110, 30), (125, 30), (125, 45), (110, 45)])


@pytest.mark.parametrize(
    ("region", "inside", "outside"),
    [
        (CHINA_EAST, [BEIJING, SHANGHAI], [LONDON, point(-116, 40), point(116, -40)]),
        # across the date line: the smaller side is inside, whichever way the ring goes round
        (
            polygon([(170, -20), (-170, -20), (-170, 20), (170, 20)]),
            [SUVA, point(180, 0), point(-180, 0), point(-175, 5)],
            [point(165, 0), point(-165, 0), point(0, 0)],
        ),
        (
            polygon([(170, 20), (-170, 20), (-170, -20), (170, -20)]),
            [SUVA, point(180, 0)],
            [point(0, 0)],
        ),
        # around the pole
        (
            polygon([(0, 80), (90, 80), (180, 80), (-90, 80)]),
            [NORTH, point(45, 85), point(123, 89)],
            [point(45, 79), point(45, 80.1), SOUTH],  # edges are not parallels
        ),
        # with the pole as a corner
        (polygon([(0, 0), (90, 0), (0, 90)]), [point(45, 45)], [point(-45, 45), point(45, -1)]),
        # a hole, whose edge belongs to the polygon
        (
            polygon(square(0, 0, 10), square(4, 4, 2)),
            [point(2, 2), point(4, 4), point(4, 5), point(9, 5)],
            [point(5, 5), point(11, 5)],
        ),
        # an edge along a parallel bends towards the pole
        (polygon([(0, 40), (60, 40), (60, 50), (0, 50)]), [point(30, 53)], [point(30, 41)]),
    ],
)
def test_points_within_polygons(region: Any, inside: list[Any], outside: list[Any]) -> None:
    for place in inside:
        assert within(region, place), place
        assert meets(region, place), place
    for place in outside:
        assert not within(region, place), place
        assert not meets(region, place), place


def test_what_lies_on_an_edge_or_corner_is_within() -> None:
    region = polygon(square(0, 0, 10))
    for place in (point(0, 0), point(10, 10), point(5, 0), point(0, 5), point(10, 5)):
        assert within(region, place)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (line((1, 1), (3, 9)), True),
        (line((0, 0), (10, 0)), True),  # along the edge
        (line((1, 1), (11, 9)), False),
        (line((1, 5), (9, 5)), False),  # both ends are inside, the hole lies between
        (line((4, 2), (4, 8)), True),  # along the hole
        (polygon(square(1, 1, 2)), True),
        (polygon(square(1, 1, 8)), False),  # around the hole
        (polygon(square(1, 1, 8), square(3, 3, 4)), True),  # its own hole is larger
        (polygon(square(4, 4, 2)), False),  # fills the hole exactly
        (polygon(square(8, 8, 4)), False),
        ({"type": "MultiPoint", "coordinates": [[1, 1], [2, 2]]}, True),
        ({"type": "MultiPoint", "coordinates": [[1, 1], [20, 2]]}, False),
        ({"type": "MultiPoint", "coordinates": []}, False),
        ({"type": "GeometryCollection", "geometries": [point(1, 1), line((1, 1), (2, 2))]}, True),
    ],
)
def test_shapes_within_a_polygon_with_a_hole(value: Any, found: bool) -> None:
    assert within(polygon(square(0, 0, 10), square(4, 4, 2)), value) is found


def test_each_part_may_lie_in_another_polygon() -> None:
    two = {
        "type": "MultiPolygon",
        "coordinates": [
            polygon(square(0, 0, 2))["coordinates"],
            polygon(square(5, 5, 2))["coordinates"],
        ],
    }
    assert within(two, {"type": "MultiPoint", "coordinates": [[1, 1], [6, 6]]})
    assert not within(two, line((1, 1), (6, 6)))


@pytest.mark.parametrize(
    ("cap", "value", "found"),
    [
        ([[116, 40], 1200e3 / geo.EARTH_RADIUS], SHANGHAI, True),
        ([[116, 40], 1000e3 / geo.EARTH_RADIUS], SHANGHAI, False),
        ([[0, 0], pi / 180], point(1, 0), True),
        ([[180, 0], 0.2], SUVA, False),
        ([[180, -18], 0.2], SUVA, True),
        ([[0, 90], 0.2], line((0, 80), (180, 80)), True),
        ([[0, 90], 0.2], line((0, 80), (180, 75)), False),
        ([[0, 0], 0], point(0, 0), True),
        ([[0, 0], pi], SOUTH, True),
        ([[0, 0], 3.0], line((170, 0), (-170, 0)), False),  # passes the point opposite
        ([[0, 0], 3.0], polygon([(170, -9), (-170, -9), (-170, 9), (170, 9)]), False),
        ([[0, 0], 0.5], polygon(square(-10, -10, 20)), True),
        ([[0, 0], 0.2], polygon(square(-10, -10, 20)), False),
    ],
)
def test_within_a_circle(cap: Any, value: Any, found: bool) -> None:
    assert holds({"$geoWithin": {"$centerSphere": cap}}, value) is found


@pytest.mark.parametrize(
    ("box", "value", "found"),
    [
        ([[110, 30], [125, 45]], BEIJING, True),
        ([[110, 30], [115, 45]], BEIJING, False),
        ([[110, 30], [110, 30]], point(110, 30), True),
        ([[170, -30], [-160, 0]], SUVA, True),  # across the date line
        ([[170, -30], [-160, 0]], APIA, True),
        ([[170, -30], [-160, 0]], point(0, -15), False),
        ([[0, 40], [60, 50]], point(30, 53), False),  # flat: no bending
        ([[0, 40], [60, 50]], point(30, 40), True),
        ([[0, 0], [10, 10]], line((1, 1), (9, 9)), True),
        ([[0, 0], [10, 10]], line((1, 1), (11, 9)), False),
        ([[0, 0], [10, 10]], {"type": "MultiPoint", "coordinates": []}, False),
        ([[0, 0], [10, 10]], {"type": "GeometryCollection", "geometries": [point(1, 1)]}, True),
    ],
)
def test_within_a_flat_box(box: Any, value: Any, found: bool) -> None:
    assert holds({"$geoWithin": {"$box": box}}, value) is found


# -- intersects ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (line((0, 0), (10, 10)), line((0, 10), (10, 0)), True),
        (line((0, 0), (10, 10)), line((0, 1), (9, 11)), False),
        (line((0, 0), (10, 0)), line((5, 0), (5, 5)), True),  # an end on it
        (line((0, 0), (10, 0)), line((5, 0), (20, 0)), True),  # side by side
        (line((0, 0), (10, 0)), line((11, 0), (20, 0)), False),
        (line((0, 0), (10, 10)), line((180, 0), (-170, -10)), False),  # crossing, but opposite
        (line((170, 0), (-170, 0)), line((180, -5), (180, 5)), True),
        (line((0, 80), (180, 80)), NORTH, True),  # over the pole
        (polygon(square(0, 0, 10)), polygon(square(5, 5, 10)), True),
        (polygon(square(0, 0, 10)), polygon(square(2, 2, 2)), True),  # within
        (polygon(square(0, 0, 10)), polygon(square(10, 0, 5)), True),  # a common edge
        (polygon(square(0, 0, 10)), polygon(square(10, 10, 5)), True),  # a common corner
        (polygon(square(0, 0, 10)), polygon(square(11, 0, 5)), False),
        (polygon(square(0, 0, 10), square(4, 4, 2)), polygon(square(4.5, 4.5, 1)), False),
        (polygon(square(0, 0, 10), square(4, 4, 2)), line((4.5, 4.5), (9, 9)), True),
        (point(5, 5), point(5, 5), True),
        (point(5, 5), point(5, 5.001), False),
        (point(-180, 3), point(180, 3), True),
        ({"type": "MultiPoint", "coordinates": [[50, 50], [1, 1]]}, polygon(square(0, 0, 2)), True),
    ],
)
def test_shapes_that_meet(one: Any, other: Any, found: bool) -> None:
    assert meets(one, other) is found


@pytest.mark.parametrize("metres_long", [1e-1, 1, 10, 1e3, 1e5, 5e5])
def test_shapes_of_every_size_cross_and_pass_by(metres_long: float) -> None:
    for west, south in [(0, 0), (116.4, 39.9), (179.9999999, -17), (-70, 80)]:
        side = metres_long / DEGREE
        rising = line((west, south), (_wrapped(west + side), south + side / 2))
        falling = line((west, south + side / 2), (_wrapped(west + side), south))
        beside = line((west, south + side), (_wrapped(west + side), south + side * 1.5))
        assert meets(rising, falling)
        assert not meets(rising, beside)
        assert not meets(falling, beside)


@pytest.mark.parametrize("metres_long", [1e-1, 1, 10, 1e3, 1e5, 5e5])
@pytest.mark.parametrize("south", [0, 39.9, -70, 80])
def test_areas_of_every_size_hold_what_is_in_them(metres_long: float, south: float) -> None:
    side = metres_long / DEGREE
    area = polygon(square(120, south, side), square(120 + side * 0.4, south + side * 0.4, side / 5))
    for across, up, found in [
        (0.2, 0.2, True),
        (0.8, 0.5, True),
        (0.5, 0.5, False),  # in the hole
        (1.2, 0.5, False),
        (0.5, 1.2, False),
        (-0.2, 0.5, False),
    ]:
        place = point(120 + side * across, south + side * up)
        assert within(area, place) is found
        assert meets(area, place) is found
        if found:
            assert metres(place, area) == 0
    assert within(area, polygon(square(120 + side * 0.1, south + side * 0.1, side / 10)))
    assert not within(area, polygon(square(120 + side * 0.3, south + side * 0.3, side * 0.4)))


def _wrapped(longitude: float) -> float:
    return longitude - 360 if longitude > 180 else longitude


# -- what is refused, and what is passed over ------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "path", "words"),
    [
        ({"$near": {}}, "$near.$geometry", "GeoJSON"),
        ({"$near": [1, 2]}, "$near", "$geometry"),
        ({"$near": {"$geometry": line((0, 0), (1, 1))}}, "$near.$geometry", "Point"),
        ({"$near": {"$geometry": point(181, 0)}}, "$near.$geometry", "coordinates"),
        ({"$near": {"$geometry": BEIJING, "$maxDistnce": 1}}, "$near", "did you mean"),
        ({"$near": {"$geometry": BEIJING, "$maxDistance": -1}}, "$near.$maxDistance", "metres"),
        ({"$near": {"$geometry": BEIJING, "$minDistance": True}}, "$near.$minDistance", "metres"),
        ({"$near": {"$geometry": BEIJING}, "$maxDistance": 5}, "", "inside $near"),
        ({"$geoWithin": {}}, "$geoWithin", "$geometry, $centerSphere, $box"),
        ({"$geoWithin": {"$center": [[0, 0], 1]}}, "$geoWithin", "$centerSphere"),
        ({"$geoWithin": {"$geometry": BEIJING}}, "$geoWithin.$geometry", "Polygon"),
        ({"$geoWithin": {"$centerSphere": [[0, 0], 4]}}, "$geoWithin.$centerSphere.1", "radians"),
        ({"$geoWithin": {"$centerSphere": [[0, 91], 1]}}, "$geoWithin.$centerSphere.0", "degrees"),
        ({"$geoWithin": {"$box": [[0, 5], [5, 0]]}}, "$geoWithin.$box", "south"),
        ({"$geoWithin": {"$box": [[0, 5]]}}, "$geoWithin.$box", "west"),
        ({"$geoIntersects": BEIJING}, "$geoIntersects", "$geometry"),
        (
            {"$geoIntersects": {"$geometry": polygon([(0, 0), (100, 0), (-100, 0)])}},
            "$geoIntersects.$geometry",
            "half of the globe",
        ),
        (
            {"$geoIntersects": {"$geometry": line((0, 0), (180, 0))}},
            "$geoIntersects.$geometry",
            "opposite",
        ),
        (
            {"$geoIntersects": {"$geometry": {"type": "MultiPoint", "coordinates": []}}},
            "$geoIntersects.$geometry",
            "empty",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(condition: Any, path: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        holds(condition, BEIJING)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.errors[0].path == f"filter.at.{path}".rstrip(".")
    assert words in caught.value.errors[0].message


@pytest.mark.parametrize(
    "filter",
    [
        {"$or": [{"at": {"$near": {"$geometry": BEIJING}}}, {"x": 1}]},
        {"$nor": [{"at": {"$near": {"$geometry": BEIJING}}}]},
        {"at": {"$not": {"$near": {"$geometry": BEIJING}}}},
        {"at": {"$elemMatch": {"$near": {"$geometry": BEIJING}}}},
        {"at": {"$elemMatch": {"x": {"$near": {"$geometry": BEIJING}}}}},
        {"at": {"$near": {"$geometry": BEIJING}}, "b": {"$nearSphere": {"$geometry": BEIJING}}},
    ],
)
def test_near_stands_once_and_for_the_whole_query(filter: Any) -> None:
    with pytest.raises(Problem) as caught:
        parse_filter(filter, QueryLimits(), now_ms=0, whole=True)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_a_part_of_a_query_takes_regions_but_no_near() -> None:
    region = {"at": {"$geoWithin": {"$geometry": CHINA_EAST}}}
    assert matches(parse_filter(region, QueryLimits(), now_ms=0), {"at": BEIJING})
    with pytest.raises(Problem):
        parse_filter({"at": {"$near": {"$geometry": BEIJING}}}, QueryLimits(), now_ms=0)


def test_positions_are_bounded_in_queries_and_in_documents() -> None:
    def many(count: int) -> dict[str, Any]:
        return {"type": "MultiPoint", "coordinates": [[1, 1]] * count}

    assert holds({"$geoIntersects": {"$geometry": many(MAX_GEO_POSITIONS)}}, point(1, 1))
    with pytest.raises(Problem) as caught:
        holds({"$geoIntersects": {"$geometry": many(MAX_GEO_POSITIONS + 1)}}, point(1, 1))
    assert caught.value.code is Code.LIMIT_EXCEEDED
    assert holds({"$near": {"$geometry": point(1, 1)}}, many(MAX_POSITIONS))
    assert not holds({"$near": {"$geometry": point(1, 1)}}, many(MAX_POSITIONS + 1))


def test_a_region_is_asked_of_elements_and_negated_as_any_condition() -> None:
    region = {"$geoWithin": {"$geometry": CHINA_EAST}}
    assert holds(region, [LONDON, BEIJING])
    assert holds({"$elemMatch": region}, [LONDON, BEIJING])
    assert not holds({"$not": region}, [LONDON, BEIJING])
    assert holds({"$not": region}, None)
    assert holds({"$elemMatch": {"$not": region}}, [LONDON, BEIJING])


def test_the_box_of_a_region_holds_all_that_the_region_does() -> None:
    region = geo.InBox(170, -30, -160, 80)
    box = geo.search_box(region)
    assert box is not None
    for longitude in (170, 175, 180, -175, -160):
        for latitude in (-30, 0, 33, 80):
            x, y, z = vector(longitude, latitude)
            assert box[0] <= x <= box[1]
            assert box[2] <= y <= box[3]
            assert box[4] <= z <= box[5]
