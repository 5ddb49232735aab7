"""What tests/property/test_noninterference.py states of the service, of the whole gateway: two
databases that differ in hidden things alone give the same status, headers and bytes over HTTP.

Beyond the verbs themselves: transactions with expectations, entity tags, upserts, repeats of an
`Idempotency-Key`, snapshots of a poll, and a function that acts as its caller. Ids of requests are
left out; of cursors, which are sealed anew each time, the length is compared.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.clock import ManualClock
from baas.ports.documents import resolve
from baas.schema.actor import SERVER
from tests.property.test_noninterference import (
    IDS,
    RULES,
    documents,
    filters,
    finds,
    paths,
    sorts,
    stages,
    targets,
    updates,
    worlds,
)
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app

#: `box` as the service's test has it, and the same behind mode `reject`.
LENIENT = RULES["box"].replace("maxLength: 2", "")
APP = {
    "baas.yaml": "app: {name: twins}\n",
    "rules/box.yaml": LENIENT,
    "rules/strict.yaml": LENIENT.replace("rules:", "mode: reject\nrules:", 1),
    "rules/_functions.yaml": "asked: {invoke: auth != null}\n",
    "functions/asking.py": """
from baas import fn

@fn.event()
async def asked(ctx, event):
    box = ctx.as_caller().database.collection(event["collection"])
    try:
        return await getattr(box, event["verb"])(**event["body"])
    except Exception as fault:
        return [type(fault).__name__, str(fault)]
