"""Watches and channels of the Python client whose takers are slow."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from baas_sdkgen.runtime.py.entries import (
    MOST_EVENTS,
    MOST_SNAPSHOTS,
    ChannelEntry,
    Gap,
    Snapshot,
    Spoken,
    WatchEntry,
)
from baas_sdkgen.runtime.py.errors import BaasError


def snapshot(*ids: str) -> dict[str, Any]:
    documents = [{"_id": one} for one in ids]
    return {"type": "snapshot", "id": "w1", "documents": documents, "cursor": "0"}


def change(op: str, id: str, index: int = 0, **more: Any) -> dict[str, Any]:
    made = {"op": op, "docId": id, "index": index, "document": {"_id": id, **more}}
    made |= {"updated": list(more), "removed": []} if op == "update" else {}
    return {"type": "change", "id": "w1", "cursor": "1", "changes": [made]}


def taken(feed: Any) -> list[Any]:
    async def take() -> list[Any]:
        return [await feed.next() for _ in range(len(feed))]

    return asyncio.run(take())


def watching(*frames: dict[str, Any]) -> list[Snapshot[Any]]:
    entry = WatchEntry("w1", {"collection": "posts"})
    for frame in frames:
        entry.take(frame)
    return taken(entry.feed)


def test_changes_are_applied_in_order() -> None:
    found = watching(
        snapshot("a", "b"),
        change("enter", "c", 1),
        change("update", "a", 2, n=1),
        change("leave", "b"),
    )
    assert [[doc["_id"] for doc in one.docs] for one in found] == [
        ["a", "b"],
        ["a", "c", "b"],
        ["c", "b", "a"],
        ["c", "a"],
    ]
    assert [one.id for one in found] == [0, 1, 2, 3]
    assert [one.type for one in found] == ["init", None, None, None]
    assert found[2].doc_changes[0].updated_fields == ("n",)
    assert found[3].doc_changes[0].doc == {"_id": "b"}


def test_documents_without_ids_are_followed_by_those_of_the_frames() -> None:
    first = {"type": "snapshot", "documents": [], "cursor": "0"}
    enter = change("enter", "a")
    enter["changes"][0]["document"] = {"title": "x"}
    found = watching(first, enter, change("leave", "a"))
    assert [one.docs for one in found] == [[], [{"title": "x"}], []]


def test_a_snapshot_that_was_taken_does_not_change_afterwards() -> None:
    first, second = watching(snapshot("a"), change("leave", "a"))
    assert first.docs == [{"_id": "a"}]
    assert second.docs == []


def test_who_is_far_behind_gets_the_whole_result_and_no_more_than_that_is_kept() -> None:
    entry = WatchEntry("w1", {"collection": "posts"})
    entry.take(snapshot("a"))
    for number in range(MOST_SNAPSHOTS + 5):
        entry.take(change("update", "a", n=number))
    found = taken(entry.feed)
    assert len(found) < MOST_SNAPSHOTS
    assert found[0].type == "init"
    assert found[0].docs == [{"_id": "a", "n": MOST_SNAPSHOTS - 1}]
    assert found[-1].docs == [{"_id": "a", "n": MOST_SNAPSHOTS + 4}]
    assert [one.id for one in found] == list(range(found[0].id, found[-1].id + 1))


def test_of_a_channel_nobody_listens_to_the_newest_are_kept_and_a_gap_is_told() -> None:
    entry = ChannelEntry("c1", "room", None)
    for number in range(MOST_EVENTS + 5):
        said = {"event": "said", "data": number, "from": None}
        entry.take({"type": "message", "id": "c1", "cursor": str(number), **said})
    found = taken(entry.feed)
    assert len(found) == MOST_EVENTS
    assert isinstance(found[0], Gap)
    numbers = [one.message.data for one in found[1:] if isinstance(one, Spoken)]
    assert numbers == list(range(numbers[0], MOST_EVENTS + 5))
    assert len(numbers) == MOST_EVENTS - 1


def test_who_comes_and_goes_is_kept_up_with() -> None:
    entry = ChannelEntry("c1", "room", {"x": 1})
    assert entry.opening() == {"type": "join", "id": "c1", "channel": "room", "presence": {"x": 1}}
    moment = {"$date": "2026-11-21T08:00:00.000Z"}

    def person(session: str, state: Any) -> dict[str, Any]:
        return {"uid": session, "session": session, "state": state, "since": moment}

    entry.take({"type": "joined", "presence": [person("a", 1)], "cursor": None})
    entry.take({"type": "presence", "join": [person("b", 1)], "leave": []})
    entry.take({"type": "presence", "join": [person("a", 2)], "leave": []})
    assert {one.session: one.state for one in entry.here} == {"a": 2, "b": 1}
    entry.take({"type": "presence", "join": [], "leave": [{"uid": "b", "session": "b"}]})
    assert [one.session for one in entry.here] == ["a"]


def test_an_end_comes_after_what_was_there() -> None:
    entry = WatchEntry("w1", {"collection": "posts"})
    entry.take(snapshot("a"))
    entry.end(BaasError("PERMISSION_DENIED", "no more"))
    entry.end(None)

    async def take() -> None:
        assert (await entry.feed.next()).docs == [{"_id": "a"}]
        for _ in range(2):
            with pytest.raises(BaasError, match="no more"):
                await entry.feed.next()

    asyncio.run(take())
