"""Messages of channels over one store: one order for all processes, nothing lost unsaid."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.ports.changes import CursorTooOld
from baas.push.channels.rows import CHANNELS, MESSAGES, channel_id
from tests.support.joining import Ear, building
from tests.support.realtime import until
from tests.support.sessions import in_loop
from tests.support.stores import change, delete, find, insert, setting, write


@in_loop
async def test_two_processes_that_write_at_once_make_one_order(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        one, two = await there.process(), await there.process()
        ears = [await one.join("hall:a", "ann"), await two.join("hall:a", "bob")]
        said = [ear.say([name, n]) for n in range(60) for name, ear in zip("ab", ears, strict=True)]
        await asyncio.gather(*said)
        await there.caught_up()
        assert ears[0].messages == ears[1].messages
        for name in "ab":
            mine = [n for who, n in ears[0].messages if who == name]
            assert mine == list(range(60))
        rows = sorted(await find(there.store, MESSAGES), key=lambda row: row["seq"])
        assert [row["after"] for row in rows[1:]] == [row["seq"] for row in rows[:-1]]


@in_loop
async def test_a_refused_message_takes_no_other_along(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("hall:a")
        texts = ["a", "refused", "b", "refused", "c"]
        results = await asyncio.gather(*map(ear.say, texts), return_exceptions=True)
        await there.caught_up()
        assert ear.messages == ["a", "b", "c"]
        codes = [one.code if isinstance(one, Problem) else None for one in results]
        assert codes == [None, Code.PERMISSION_DENIED, None, Code.PERMISSION_DENIED, None]


@in_loop
async def test_one_who_reads_slowly_hears_all_from_the_history(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        slow, quick = await process.join("hall:a", "ann"), await process.join("hall:a", "bob")
        await quick.say(0)
        await there.caught_up()
        for number in range(1, 40):
            if number % 3 == 0:
                slow.make_room()
            await quick.say(number)
            await there.caught_up()
            if number % 3 == 1:
                slow.room = False
        slow.make_room()
        await there.caught_up()
        assert slow.messages == quick.messages == list(range(40))
        assert "resync" not in slow.types


@in_loop
async def test_one_who_reads_too_slowly_is_told_so(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        slow, quick = await process.join("short:a", "ann"), await process.join("short:a", "bob")
        await quick.say(0)
        await there.caught_up()
        slow.room = False
        for number in range(1, 6):
            await quick.say(number)
        await there.caught_up()
        slow.make_room()
        await there.caught_up()
        assert slow.messages == [0, 3, 4, 5]
        assert slow.types == ["joined", "message", "resync", "message", "message", "message"]


@in_loop
async def test_without_history_a_slow_reader_is_told_that_something_was_missed(
    tmp_path: Path,
) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        slow, quick = await process.join("live:a", "ann"), await process.join("live:a", "bob")
        slow.room = False
        await quick.say(1)
        await quick.say(2)
        await there.caught_up()
        slow.make_room()
        await there.caught_up()
        await quick.say(3)
        await there.caught_up()
        assert slow.messages == [3]
        assert slow.types == ["joined", "resync", "message"]
        assert quick.messages == [1, 2, 3]


@in_loop
async def test_when_the_feed_was_lost_all_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with building(tmp_path) as there:
        process, other = await there.process(), await there.process()
        kept = await process.join("hall:a", "ann")
        passing = await process.join("live:a", "ann")
        await kept.say(0)
        await there.caught_up()
        feed = there.store.feed
        read, lost = feed.read, [1]

        def too_old(after: str, limit: int = 1000) -> Any:
            if lost:
                lost.pop()
                raise CursorTooOld
            return read(after, limit)

        monkeypatch.setattr(feed, "read", too_old)
        await other.tell("hall:a", 1)
        await other.tell("live:a", 1)
        await other.join("hall:a", "bob", presence={})
        await there.caught_up()
        await until(lambda: len(kept.messages) == 2 and kept.states)
        assert (kept.messages, sorted(kept.states)) == ([0, 1], ["bob"])
        assert passing.messages == [1] or "resync" in passing.types


@in_loop
async def test_messages_go_when_their_time_has_come(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("short:a")
        start = ear.cursor
        await ear.say("old")
        there.clock.advance(3000)
        await ear.say("new")
        there.clock.advance(601)
        late = await process.join("short:a", "bob", cursor=start)
        assert late.messages == ["new"]
        assert "resync" in late.types
        there.clock.advance(3600)
        later = await process.join("short:a", "bob", cursor=start)
        assert later.types == ["joined", "resync"]
        await ear.say("newest")
        await there.caught_up()
        assert later.messages == ["newest"]


@in_loop
async def test_an_inbox_forgets_what_has_expired_and_keeps_the_rest(tmp_path: Path) -> None:
    async with building(tmp_path, inbox_days=2) as there:
        process = await there.process()
        await process.write_to("ann", "short", keep=60)
        await process.write_to("ann", "long")
        there.clock.advance(61)
        ear = await process.join("inbox", "ann")
        assert (ear.messages, ear.types.count("resync")) == (["long"], 0)
        there.clock.advance(2 * 86_400)
        ear = await process.join("inbox", "ann")
        assert ear.messages == []
        for keep in (0, 0.5, 2 * 86_400 + 1):
            with pytest.raises(Problem):
                await process.write_to("ann", "x", keep=keep)


@in_loop
async def test_an_inbox_with_a_cursor_of_elsewhere_gives_all_it_has(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        await process.write_to("ann", 1)
        for cursor in ("", "x", (await process.join("hall:a")).cursor):
            ear = await process.join("inbox", "ann", cursor=cursor)
            assert ear.messages == [1]


@in_loop
async def test_an_inbox_keeps_so_many_and_drops_the_oldest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baas.push.channels.service.INBOX_MESSAGES", 5)
    async with building(tmp_path) as there:
        process = await there.process()
        for number in range(8):
            await process.write_to("ann", number)
        ear = await process.join("inbox", "ann")
        assert ear.messages == [3, 4, 5, 6, 7]


@in_loop
async def test_a_channel_that_was_forgotten_goes_on_above_all_it_had(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("hall:a", "ann")
        for number in range(3):
            await ear.say(number)
        await there.caught_up()
        cursor = ear.cursor
        ear.member.close()
        for row in await find(there.store, MESSAGES):
            await write(there.store, delete(MESSAGES, row["_id"]))
        await write(there.store, delete(CHANNELS, channel_id("hall:a")))
        there.clock.advance(3)
        late = await process.join("hall:a", "bob", cursor=cursor)
        assert late.types == ["joined", "resync"]
        for number in range(3, 9):
            await late.say(number)
        await there.caught_up()
        assert late.messages == [3, 4, 5, 6, 7, 8]
        again = await process.join("hall:a", "cid", cursor=cursor)
        assert again.types[:2] == ["joined", "resync"]
        assert again.messages == [3, 4, 5, 6, 7, 8]


@in_loop
async def test_the_first_message_of_a_channel_is_no_gap(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("hall:a")
        empty = ear.cursor
        await ear.say(1)
        await there.caught_up()
        late = await process.join("hall:a", "bob", cursor=empty)
        assert (ear.types, late.types) == (["joined", "message"], ["joined", "message"])


@in_loop
async def test_a_gap_anywhere_in_the_history_is_said_to_be_there(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("hall:a")
        start = ear.cursor
        for number in range(5):
            await ear.say(number)
        rows = sorted(await find(there.store, MESSAGES), key=lambda row: row["seq"])
        await write(there.store, delete(MESSAGES, rows[2]["_id"]))
        late = await process.join("hall:a", "bob", cursor=start)
        assert late.messages == [0, 1, 3, 4]
        assert late.types.index("resync") == 3


@in_loop
async def test_channels_that_nobody_uses_leave_nothing_in_memory(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        for number in range(30):
            ear = await process.join(f"hall:{number}", presence={})
            saying = asyncio.create_task(ear.say(1))
            await asyncio.sleep(0)
            if number % 2:
                saying.cancel()  # its client has gone
            await asyncio.wait([saying])
            ear.member.close()
        await there.caught_up()
        channels = process.channels
        assert len(await find(there.store, MESSAGES)) == 30
        left = [channels._members, channels._publisher._lanes, process.follower._listeners]
        assert left == [{}, {}, {}]


@in_loop
async def test_a_document_that_changes_as_its_rule_is_asked_is_asked_about_again(
    tmp_path: Path,
) -> None:
    """At whatever moment of a join a member is removed: it does not stay."""
    async with building(tmp_path) as there:
        process = await there.process()
        await write(there.store, insert("rooms", {"_id": "r", "members": [], "seen": []}))
        for turns in range(25):
            await write(there.store, change("rooms", "r", setting(members=["ann"])))
            await there.caught_up()
            ear = Ear()
            joining = asyncio.create_task(process.join("room:r", "ann", ear))
            for _ in range(turns):
                await asyncio.sleep(0)
            await write(there.store, change("rooms", "r", setting(members=[])))
            await asyncio.wait([joining])
            await there.caught_up()
            await there.caught_up()
            refused = joining.exception() is not None
            assert refused or ear.ended is not None, turns


@in_loop
async def test_a_rule_that_speaks_of_the_time_ends_in_time(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ear = await process.join("early")
        there.clock.advance(59)
        process.channels._resting.ask_the_timed()
        await there.caught_up()
        assert ear.ended is None
        there.clock.advance(30)
        process.channels._resting.ask_the_timed()
        await there.caught_up()
        assert ear.ended is not None
        assert ear.ended.code is Code.PERMISSION_DENIED
