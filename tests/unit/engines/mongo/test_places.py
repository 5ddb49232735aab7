"""Rows are filed under cells of the globe: few for a search, and never the wrong ones."""

from __future__ import annotations

from itertools import product
from math import inf, nextafter
from random import Random
from typing import Any

import pytest

from baas.engines.mongo.places import cells_for, cells_of
from baas.query import sphere
from baas.query.geo import EARTH_RADIUS, InCap, Near, Region, holds

AT = ("at",)
#: Corners, edges and middles of the cube's faces, both poles and the date line.
EDGES = [*product((-180.0, -90.0, -45.0, 0.0, 45.0, 90.0, 180.0), (-90.0, -45.0, 0.0, 45.0, 90.0))]


def point(longitude: float, latitude: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def filed(*places: Any) -> set[str]:
    return set(cells_of({"_id": "a", "at": list(places)}, AT))


def asked(region: Region) -> set[str]:
    found = cells_for(region)
    assert found is not None
    return set(found)


def near(place: tuple[float, float], metres: float) -> Near:
    return Near(sphere.vector(*place), 0.0, metres)


@pytest.mark.parametrize("metres", [0.0, 1e-3, 10.0, 1e3, 1e5, 1e7])
def test_what_is_at_an_edge_of_cells_is_found(metres: float) -> None:
    random = Random(int(metres))
    for place in EDGES:
        for turn in (0.0, metres, nextafter(metres, inf), -metres):
            shift = random.choice((0.0, 1.0)) * turn / EARTH_RADIUS * 57.29577951308232
            other = point(place[0], max(-90.0, min(90.0, place[1] + shift)))
            if holds(near(place, metres), other):
                assert filed(other) & asked(near(place, metres)), (place, other)


def test_the_same_place_by_another_name_is_found() -> None:
    for one, other in (((180, 10), (-180, 10)), ((20, 90), (-70, 90)), ((0, -90), (180, -90))):
        assert filed(point(*one)) & asked(near(other, 0.0))


def test_a_search_nearby_asks_for_few() -> None:
    here = near((121.47, 31.23), 1000)
    assert len(asked(here)) < 130
    far = [point(longitude, -30) for longitude in range(-170, 180, 20)]
    assert not filed(*far) & asked(here)
    assert filed(*far, point(121.471, 31.231)) & asked(here)


def test_what_is_nearly_everywhere_is_asked_about_in_each_search() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [90, 45], [170, -80]]}
    assert filed(line) & asked(near((-100, -20), 5))
    many = [point(longitude, 20) for longitude in range(100)]
    assert filed(*many) & asked(near((-100, -20), 5))


def test_half_of_the_globe_is_few_cells_and_all_of_it_none() -> None:
    half = InCap((1.0, 0.0, 0.0), 1.5)
    assert len(asked(half)) < 130
    inside = [place for place in EDGES if holds(half, point(*place))]
    assert len(inside) > 5
    assert all(filed(point(*place)) & asked(half) for place in inside)
    assert cells_for(Near((1.0, 0.0, 0.0))) is None
