"""Every way to learn of a file asks the same rule: who may not read it is told what is told of a
file that is not there, whichever way is tried."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app
from tests.support.storage import APP, download, uid_of, upload

Way = Callable[[Harness, str, str | None], Reply]


def post(app: Harness, call: str, body: object, token: str | None) -> Reply:
    return app.post(f"/v1/storage/{call}", body, token)


def head(app: Harness, path: str, token: str | None) -> Reply:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return app.request("HEAD", f"/v1/storage/files/{path}", headers=headers)


#: Each as one call about one path.
WAYS: dict[str, Way] = {
    "download": lambda app, path, who: download(app, path, who),
    "head": head,
    "range": lambda app, path, who: download(app, path, who, range="bytes=0-3"),
    "range beyond": lambda app, path, who: download(app, path, who, range="bytes=999999-"),
    "conditional": lambda app, path, who: download(app, path, who, if_none_match="*"),
    "image": lambda app, path, who: download(app, path, who, query="w=5"),
    "image, conditional": lambda app, path, who: download(
        app, path, who, query="w=5", if_none_match="*"
    ),
    "stat": lambda app, path, who: post(app, "stat", {"path": path}, who),
    "stat by id": lambda app, path, who: post(app, "stat", {"fileId": f"cloud://app/{path}"}, who),
    "copy": lambda app, path, who: post(app, "copy", {"from": path, "to": "shelf/c"}, who),
    "move": lambda app, path, who: post(app, "move", {"from": path, "to": "shelf/c"}, who),
    "sign": lambda app, path, who: post(app, "sign", {"files": [{"path": path}]}, who),
    "delete": lambda app, path, who: post(app, "delete", {"files": [{"path": path}]}, who),
    "list": lambda app, path, who: post(app, "list", {"prefix": path}, who),
    "a false link": lambda app, path, who: download(
        app, path, who, query="expires=9999999999&version=v&signature=s"
    ),
}
#: What the owner is answered where that is not 200.
OWNERS = {"range": 206, "range beyond": 416, "conditional": 304, "image, conditional": 304,
          "a false link": 403}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), APP)) as harness:
        yield harness


@pytest.fixture
def owner(app: Harness) -> str:
    return app.sign_in()


@pytest.fixture
def path(app: Harness, owner: str) -> str:
    made = io.BytesIO()
    Image.new("RGB", (8, 8)).save(made, "PNG")
    path = f"home/{uid_of(app, owner)}/a.png"
    assert upload(app, path, made.getvalue(), owner, content_type="image/png").status == 200
    return path


def told(reply: Reply, path: str) -> tuple[int, bytes]:
    """Without what is the request's own: its id, and the path that it named."""
    lines = reply.body.replace(path.encode(), b"PATH")
    if reply.code is None:
        return reply.status, lines
    problem = reply.json()
    return reply.status, repr((problem["code"], problem["detail"])).encode()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ["a stranger", "nobody"])
def test_who_may_not_read_learns_nothing(
    app: Harness, owner: str, path: str, way: str, who: str
) -> None:
    other = app.sign_in() if who == "a stranger" else None
    absent = path.replace("a.png", "b.png")
    hidden = told(WAYS[way](app, path, other), path)
    assert hidden == told(WAYS[way](app, absent, other), absent)
    assert b"hash" not in hidden[1]
    assert b"signature" not in hidden[1] or way == "a false link"
    assert download(app, path, owner).status == 200, "it is still there"


@pytest.mark.parametrize("way", WAYS)
def test_its_owner_may(app: Harness, owner: str, path: str, way: str) -> None:
    found = WAYS[way](app, path, owner)
    assert found.status == OWNERS.get(way, 200), found.body
    if way in ("sign", "delete", "list"):
        (one,) = found.json()["files"]
        assert one["path"] == path
        assert "code" not in one


@pytest.mark.parametrize("way", WAYS)
def test_an_admin_key_without_the_scope_may_not(app: Harness, path: str, way: str) -> None:
    found = WAYS[way](app, path, app.admin_key("database:read"))
    assert found.status == 403
    if found.body:
        assert found.code == "PERMISSION_DENIED"
