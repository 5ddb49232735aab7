"""Places and texts mean the same in SQLite as in the evaluator, with and without an index, whatever
was written before; and the pages of a query by distance are the query."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from baas.engines.sqlite.store import SqliteStore
from baas.errors import Problem
from baas.ports.documents import DELETE, Change, Find, MaybeAwaitable, WriteInfo, resolve
from baas.query import text
from baas.query.ast import BY_ID, Filter, Not
from baas.query.evaluate import matches
from baas.query.near import default_sort, with_text_index
from baas.query.order import sort_documents, sort_values
from baas.query.parse import parse_filter
from baas.query.sphere import (
    Box,
    Vector,
    angle,
    angle_to_arc,
    arc_box,
    cap_box,
    cross,
    dot,
    unit,
    vector,
)
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, decode
from tests.support.places import geometries, nears, places, points, regions, searches, texts
from tests.support.strategies import LIMITS, NOW_MS

SHARED = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
    deadline=None,
)
TEXT_PATHS = (("title",), ("notes", "body"))
INDEXES = (
    IndexSpec(name="words", keys=tuple(map(IndexKey, TEXT_PATHS)), kind="text"),
    IndexSpec(name="places", keys=(IndexKey(("at",)),), kind="geo"),
)
#: The same documents in both: one is searched by its indexes, one is read through.
COLLECTIONS = {"bare": (), "indexed": INDEXES}
IDS = [f"d{number}" for number in range(7)]


class Shared:
    """One store for all examples; each writes over what the one before has left."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self.store = SqliteStore.memory()
        self._runner.run(self._open())

    async def _open(self) -> None:
        await self.store.open()
        await self.store.declare(
            {name: CollectionSpec(name=name, indexes=has) for name, has in COLLECTIONS.items()}
        )

    def fill(self, documents: list[Document]) -> None:
        """Changes, adds and deletes until there are these documents and no others."""
        new = {document["_id"]: document for document in documents}
        steps = tuple(
            Change(
                collection=name,
                id=id,
                apply=lambda _, __, id=id: new.get(id, DELETE),  # type: ignore[misc]
            )
            for name in COLLECTIONS
            for id in IDS
        )
        self.ask(lambda store: store.write(steps, WriteInfo()))

    def ask(self, what: Callable[[SqliteStore], MaybeAwaitable[Any]]) -> Any:
        """A call of the store, made where the loop runs."""

        async def work() -> Any:
            return await resolve(what(self.store))

        return self._runner.run(work())

    def ids(self, name: str, filter: Filter, **more: Any) -> list[str]:
        return [one["_id"] for one in self.find(name, filter, **more)]

    def find(self, name: str, filter: Filter, **more: Any) -> list[Document]:
        query = Find(collection=name, filter=filter, **{"sort": default_sort(filter), **more})
        return [decode(row) for row in self.ask(lambda store: store.find(query))]

    def count(self, name: str, filter: Filter) -> int:
        return self.ask(lambda store: store.count(name, filter))

    def close(self) -> None:
        self._runner.run(self.store.close())
        self._runner.close()


@pytest.fixture(scope="module")
def shared() -> Iterator[Shared]:
    shared = Shared()
    yield shared
    shared.close()


def numbered(bodies: list[Document]) -> list[Document]:
    return [{"_id": id, **body} for id, body in zip(IDS, bodies, strict=False)]


placed = st.lists(st.fixed_dictionaries({}, optional={"at": places}), max_size=len(IDS))
written = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "title": st.one_of(texts, texts, st.just(5)),
            "notes": st.one_of(
                st.builds(lambda body: {"body": body}, texts),
                st.lists(st.builds(lambda body: {"body": body}, texts), max_size=2),
                st.lists(texts, max_size=1),
            ),
            "other": texts,
        },
    ),
    max_size=len(IDS),
)


def parsed(raw: dict[str, Any]) -> Filter:
    try:
        filter = parse_filter(raw, LIMITS, now_ms=NOW_MS, whole=True)
    except Problem:
        assume(False)  # a polygon that is none on a sphere
        raise
    return with_text_index(filter, TEXT_PATHS)


def agree(shared: Shared, documents: list[Document], filter: Filter) -> None:
    order = default_sort(filter)
    found = [one for one in documents if matches(filter, one)]
    wanted = [one["_id"] for one in sort_documents(found, order)]
    for name in COLLECTIONS:
        assert shared.ids(name, filter) == wanted
        assert shared.ids(name, filter, limit=2) == wanted[:2]
        assert shared.count(name, filter) == len(wanted)
        assert shared.ids(name, Not(filter), sort=BY_ID) == [
            one["_id"] for one in documents if one not in found
        ]


@SHARED
@given(placed, regions)
def test_regions(shared: Shared, bodies: list[Document], region: Any) -> None:
    filter = parsed({"at": region})
    documents = numbered(bodies)
    shared.fill(documents)
    agree(shared, documents, filter)


@SHARED
@given(placed, nears, st.sampled_from([{}, {"_id": {"$gt": "d2"}}]))
def test_near(shared: Shared, bodies: list[Document], near: Any, more: Any) -> None:
    documents = numbered(bodies)
    shared.fill(documents)
    agree(shared, documents, parsed({"at": near, **more}))


@SHARED
@given(written, searches, st.sampled_from([{}, {"other": {"$exists": True}}]))
def test_searches(shared: Shared, bodies: list[Document], search: str, more: Any) -> None:
    documents = numbered(bodies)
    shared.fill(documents)
    agree(shared, documents, parsed({"$text": {"$search": search}, **more}))


