"""The process's one reader of the change feed, on a feed made by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from baas.ports.changes import ChangeEvent, CursorTooOld
from baas.push import follower as module
from baas.push.contract import Commit
from baas.push.follower import FeedFollower
from tests.support.realtime import until
from tests.support.sessions import in_loop


class MemoryFeed:
    def __init__(self) -> None:
        self.events: list[ChangeEvent] = []
        self.kept_from = 0
        self.faults = 0
        self.reads = 0
        self.heads = 0

    def write(self, *changes: str) -> None:
        """`posts/a` each; together in one transaction."""
        transaction = str(len(self.events))
        for change in changes:
            collection, _, id = change.partition("/")
            self.events.append(
                ChangeEvent(
                    cursor=str(len(self.events) + 1),
                    transaction=transaction,
                    time=7,
                    collection=collection,
                    operation="insert",
                    id=id,
                    before=None,
                    after=b"{}",
                )
            )

    async def head(self) -> str:
        if self.faults:
            self.faults -= 1
            raise OSError("the disk is away")
        self.heads += 1
        return str(len(self.events))

    def read(self, after: str, limit: int = 1000) -> list[ChangeEvent]:
        self.reads += 1
        if self.faults:
            self.faults -= 1
            raise OSError("the disk is away")
        if int(after) < self.kept_from:
            raise CursorTooOld
        return self.events[int(after) : int(after) + limit]

    async def wait(self, after: str, timeout: float) -> bool:  # noqa: ASYNC109 - the port's name
        await asyncio.sleep(0.001)
        return True


class Ears:
    def __init__(self) -> None:
        self.commits: list[Commit] = []
        self.losses = 0

    def take(self, commit: Commit) -> None:
        self.commits.append(commit)

    def lost(self) -> None:
        self.losses += 1

    @property
    def heard(self) -> list[list[str]]:
        return [[event.id for event in commit.events] for commit in self.commits]


@asynccontextmanager
async def following(feed: MemoryFeed) -> AsyncIterator[FeedFollower]:
    follower = FeedFollower(lambda: feed)
    await follower.start()
    try:
        yield follower
    finally:
        await follower.stop()
        await follower.stop()


@in_loop
async def test_commits_come_whole_in_order_and_once() -> None:
    feed, ears = MemoryFeed(), Ears()
    feed.write("posts/before")
    async with following(feed) as follower:
        follower.listen("posts", ears)
        follower.listen("users", ears)
        await follower.ready()
        feed.write("posts/a", "users/b", "other/c")
        feed.write("other/d")
        feed.write("posts/e")
        await until(lambda: len(ears.commits) == 2)
        assert ears.heard == [["a", "b", "c"], ["e"]]
        assert ears.commits[-1].position == follower.position == "6"


@pytest.mark.parametrize("size", [2, 3, 4, 7])
@in_loop
async def test_a_transaction_longer_than_a_page_is_one_commit(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    feed, ears = MemoryFeed(), Ears()
    async with following(feed) as follower:
        follower.listen("posts", ears)
        await follower.ready()
        feed.write("posts/first")
        feed.write(*(f"posts/{n}" for n in range(size)))
        feed.write("posts/last")
        await until(lambda: len(ears.commits) >= 3)
        assert [len(commit.events) for commit in ears.commits] == [1, size, 1]


@in_loop
async def test_a_feed_that_no_longer_reaches_back_is_told_to_all() -> None:
    feed, posts, users = MemoryFeed(), Ears(), Ears()
    async with following(feed) as follower:
        follower.listen("posts", posts)
        follower.listen("users", users)
        await follower.ready()
        feed.write("posts/a")
        feed.write("posts/b")
        feed.kept_from = 1
        await until(lambda: posts.losses)
        assert (posts.losses, users.losses, posts.commits) == (1, 1, [])
        feed.write("posts/c")
        await until(lambda: posts.commits)
        assert posts.heard == [["c"]]


@in_loop
async def test_it_goes_on_after_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.01)
    feed, ears = MemoryFeed(), Ears()
    async with following(feed) as follower:
        feed.faults = 3
        follower.listen("posts", ears)
        await follower.ready()
        feed.write("posts/a")
        await until(lambda: ears.commits)
        feed.faults = 3
        feed.write("posts/b")
        await until(lambda: len(ears.commits) == 2)
        assert ears.heard == [["a"], ["b"]]


@in_loop
async def test_it_begins_at_the_end_of_the_feed_and_leaves_no_gap() -> None:
    feed, first, second = MemoryFeed(), Ears(), Ears()
    async with following(feed) as follower:
        follower.listen("posts", first)
        await follower.ready()
        feed.write("posts/a")
        await until(lambda: first.commits)
        follower.ignore("posts", first)
        await until(lambda: not follower._following.is_set())
        reads = feed.reads
        for number in range(5000):
            feed.write(f"posts/{number}")
        await asyncio.sleep(0.02)
        assert feed.reads == reads
        follower.listen("posts", second)
        await follower.ready()
        assert follower.position == "5001"
        feed.write("posts/b")
        await until(lambda: second.commits)
        assert second.heard == [["b"]]


@in_loop
async def test_one_who_comes_as_the_last_one_goes_misses_nothing() -> None:
    feed, ears = MemoryFeed(), Ears()
    async with following(feed) as follower:
        for number in range(50):
            follower.listen("posts", ears)
            await follower.ready()
            feed.write(f"posts/{number}")
            await until(lambda number=number: len(ears.commits) == number + 1)  # type: ignore[misc]
            follower.ignore("posts", ears)
            for _ in range(number % 7):
                await asyncio.sleep(0)
        assert ears.heard == [[str(number)] for number in range(50)]


@in_loop
async def test_it_reads_nothing_while_nobody_listens() -> None:
    feed, ears = MemoryFeed(), Ears()
    async with following(feed) as follower:
        await asyncio.sleep(0.02)
        assert feed.reads == 0
        follower.listen("posts", ears)
        follower.ignore("posts", ears)
        follower.ignore("posts", ears)
        feed.write("posts/a")
        await asyncio.sleep(0.02)
        assert ears.commits == []
