"""schemathesis over /openapi.json of the sample app: whoever asks, and whether the request fits the
description or not, the answer is one of those described, and never a fault of the server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from baas.gateway.routes import all_routes
from baas.settings import Settings
from tests.support import strategies
from tests.support.gateway import ROOT, Gateway, running


def no_fault_of_the_server(_: object, response: Any, case: Case) -> None:
    """501 is an answer (`NOT_SUPPORTED`): what is known, and not there yet or not set up."""
    assert response.status_code < 500 or response.status_code == 501, response.text


CHECKS = (
    no_fault_of_the_server,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
#: Collections of the sample app, one that takes any document, one that no file names.
COLLECTIONS = ("posts", "things", "comments", "likes", "profiles", "drafts", "notices", "nowhere")
THINGS = """
rules: {read: doc.a != 7, write: auth != null}
fields: {c: {read: doc._openid == auth.uid}}
indexes: [{fields: [a, -b]}, {fields: ["b.a"]}]
"""
#: Functions of the sample app, and one that is not there.
FUNCTIONS = ("my_numbers", "decide", "nowhere")
EXAMPLES = 4
#: The same requests in every run: what is found once is found again.
quick = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("app")
    for part in ("rules", "functions"):
        shutil.copytree(ROOT / part, folder / part)
    (folder / "rules" / "things.yaml").write_text(THINGS)
    unlimited = {f"BAAS_LIMITS__RATE_{kind}": "off" for kind in ("AUTH", "READ", "WRITE")}
    with running(folder, **unlimited) as started:
        yield started


class Callers:
    """Headers of those who call. A user is made anew where a request might end the session."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._kept = {"nobody": "", "user": gateway.sign_in(), "key": gateway.admin_key("*")}

    def headers(self, caller: str, path: str) -> dict[str, str]:
        once = caller == "user" and path.startswith("/v1/auth")
        token = self._gateway.sign_in() if once else self._kept[caller]
        return {"authorization": f"Bearer {token}"} if token else {}


@pytest.fixture(scope="module")
def callers(gateway: Gateway) -> Callers:
    made = Callers(gateway)
    headers = made.headers("user", "")
    for id in IDS:
        documents = {"posts": {"_id": id, "title": "a", "text": "b"}, "things": {"_id": id, "a": 1}}
        for collection, document in documents.items():
            path = f"/v1/database/{collection}/insert"
            answer = gateway.client.post(path, json={"document": document}, headers=headers)
            assert answer.status_code == 200, answer.text
    return made


@pytest.fixture(scope="module")
def api(gateway: Gateway) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as kept:
        kept.trust_env = False
        yield kept


# -- requests that mean something ------------------------------------------------------------------

IDS = ("d0", "d1", "d2", "d3")
_VALUES = st.one_of(strategies.scalars(), strategies.values(4))
_UPDATES = st.dictionaries(
    st.sampled_from(("$set", "$inc", "$mul", "$min", "$max", "$push", "$addToSet", "$setOnInsert")),
    st.dictionaries(strategies.paths(2), _VALUES, min_size=1, max_size=2),
    min_size=1,
    max_size=2,
)
_STAGES = st.one_of(
    strategies.raw_filters().map(lambda filter: {"$match": filter}),
    strategies.raw_projections().map(lambda fields: {"$project": fields}),
    strategies.paths(2).map(lambda path: {"$unwind": f"${path}"}),
    strategies.paths(2).map(lambda path: {"$group": {"_id": f"${path}", "n": {"$sum": 1}}}),
    st.builds(
        lambda local, foreign: {
            "$lookup": {"from": "posts", "localField": local, "foreignField": foreign, "as": "x"}
        },
        strategies.paths(2),
        strategies.paths(2),
    ),
    st.sampled_from(({"$count": "n"}, {"$limit": 2}, {"$skip": 1}, {"$sample": {"size": 2}})),
)
PARTS = st.fixed_dictionaries(
    {
        "id": st.sampled_from((*IDS, "none")),
        "filter": strategies.raw_filters(),
        "sort": strategies.raw_sorts(),
        "fields": strategies.raw_projections(),
        "document": strategies.documents(with_id=False),
        "documents": st.lists(strategies.documents(with_id=False), max_size=3),
        "update": _UPDATES,
        "pipeline": st.lists(_STAGES, max_size=3),
    }
)

ROUTES = [
    (route, re.sub(r"{(\w+):\w+}", r"{\1}", route.path))
    for route in all_routes(Settings())
    if route.documented
]
OPERATIONS = [(route.method, path) for route, path in ROUTES]
WITH_BODY = [(route.method, path) for route, path in ROUTES if route.body is not None]
DATABASE = [operation for operation in OPERATIONS if operation[1].startswith("/v1/database")]

Check = Callable[..., None]


@pytest.fixture
def ask(gateway: Gateway, callers: Callers, session: requests.Session) -> Check:
    def call(case: Case, caller: str, path: str, *checks: Any) -> None:
        headers = callers.headers(caller, path)
        case.call_and_validate(session=session, headers=headers, checks=[*CHECKS, *checks])

    return call


@pytest.mark.parametrize("caller", ["nobody", "user", "key"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_what_fits_the_description_is_answered_as_described(
    api: schemathesis.BaseSchema, ask: Check, caller: str, method: str, path: str
) -> None:
    names = {"collection": st.sampled_from(COLLECTIONS), "name": st.sampled_from(FUNCTIONS)}

    @given(case=api[path][method].as_strategy(), known=st.fixed_dictionaries(names))
    @quick
    def answered(case: Case, known: dict[str, str]) -> None:
        for name in case.path_parameters.keys() & known.keys():
            case.path_parameters[name] = known[name]
        ask(case, caller, path)

    answered()


@pytest.mark.parametrize("caller", ["nobody", "user", "key"])
@pytest.mark.parametrize(("method", "path"), DATABASE)
def test_what_means_something_is_answered_as_described(
    api: schemathesis.BaseSchema, ask: Check, caller: str, method: str, path: str
) -> None:
    """To the description a filter is any object; here it is one that the service understands."""

    @given(
        case=api[path][method].as_strategy(),
        collection=st.sampled_from(("things", "things", "posts")),
        parts=PARTS,
    )
    @settings(quick, max_examples=4 * EXAMPLES)
    def answered(case: Case, collection: str, parts: dict[str, Any]) -> None:
        if "collection" in case.path_parameters:
            case.path_parameters["collection"] = collection
        if "id" in case.path_parameters:
            case.path_parameters["id"] = parts["id"]
        if method == "POST":
            replace(case.body, {**parts, "collection": collection})
        ask(case, caller, path)

    answered()


def replace(body: Any, parts: dict[str, Any]) -> None:
    """What is free in the description gets a meaning; what may be left out stays left out."""
    for operation in body.get("operations", []):
        replace(operation, parts)
    for expectation in body.get("expect", []):
        replace(expectation, parts)
    for name in body.keys() & parts.keys():
        body[name] = parts[name]


@pytest.mark.parametrize("caller", ["nobody", "user"])
@pytest.mark.parametrize(("method", "path"), WITH_BODY)
def test_what_does_not_fit_is_refused_as_described(
    api: schemathesis.BaseSchema, ask: Check, caller: str, method: str, path: str
) -> None:
    @given(case=api[path][method].as_strategy(GenerationMode.NEGATIVE))
    @quick
    def refused(case: Case) -> None:
        ask(case, caller, path, negative_data_rejection)

    refused()
