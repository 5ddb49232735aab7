"""A verb is answered by the edge itself or by its declared Litestar route: byte for byte alike.

The edge is what clients meet; the declared routes are what the API's description is made from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from baas.gateway import dispatch
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import NOTES_APP, write_app

HEADERS = {"content-type": "application/json", "x-request-id": "same", "host": "x"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = write_app(tmp_path_factory.mktemp("app"), NOTES_APP)
    with running_app(folder) as harness:
        yield harness


@pytest.fixture(scope="module")
def token(app: Harness) -> str:
    made = app.sign_in()
    documents = [{"_id": f"n{number}", "n": number} for number in range(5)]
    assert app.post("/v1/database/notes/insert", {"documents": documents}, made).status == 200
    return made


def both(app: Harness, monkeypatch: pytest.MonkeyPatch, *request: Any) -> tuple[Reply, Reply]:
    """The answers of the hot path and of the declared route."""
    hot = app.request(*request)
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "hot_verb", lambda exchange: None)
        declared = app.request(*request)
    return hot, declared


def body(**members: Any) -> bytes:
    return msgspec.json.encode(members)


#: (verb and collection, body, further headers); None takes a header away.
REQUESTS: list[tuple[str, bytes, dict[str, str | None]]] = [
    ("notes/find", b"{}", {}),
    ("notes/find", body(filter={"n": {"$gt": 1}}, sort={"n": -1}, limit=2, count=True), {}),
    ("notes/find", body(fields={"n": 1}), {"origin": "https://a.example"}),
    ("notes/find", body(after="nonsense"), {}),
    ("notes/find", body(filtr={}), {}),
    ("notes/find", body(filter={"n": {"$where": "1"}}), {}),
    ("notes/find", body(limit=100_000), {}),
    ("notes/find", b"{", {}),
    ("notes/find", b"", {}),
    ("notes/find", b"{}", {"authorization": None}),
    ("notes/find", b"{}", {"authorization": "Bearer nonsense"}),
    ("notes/find", b"{}", {"content-type": "text/plain"}),
    ("notes/find", b"{}", {"content-type": "image/png"}),
    ("notes/find", b"{}", {"content-type": None}),
    ("notes/find", b"{}", {"content-encoding": "gzip"}),
    ("notes/find", b"{}", {"content-length": "99999999999"}),
    ("notes/find", b"{}", {"x-baas-as": "someone"}),
    ("notes/get", body(id="n1"), {}),
    ("notes/get", body(id="n1", fields={"n": 1}), {}),
    ("notes/get", body(id="absent"), {}),
    ("notes/get", body(id="bad id"), {}),
    ("notes/get", b"{}", {}),
    ("notes/count", body(filter={"n": 1}), {}),
    ("notes/aggregate", body(pipeline=[{"$match": {"n": 1}}, {"$project": {"n": 1}}]), {}),
    ("notes/aggregate", body(pipeline=[{"$out": "x"}]), {}),
    ("notes/insert", body(document={"_id": "n1"}), {}),
    ("notes/insert", body(document={"n": "text"}), {}),
    ("notes/insert", body(document={"_openid": "me"}), {}),
    ("notes/insert", body(document={}), {"authorization": None}),
    ("notes/insert", body(document={"_id": "once"}), {"idempotency-key": "k1"}),
    ("notes/insert", body(document={"_id": "other"}), {"idempotency-key": "k1"}),
    ("notes/insert", body(document={}), {"idempotency-key": "x" * 129}),
    ("notes/update", body(id="n2", update={"$set": {"n": 7}}), {}),
    ("notes/update", body(id="absent", update={"$set": {"n": 7}}), {}),
    ("notes/update", body(filter={"n": 99}, update={"$set": {"n": 7}}), {}),
    ("notes/update", body(id="n2", update={"$set": {"_openid": "x"}}), {}),
    ("notes/replace", body(id="n3", document={"n": 1}), {}),
    ("notes/delete", body(filter={"n": 99}), {}),
    ("notes/delete", body(id="absent"), {}),
    ("closed/find", b"{}", {}),
    ("nowhere/find", b"{}", {}),
    ("_users/find", b"{}", {}),
    ("9bad/find", b"{}", {}),
    ("b%20d/find", b"{}", {}),
]


@pytest.mark.parametrize(("where", "content", "changes"), REQUESTS)
def test_both_ways_answer_the_same(
    app: Harness,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    content: bytes,
    changes: dict[str, str | None],
) -> None:
    given = {**HEADERS, "authorization": f"Bearer {token}", **changes}
    headers = {name: value for name, value in given.items() if value is not None}

    hot, declared = both(app, monkeypatch, "POST", f"/v1/database/{where}", content, headers)

    assert hot == declared


def test_an_unforeseen_fault_too(app: Harness, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bytes:
        raise RuntimeError("SELECT secret FROM driver")

    monkeypatch.setattr(app.app.database, "handle", fail)
    headers = {**HEADERS, "authorization": f"Bearer {token}"}

    hot, declared = both(app, monkeypatch, "POST", "/v1/database/notes/find", b"{}", headers)

    assert hot == declared
    assert (hot.status, hot.code) == (500, "INTERNAL")
    assert b"secret" not in hot.body
    faults = [line for line in app.log_lines() if "RuntimeError" in line.get("stack", "")]
    assert len(faults) == 2
    assert all(line["id"] == "same" for line in faults)


def test_the_declared_way_is_really_taken(
    app: Harness, token: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Guards this file: without it, both answers could come from one way."""
    taken = []
    monkeypatch.setattr(
        dispatch.Edge,
        "_through_litestar",
        lambda self, *rest, way=dispatch.Edge._through_litestar: (
            taken.append(1) or way(self, *rest)
        ),
    )

    both(app, monkeypatch, "POST", "/v1/database/notes/find", b"{}", HEADERS)

    assert len(taken) == 1
