"""The sample app from one end to the other, through its own Python client."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from board_cloud import BaasError, ModeratorCloud, NobodyCloud, UserCloud, command

from tests.support.board import serving_board
from tests.support.gateway import Gateway, wait_until

PATIENCE = 10.0
Kind = TypeVar("Kind", UserCloud, ModeratorCloud)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving_board(tmp_path_factory.mktemp("board") / "app") as gateway:
        yield gateway


@pytest.fixture
def person(board: Gateway) -> Iterator[Callable[[type[Kind], str], Kind]]:
    """Signs somebody up, and closes the client in the end."""
    made: list[UserCloud | ModeratorCloud] = []

    def sign_up(kind: type[Kind], name: str) -> Kind:
        cloud = kind(board.url, trust_env=False)
        made.append(cloud)
        cloud.auth().sign_up(name, "correct horse")
        return cloud

    yield sign_up
    for cloud in made:
        cloud.close()


Person = Callable[[type[Kind], str], Kind]


def test_readers_see_a_post_as_it_is_written_and_taken_back(board: Gateway, person: Person) -> None:
    ann = person(UserCloud, "ann")
    with NobodyCloud(board.url, trust_env=False) as reader:
        by_ann = {"_openid": ann.auth().me().uid}
        with reader.database().collection("posts").where(by_ann).watch() as watch:
            assert watch.next(PATIENCE).docs == []
            posts = ann.database().collection("posts")
            first = posts.add({"title": "Hello", "text": "there"}).id
            assert [doc["title"] for doc in watch.next(PATIENCE).docs] == ["Hello"]
            posts.doc(first).update({"published": False})
            change = watch.next(PATIENCE)
            assert change.docs == []
            assert change.doc_changes[0].queue_type == "dequeue"


def test_reports_hide_a_post_and_a_moderator_decides(board: Gateway, person: Person) -> None:
    author = person(UserCloud, "author")
    post = author.database().collection("posts").add({"title": "Buy", "text": "now"}).id
    for number in range(3):
        reporter = person(UserCloud, f"reporter{number}")
        reporter.database().collection("reports").add({"post": post, "reason": "spam"})
        with pytest.raises(BaasError, match="PERMISSION_DENIED"):
            reporter.database()._collection("reports").get()

    moderator = person(ModeratorCloud, "moderator")
    with pytest.raises(BaasError, match="PERMISSION_DENIED"):
        moderator.database().collection("reports").get()
    make_moderator(board.folder, "moderator")
    wait_until(lambda: allowed(moderator))
    posts = moderator.database().collection("posts")
    wait_until(lambda: posts.doc(post).get().data["hidden"])

    reports = moderator.database().collection("reports")
    found = reports.where({"post": post, "state": command.neq("accepted")}).get().data
    assert len(found) == 3
    moderator.call_function("decide", {"report": found[0]["_id"], "state": "rejected"})
    assert not posts.doc(post).get().data["hidden"]
    with pytest.raises(BaasError, match="ALREADY_DECIDED") as caught:
        moderator.call_function("decide", {"report": found[0]["_id"], "state": "accepted"})
    assert caught.value.status == 409
    assert caught.value.request_id


def test_talk_below_a_post_is_heard_by_both(person: Person) -> None:
    ann, bob = person(UserCloud, "talker"), person(UserCloud, "listener")
    post = ann.database().collection("posts").add({"title": "Talk", "text": "below"}).id
    heard, done = [], threading.Event()

    def hear(message: object) -> None:
        heard.append(message)
        if len(heard) == 20:
            done.set()

    bob.channel(f"post:{post}").join(hear)
    talk = ann.channel(f"post:{post}").join(presence={"typing": True})
    for number in range(20):
        talk.publish("said", {"n": number})
    assert done.wait(PATIENCE)
    assert [message.data["n"] for message in heard] == list(range(20))
    assert {message.sender for message in heard} == {ann.auth().me().uid}


def test_two_who_like_at_once_are_both_counted(person: Person) -> None:
    """Transactions of clients are optimistic: who comes second reads again."""
    ann = person(UserCloud, "counter")
    drafts = ann.database().collection("drafts")
    draft = drafts.add({"title": "n", "count": 0}).id

    def count() -> None:
        def run(transaction: object) -> None:
            document = transaction.collection("drafts").doc(draft)
            document.update({"count": document.get().data["count"] + 1})

        ann.database().run_transaction(run, times=50)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drafts.doc(draft).get().data["count"] == 8


def make_moderator(folder: Path, name: str) -> None:
    words = ("user", "roles", name, "--add", "moderator", "--data", str(folder / "data"))
    done = subprocess.run(
        [sys.executable, "-m", "baas", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def allowed(moderator: ModeratorCloud) -> bool:
    try:
        moderator.database().collection("reports").count()
    except BaasError:
        return False
    return True
