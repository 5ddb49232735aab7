"""As tests/property/test_http_noninterference.py has it for documents: two stores that differ in
files which Bob may not read answer him with the same bytes, whatever he asks of them.

Writes to a path that a hidden file may hold are not among it: a rule that looks at the stored file
tells of it, as a rule tells of what it reads.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baas.clock import ManualClock
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app
from tests.support.storage import download, uid_of, upload

APP = {
    "baas.yaml": "app: {name: twins}\n",
    "rules/_storage.yaml": """
- path: box/{round}/{file...}
  read: resource.metadata.open == true || resource.openid == auth.uid
  write: resource.openid == auth.uid
- path: own/{uid}/{file...}
  read: auth.uid == params.uid
  write: auth.uid == params.uid
""",
}
NAMES = ["a", "b.png", "b/c", "b/d", "d", "é"]
#: Whose a file is: Bob's own and open ones are the same in both worlds.
KINDS = st.sampled_from(["bobs", "open", "open", "hidden", "absent"])
_OWN = re.compile(rb'"(next)":"([^"]*)"|"requestId":"[^"]*"|(version|signature)=[^&"]*')
_FORGOTTEN = ("x-request-id", "date", "content-length")

contents = st.sampled_from([b"", b"one", b"another"])


@st.composite
def worlds(draw: st.DrawFn) -> list[tuple[str, list[str], list[bytes]]]:
    """For each name: its kind where visible, else its kind in each world, and its bytes in each."""
    made = []
    for name in NAMES:
        kind = draw(KINDS)
        if kind in ("bobs", "open"):
            made.append((name, [kind, kind], [draw(contents)] * 2))
        else:
            kinds = [draw(st.sampled_from(["hidden", "absent"])) for _ in range(2)]
            made.append((name, kinds, [draw(contents), draw(contents)]))
    return made


names = st.sampled_from([*NAMES, "never"])
requests = st.one_of(
    st.tuples(st.just("list"), st.sampled_from(["", "a", "b", "b/", "c", "e"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["stat", "download", "range", "image", "head", "sign"]), names),
    st.tuples(st.sampled_from(["delete", "copy", "move"]), names),
    st.tuples(st.just("delete all"), st.just("")),
)


class Twin:
    def __init__(self, app: Harness) -> None:
        self.app = app
        self.ann, self.token = app.sign_in(), app.sign_in()
        self.bob, self.owner = uid_of(app, self.token), uid_of(app, self.ann)
        self.rounds = 0
        self.round = ""

    def fill(self, files: list[tuple[str, list[str], list[bytes]]], which: int) -> None:
        """In a folder of its own, so that nothing of an earlier round is there."""
        self.rounds += 1
        self.round = f"box/{self.rounds:06}"
        for name, kinds, data in files:
            if kinds[which] == "absent":
                continue
            who = self.token if kinds[which] == "bobs" else self.ann
            metadata = '{"open": true}' if kinds[which] == "open" else None
            made = upload(self.app, f"{self.round}/{name}", data[which], who, metadata=metadata)
            assert made.status == 200, made.body

    def ask(self, request: tuple[Any, ...]) -> list[Any]:
        kind, *rest = request
        if kind == "list":
            return self._list(*rest)
        return [self._seen(self._one(kind, *rest))]

    def _list(self, prefix: str, limit: int) -> list[Any]:
        """Every page, and how many there are."""
        seen, after = [], None
        while True:
            body = {"prefix": f"{self.round}/{prefix}", "limit": limit, "after": after}
            reply = self.app.post("/v1/storage/list", body, self.token)
            seen.append(self._seen(reply))
            after = reply.json()["next"]
            if after is None:
                return seen

    def _one(self, kind: str, name: str) -> Reply:
        path = f"{self.round}/{name}"
        target = f"own/{self.bob}/{self.rounds:06}"
        if kind in ("download", "range", "image", "head"):
            query = "w=5" if kind == "image" else ""
            headers = {"range": "bytes=1-9"} if kind == "range" else {}
            if kind == "head":
                bearer = {"authorization": f"Bearer {self.token}"}
                return self.app.request("HEAD", f"/v1/storage/files/{path}", headers=bearer)
            return download(self.app, path, self.token, query, **headers)
        bodies: dict[str, Any] = {
            "stat": {"path": path},
            "sign": {"files": [{"path": path}]},
            "delete": {"files": [{"path": path}]},
            "delete all": {"files": [{"path": f"{self.round}/{one}"} for one in NAMES]},
            "copy": {"from": path, "to": target},
            "move": {"from": path, "to": target},
        }
        return self.app.post(f"/v1/storage/{kind.split()[0]}", bodies[kind], self.token)

    def _seen(self, reply: Reply) -> Any:
        headers = {k: v for k, v in reply.headers.items() if k not in _FORGOTTEN}
        body = _OWN.sub(_unsealed, reply.body).replace(self.bob.encode(), b"bob")
        body = body.replace(self.owner.encode(), b"ann")
        return reply.status, headers, body


def _unsealed(found: re.Match[bytes]) -> bytes:
    return b"%d" % len(found[2]) if found[1] else b""


@pytest.fixture(scope="module")
def twins() -> Iterator[list[Twin]]:
    with ExitStack() as stack:
        pair = []
        for _ in range(2):
            folder = write_app(Path(stack.enter_context(tempfile.TemporaryDirectory())), APP)
            app = stack.enter_context(running_app(folder, clock=ManualClock()))
            pair.append(Twin(app))
        yield pair


@given(files=worlds(), asked=st.lists(requests, min_size=2, max_size=6))
def test_no_answer_about_files_tells_the_worlds_apart(
    twins: list[Twin],
    files: list[tuple[str, list[str], list[bytes]]],
    asked: list[tuple[Any, ...]],
) -> None:
    for which, twin in enumerate(twins):
        twin.fill(files, which)
    for request in asked:
        one, other = (twin.ask(request) for twin in twins)
        assert one == other, request
        assert all(answer[0] < 500 for answer in one), (request, one)


def test_what_is_visible_is_answered_and_what_is_hidden_is_not(twins: list[Twin]) -> None:
    """Else the statement above would hold of refusals alone."""
    twin = twins[0]
    kinds = {"a": "open", "b.png": "hidden", "d": "bobs"}
    twin.fill([(name, [kind] * 2, [b"some"] * 2) for name, kind in kinds.items()], 0)
    pages = twin.ask(("list", "", 1))
    assert [body.count(b'"path"') for _, _, body in pages] == [1, 1, 0]
    for name, status in (("a", 200), ("b.png", 404), ("d", 200), ("never", 404)):
        assert [twin.ask((kind, name))[0][0] for kind in ("stat", "download")] == [status] * 2
