"""The board's file rules: avatars are their owner's until they are cleaned, thumbnails the
server's, pictures of a post its author's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import Harness, running_app
from tests.support.gateway import ROOT, write_app
from tests.support.storage import download, uid_of, upload


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Harness]:
    names = ("_storage.yaml", "posts.yaml")
    files = {f"rules/{name}": (ROOT / "rules" / name).read_text("utf-8") for name in names}
    with running_app(write_app(tmp_path, files)) as harness:
        yield harness


def test_an_avatar_is_its_owners_until_the_server_has_cleaned_it(app: Harness) -> None:
    mine, other = app.sign_in(), app.sign_in()
    path = f"avatars/{uid_of(app, mine)}/face.png"

    assert upload(app, path, b"x", mine, content_type="image/png").status == 200
    assert upload(app, path, b"x", mine, content_type="text/html").code == "PERMISSION_DENIED"
    assert upload(app, path, b"x", other, content_type="image/png").code == "PERMISSION_DENIED"
    large = bytes(2 * 1024 * 1024 + 1)
    assert upload(app, path, large, mine, content_type="image/png").code == "PERMISSION_DENIED"
    assert download(app, path, mine).body == b"x"
    assert download(app, path, other).code == download(app, path).code == "NOT_FOUND"
    mark = '{"cleaned": true}'
    refused = upload(app, path, b"x", mine, content_type="image/png", metadata=mark)
    assert refused.code == "PERMISSION_DENIED"
    admin = app.admin_key("storage:write")
    assert upload(app, path, b"c", admin, content_type="image/png", metadata=mark).status == 200
    assert download(app, path, other).body == download(app, path).body == b"c"
    assert app.post("/v1/storage/list", {}, other).json()["files"] == []
    listed = app.post("/v1/storage/list", {}, mine).json()["files"]
    assert [file["path"] for file in listed] == [path]


def test_a_thumbnail_is_the_servers_to_write_and_everybodys_to_see(app: Harness) -> None:
    mine = app.sign_in()
    path = f"thumbs/{uid_of(app, mine)}/face.png"
    assert upload(app, path, b"x", mine, content_type="image/png").code == "PERMISSION_DENIED"
    assert upload(app, path, b"x", app.admin_key("storage:write")).status == 200
    assert download(app, path).body == b"x"


def test_pictures_follow_their_post(app: Harness) -> None:
    mine, other = app.sign_in(), app.sign_in()
    post = {"_id": "p1", "title": "t", "text": "t", "published": False}
    assert app.post("/v1/database/posts/insert", {"document": post}, mine).status == 200

    assert upload(app, "posts/p1/a.png", b"x", other, content_type="image/png").status == 403
    assert upload(app, "posts/p2/a.png", b"x", mine, content_type="image/png").status == 403
    assert upload(app, "posts/p1/a.png", b"x", mine, content_type="image/png").status == 200
    assert download(app, "posts/p1/a.png", mine).status == 200
    assert download(app, "posts/p1/a.png", other).status == 404
    published = {"id": "p1", "update": {"$set": {"published": True}}}
    assert app.post("/v1/database/posts/update", published, mine).status == 200
    assert download(app, "posts/p1/a.png", other).status == 200
