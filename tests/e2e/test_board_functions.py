"""The sample app's functions, from the first request to what triggers leave behind."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.functions.model import Call, TriggerInfo
from baas.schema.actor import Actor
from tests.support.app import Harness, running_app
from tests.support.gateway import ROOT

PATIENCE = 10.0


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Harness]:
    for name in ("baas.yaml", "rules", "functions", "public"):
        source = ROOT / name
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=ignore)
        else:
            shutil.copy(source, tmp_path / name)
    with running_app(tmp_path) as harness:
        yield harness


class Person:
    def __init__(self, board: Harness) -> None:
        self.board = board
        self.token = board.sign_in()
        self.uid = str(board.get("/v1/auth/me", self.token).json()["uid"])

    def call(self, path: str, body: Any) -> Any:
        answer = self.board.post(path, body, self.token)
        assert answer.status == 200, answer.body
        return answer.json()

    def post(self, title: str = "Hello, World!", **more: Any) -> str:
        document = {"title": title, "text": "One\n\nTwo <b>", **more}
        found = self.call("/v1/database/posts/insert", {"document": document})
        return str(found["ids"][0])

    def like(self, post: str) -> None:
        document = {"_id": f"{post}-{self.uid}", "post": post}
        self.call("/v1/database/likes/insert", {"document": document})

    def read(self, post: str) -> Any:
        return self.call("/v1/database/posts/get", {"id": post})


def eventually(board: Harness, look: Callable[[], bool]) -> None:
    """Lets the gateway work until it is so: triggers come after the answer."""
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, "it did not happen"
        board.run(asyncio.sleep(0.01))


def moderator() -> Actor:
    return Actor(uid="mo", login_type="USERNAME", roles=("moderator",), cache_key="mo")


def test_a_post_gets_its_slug_from_the_server_alone(board: Harness) -> None:
    ann = Person(board)
    slug = ann.read(ann.post())["slug"]
    assert slug.startswith("hello-world-")
    assert ann.read(ann.post("你好 世界"))["slug"].startswith("你好-世界-")
    document = {"title": "a", "text": "b", "slug": "mine"}
    answer = board.post("/v1/database/posts/insert", {"document": document}, ann.token)
    assert answer.code == "PERMISSION_DENIED"
    answer = board.post("/v1/database/posts/insert", {"document": {"title": 3}}, ann.token)
    assert answer.code == "VALIDATION_FAILED"


def test_likes_are_counted_and_shown_to_the_author(board: Harness) -> None:
    ann, bob, eve = Person(board), Person(board), Person(board)
    post, other = ann.post(), ann.post()
    bob.like(post)
    eve.like(post)
    bob.like(other)
    eventually(board, lambda: ann.read(post).get("likes") == 2)
    eventually(board, lambda: ann.read(other).get("likes") == 1)
    eve.call("/v1/database/likes/delete", {"id": f"{post}-{eve.uid}"})
    eventually(board, lambda: ann.read(post).get("likes") == 1)
    assert ann.call("/v1/functions/my_numbers", {}) == {"posts": 2, "likes": 2}
    assert bob.call("/v1/functions/my_numbers", {}) == {"posts": 0, "likes": 0}
    assert board.post("/v1/functions/my_numbers").code == "PERMISSION_DENIED"


def test_many_reports_hide_a_post_until_a_moderator_decides(board: Harness) -> None:
    ann = Person(board)
    post = ann.post()
    people = [account(board, f"person{n}") for n in range(3)]
    reports = []
    for token in people:
        document = {"post": post, "reason": "spam"}
        answer = board.post("/v1/database/reports/insert", {"document": document}, token)
        assert answer.status == 200, answer.body
        reports.append(answer.json()["ids"][0])
    eventually(board, lambda: ann.read(post)["hidden"] is True)
    decision = {"report": reports[0], "state": "rejected"}
    assert board.post("/v1/functions/decide", decision, ann.token).code == "PERMISSION_DENIED"
    board.run(
        board.app.functions.invoke(Call(function="decide", event=decision, actor=moderator()))
    )
    assert ann.read(post)["hidden"] is False
    answer = board.post("/v1/functions/decide", decision, board.admin_key("functions:write"))
    assert (answer.status, answer.code) == (409, "ALREADY_DECIDED")


def account(board: Harness, name: str) -> str:
    body = {"username": name, "password": "correct horse battery"}
    answer = board.post("/v1/auth/sign-up", body)
    assert answer.status == 200, answer.body
    return str(answer.json()["accessToken"])


def test_the_digest_tells_of_visible_posts_once_a_day(board: Harness) -> None:
    ann = Person(board)
    shown = ann.post("Shown")
    ann.post("Draft", published=False)
    event = {
        "time": "2100-01-01T00:00:00Z",
        "scheduled": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5)),
        "name": "nightly_digest",
    }
    for _ in range(2):
        tick = Call(function="nightly_digest", event=event, trigger=TriggerInfo(kind="timer"))
        board.run(board.app.functions.invoke(tick))
    [notice] = ann.call("/v1/database/notices/find", {})["documents"]
    assert [post["_id"] for post in notice["posts"]] == [shown]


def test_a_post_s_page_shows_text_not_markup_and_nothing_hidden(board: Harness) -> None:
    ann = Person(board)
    slug = ann.read(ann.post("<script>"))["slug"]
    answer = board.get(f"/http/posts/{slug}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<h1>&lt;script&gt;</h1>" in answer.body
    assert b"<p>Two &lt;b&gt;</p>" in answer.body
    draft = ann.read(ann.post(published=False))["slug"]
    assert board.get(f"/http/posts/{draft}").status == 404
    assert board.get("/http/posts/nothing").status == 404


def test_the_mounted_app_answers_below_its_path(board: Harness) -> None:
    assert board.get("/http/preview").headers["location"].endswith("/http/preview/")
    assert b"<textarea" in board.get("/http/preview/").body
    answer = board.request("POST", "/http/preview/", b"a <b>\n\nc")
    assert answer.body == b"<p>a &lt;b&gt;</p>\n<p>c</p>"
    assert board.request("POST", "/http/preview/", b"x" * 30_000).status == 413


def test_what_is_there_for_triggers_cannot_be_called_by_clients(board: Harness) -> None:
    ann = Person(board)
    for name in ("give_slug", "count_likes", "hide_reported", "nightly_digest", "post_page"):
        assert board.post(f"/v1/functions/{name}", {}, ann.token).code == "PERMISSION_DENIED"
    assert board.post("/v1/functions/paragraphs", {}, ann.token).code == "NOT_FOUND"