@SHARED
@given(placed, nears, st.integers(1, 3))
def test_pages_by_distance_are_the_whole(
    shared: Shared, bodies: list[Document], near: Any, size: int
) -> None:
    filter = parsed({"at": near})
    order = default_sort(filter)
    shared.fill(numbered(bodies))
    for name in COLLECTIONS:
        whole = shared.ids(name, filter)
        paged: list[str] = []
        after = None
        while page := shared.find(name, filter, limit=size, after=after):
            paged += [one["_id"] for one in page]
            after = sort_values(page[-1], order)
        assert paged == whole
        assert [shared.ids(name, filter, limit=1, skip=n) for n in range(len(whole))] == [
            [id] for id in whole
        ]


# -- laws ------------------------------------------------------------------------------------------


@SHARED
@given(geometries, geometries)
def test_to_meet_is_mutual_and_what_is_within_meets(one: Any, other: Any) -> None:
    assume(one["coordinates"] and other["coordinates"])
    meets = parsed({"at": {"$geoIntersects": {"$geometry": one}}})
    turned = parsed({"at": {"$geoIntersects": {"$geometry": other}}})
    assert matches(meets, {"at": other}) == matches(turned, {"at": one})
    if one["type"] in ("Polygon", "MultiPolygon"):
        within = parsed({"at": {"$geoWithin": {"$geometry": one}}})
        assert matches(meets, {"at": other}) or not matches(within, {"at": other})


@SHARED
@given(geometries, points)
def test_a_place_is_met_exactly_where_it_is_at_no_distance(shape: Any, point: Any) -> None:
    assume(shape["coordinates"])
    meets = parsed({"at": {"$geoIntersects": {"$geometry": shape}}})
    at_no_distance = parsed({"at": {"$near": {"$geometry": point, "$maxDistance": 1e-3}}})
    assert matches(meets, {"at": point}) == matches(at_no_distance, {"at": shape})


directions = st.tuples(st.floats(-180, 180), st.floats(-90, 90)).map(lambda at: vector(*at))


def inside(point: Vector, box: Box) -> bool:
    x, y, z = point
    return box[0] <= x <= box[1] and box[2] <= y <= box[3] and box[4] <= z <= box[5]


@given(directions, directions, st.floats(0, 1))
@example((1.0, 1.0402973008122024e-09, 0.0), (0.9945218953682733, 0.10452846326765347, 0.0), 1.0)
def test_a_box_holds_its_arc_and_a_cap_box_its_cap(a: Vector, b: Vector, part: float) -> None:
    chord = tuple(one + (other - one) * part for one, other in zip(a, b, strict=True))
    between = unit((chord[0], chord[1], chord[2]))
    assume(between is not None)
    assert between is not None
    assert inside(between, arc_box(a, b))
    assert inside(between, cap_box(a, angle(a, between)))
    assert angle_to_arc(between, a, b) < 1e-7


def at_azimuth(center: Vector, azimuth: float, far: float) -> Vector:
    """The point so many radians from another, in a direction."""
    away = (0.0, 0.0, 1.0) if abs(center[2]) < 0.9 else (1.0, 0.0, 0.0)
    east = unit(cross(away, center))
    assert east is not None
    north = cross(center, east)
    aside = [
        math.sin(azimuth) * e + math.cos(azimuth) * n for e, n in zip(east, north, strict=True)
    ]
    x, y, z = (math.cos(far) * c + math.sin(far) * a for c, a in zip(center, aside, strict=True))
    return x, y, z


def position(point: Vector) -> list[float]:
    x, y, z = point
    latitude = math.degrees(math.atan2(z, math.hypot(x, y)))
    return [math.degrees(math.atan2(y, x)), latitude]


@given(
    directions,
    st.lists(st.tuples(st.integers(0, 359), st.floats(0.01, 1.2)), min_size=3, max_size=9),
    st.floats(0, 2 * math.pi),
    st.floats(0, 3.1),
)
def test_a_star_holds_what_is_on_the_inner_side_of_its_edge(
    center: Vector, corners: list[tuple[int, float]], azimuth: float, far: float
) -> None:
    """Told without a projection: by the side of the one edge that lies in the point's direction."""
    ring = [(math.radians(angle), far) for angle, far in sorted(dict(corners).items())]
    turns = [(b[0] - a[0]) % (2 * math.pi) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]
    assume(len(ring) >= 3 and all(0 < turn < 3 for turn in turns))
    vectors = [at_azimuth(center, *corner) for corner in ring]
    edge = max(n for n in range(len(ring)) if n == 0 or ring[n][0] <= azimuth)
    edge = edge if ring[edge][0] <= azimuth else -1
    normal = cross(vectors[edge], vectors[(edge + 1) % len(ring)])
    point = at_azimuth(center, azimuth, far)
    side = dot(normal, point)
    assume(abs(side) > 1e-6)
    # Of two great circles' crossings the nearer one counts.
    expected = side * dot(normal, center) > 0 and far < math.pi / 2
    assume(far < 1.5 or not expected)
    shape = {"type": "Polygon", "coordinates": [[position(v) for v in [*vectors, vectors[0]]]]}
    shape["coordinates"][0][-1] = shape["coordinates"][0][0]
    found = parsed({"at": {"$geoWithin": {"$geometry": shape}}})
    place = {"type": "Point", "coordinates": position(point)}
    assert matches(found, {"at": place}) is expected


@given(texts)
def test_a_normal_form_is_its_own(words: str) -> None:
    form = text.normal_form(words)
    assert text.normal_form(form) == form


@given(st.text())
def test_every_text_can_be_searched_for_its_own_words(words: str) -> None:
    found = text.units(words)
    if found:
        assert text.holds([words], (), (text.needle(found),), ())
        filed = text.tokens([words])
        for token, begins in text.wanted_tokens(text.needle(found)):
            assert token in filed or (begins and any(one.startswith(token) for one in filed))