""",
}
COLLECTIONS = ("box", "strict")
#: The length is that of the body, with an id of the request in it.
FORGOTTEN = ("x-request-id", "date", "content-length")
_SEALED = re.compile(rb'"(next|cursor)":"([^"]*)"|"(?:requestId|session)":"[^"]*"')


# -- what Bob may try -----------------------------------------------------------------------------

expressions = st.one_of(
    paths.map(lambda path: f"${path}"),
    paths.map(lambda path: {"$ifNull": [f"${path}", "none"]}),
    paths.map(lambda path: {"$type": f"${path}"}),
    paths.map(lambda path: {"$size": {"$ifNull": [f"${path}", []]}}),
    paths.map(lambda path: {"$getField": {"field": path, "input": "$$ROOT"}}),
    st.just({"$objectToArray": "$$ROOT"}),
    st.just({"$mergeObjects": ["$$ROOT", "$$CURRENT"]}),
)
foreign = st.sampled_from(COLLECTIONS)
deep_stages = st.one_of(
    stages,
    expressions.map(lambda got: {"$addFields": {"got": got}}),
    expressions.map(lambda got: {"$sortByCount": got}),
    expressions.map(lambda got: {"$match": {"$expr": {"$gt": [got, 1]}}}),
    expressions.map(lambda got: {"$group": {"_id": None, "all": {"$push": got}}}),
    expressions.map(lambda got: {"$group": {"_id": "$n", "first": {"$first": got}}}),
    expressions.map(
        lambda got: {"$bucket": {"groupBy": got, "boundaries": [0, 2, 9], "default": "none"}}
    ),
    paths.map(lambda path: {"$replaceRoot": {"newRoot": {"$ifNull": [f"${path}", {}]}}}),
    st.lists(stages, min_size=1, max_size=2).map(lambda inner: {"$facet": {"x": inner, "y": []}}),
    st.builds(
        lambda name, let, inner: {
            "$lookup": {"from": name, "let": {"v": let}, "pipeline": inner, "as": "seen"}
        },
        foreign,
        expressions,
        st.lists(
            st.one_of(
                stages,
                paths.map(lambda path: {"$match": {"$expr": {"$eq": [f"${path}", "$$v"]}}}),
            ),
            max_size=2,
        ),
    ),
    st.just(
        {
            "$geoNear": {
                "near": {"type": "Point", "coordinates": [0, 0]},
                "distanceField": "far",
                "spherical": True,
            }
        }
    ),
)
pipelines = st.lists(deep_stages, min_size=1, max_size=3)
#: What mode `reject` asks for, so that some queries get through.
asked_for = st.sampled_from([{}, {"public": True}, {"_openid": "{openid}"}])
all_filters = st.builds(lambda one, other: {**one, **other}, filters, asked_for)
all_targets = st.one_of(
    targets,
    st.builds(lambda filter, multi: {"filter": filter, "multi": multi}, all_filters, st.booleans()),
)
shared_fields = st.sampled_from([{}, {"secret": 1}, {"n": 1}, {"a": 0}])
back = st.booleans().map(lambda wanted: {"return": wanted})

found = st.tuples(
    st.just("find"),
    st.builds(lambda body, more: {**body, "filter": {**body["filter"], **more}}, finds, asked_for),
)
got = st.tuples(st.just("get"), st.sampled_from(IDS).map(lambda id: {"id": id}))
put = st.one_of(
    st.tuples(
        st.just("update"),
        st.builds(lambda t, u, b: {**t, "update": u, **b}, all_targets, updates, back),
    ),
    st.tuples(
        st.just("update"),
        st.builds(
            lambda filter, id, u: {
                "filter": {**filter, "_id": id},
                "update": u,
                "upsert": True,
                "return": True,
            },
            all_filters,
            st.sampled_from([*IDS, "new"]),
            updates,
        ),
    ),
    st.tuples(
        st.just("replace"),
        st.builds(
            lambda id, document, upsert: {
                "id": id,
                "document": document,
                "upsert": upsert,
                "return": True,
            },
            st.sampled_from([*IDS, "new"]),
            documents,
            st.booleans(),
        ),
    ),
    st.tuples(st.just("delete"), st.builds(lambda t, b: {**t, **b}, all_targets, back)),
    st.tuples(
        st.just("insert"),
        st.builds(
            lambda id, document: {"document": {**document, "_id": id}, "return": True},
            st.sampled_from([*IDS, "made"]),
            documents,
        ),
    ),
)
verbs = st.one_of(
    found,
    got,
    st.tuples(st.just("count"), all_filters.map(lambda filter: {"filter": filter})),
    st.tuples(st.just("aggregate"), pipelines.map(lambda pipeline: {"pipeline": pipeline})),
    put,
)
collections = st.sampled_from(COLLECTIONS)
operations = st.builds(
    lambda name, verb: {"collection": name, "verb": verb[0], **verb[1]},
    collections,
    st.one_of(found, got, put),
)
expectations = st.builds(
    lambda name, id: {"collection": name, "id": id}, collections, st.sampled_from(IDS)
)
watched = st.builds(
    lambda name, filter, more: {"collection": name, "filter": filter, **more},
    collections,
    all_filters,
    st.fixed_dictionaries(
        {},
        optional={
            "sort": sorts.map(lambda keys: [list(key) for key in keys]),
            "limit": st.integers(1, 3),
            "fields": shared_fields,
        },
    ),
)
requests = st.one_of(
    st.tuples(st.just("verb"), collections, verbs),
    st.tuples(st.just("twice"), collections, put),
    st.tuples(st.just("function"), collections, verbs),
    st.tuples(st.just("document"), collections, st.sampled_from(IDS)),
    st.tuples(
        st.just("transaction"),
        st.lists(operations, min_size=1, max_size=3),
        st.lists(expectations, max_size=2),
    ),
    st.tuples(st.just("poll"), watched),
)


# -- asking both ----------------------------------------------------------------------------------


def _unsealed(found: re.Match[bytes]) -> bytes:
    return b"%d" % len(found[2]) if found[1] else b""


class Twin:
    """One of the two worlds, and Bob in it."""

    def __init__(self, app: Harness) -> None:
        self.app = app
        signed = app.post("/v1/auth/sign-in/anonymous").json()
        self.token = signed["accessToken"]
        self.bob = signed["user"]["uid"]
        self.asked = 0

    def fill(self, documents: list[Any]) -> None:
        for name in COLLECTIONS:
            self._serve(name, "delete", {"filter": {}, "multi": True})
            mine = [
                {**one, "_openid": self.bob} if one.get("_openid") == "bob" else one
                for one in documents
            ]
            if mine:
                self._serve(name, "insert", {"documents": mine})

    def _serve(self, collection: str, verb: str, body: Any) -> None:
        data = msgspec.json.encode(body)
        handle = self.app.app.database.handle
        self.app.run(self._settled(handle(verb, collection, data, SERVER, "", None)))

    async def _settled(self, answer: Any) -> Any:
        return await resolve(answer)

    def ask(self, request: tuple[Any, ...]) -> list[Any]:
        kind, *rest = request
        replies: list[Reply] = getattr(self, f"_{kind}")(*rest)
        return [self._seen(reply) for reply in replies]

    def _seen(self, reply: Reply) -> Any:
        headers = {k: v for k, v in reply.headers.items() if k not in FORGOTTEN}
        body = _SEALED.sub(_unsealed, reply.body).replace(self.bob.encode(), b"bob")
        # Its tag is of the body with his own uid in it.
        if self.bob.encode() in reply.body:
            headers.pop("etag", None)
        return reply.status, headers, body

    def _verb(self, name: str, verb: tuple[str, Any], **headers: str) -> list[Reply]:
        path = f"/v1/database/{name}/{verb[0]}"
        return [self.app.post(path, verb[1], self.token, x_baas_explain="1", **headers)]

    def _twice(self, name: str, verb: tuple[str, Any]) -> list[Reply]:
        self.asked += 1
        return [self._verb(name, verb, idempotency_key=f"k{self.asked}")[0] for _ in range(2)]

    def _function(self, name: str, verb: tuple[str, Any]) -> list[Reply]:
        body = {k: v for k, v in verb[1].items() if k != "return"}
        event = {"collection": name, "verb": verb[0], "body": body}
        return [self.app.post("/v1/functions/asked", event, self.token)]

    def _document(self, name: str, id: str) -> list[Reply]:
        return [self.app.get(f"/v1/database/{name}/documents/{id}", self.token)]

    def _transaction(self, operations: list[Any], expected: list[Any]) -> list[Reply]:
        expect = [{**one, "etag": self._tag(one)} for one in expected]
        body = {"operations": operations, "expect": expect}
        return [self.app.post("/v1/database/transaction", body, self.token)]

    def _tag(self, one: dict[str, str]) -> str | None:
        (reply,) = self._document(one["collection"], one["id"])
        return reply.headers.get("etag")

    def _poll(self, query: dict[str, Any]) -> list[Reply]:
        frames = [{"type": "auth", "token": self.token}, {"type": "watch", "id": "w", **query}]
        body = {"session": "s" * 22, "frames": frames, "wait": 0}
        return [self.app.post("/v1/realtime/poll", body)]


@pytest.fixture(scope="module")
def twins() -> Iterator[list[Twin]]:
    with ExitStack() as stack:
        pair = []
        for _ in range(2):
            folder = write_app(Path(stack.enter_context(tempfile.TemporaryDirectory())), APP)
            app = stack.enter_context(running_app(folder, clock=ManualClock()))
            pair.append(Twin(app))
        yield pair


@given(worlds=worlds(), requests=st.lists(requests, min_size=3, max_size=8))
def test_no_answer_over_http_tells_the_worlds_apart(
    twins: list[Twin], worlds: tuple[list[Any], list[Any]], requests: list[tuple[Any, ...]]
) -> None:
    for twin, world in zip(twins, worlds, strict=True):
        twin.fill(world)
    for request in requests:
        one, other = (twin.ask(request) for twin in twins)
        assert one == other, request
        assert all(answer[0] < 500 for answer in one), (request, one)


def test_the_requests_reach_what_they_are_about(twins: list[Twin]) -> None:
    """Else the statement above would hold of refusals alone."""
    hidden = [{"_id": "hd0", "_openid": "ann", "n": 1}]
    shown = [{"_id": "d0", "_openid": "bob", "public": True, "n": 1, "secret": "s"}]
    for twin in twins:
        twin.fill([*hidden, *shown])
        works = [
            ("verb", "box", ("find", {"filter": {}})),
            ("verb", "strict", ("find", {"filter": {"public": True}})),
            ("function", "box", ("find", {"filter": {}})),
            ("document", "box", "d0"),
            ("transaction", [{"collection": "box", "verb": "get", "id": "d0"}], []),
            ("poll", {"collection": "box"}),
        ]
        for work in works:
            ((status, _, body),) = twin.ask(work)
            assert (status, b"d0" in body, b"hd0" in body) == (200, True, False), (work, body)
