"""Who is seen where: told to those who may see it, over processes, crashes, pauses and broken
joins."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from baas.errors import Code, Problem
from baas.push.channels import presence
from baas.push.channels.rows import OWNERS, PRESENCE
from baas.push.contract import POLL
from tests.support.joining import Ear, building
from tests.support.sessions import in_loop
from tests.support.stores import change, find, insert, setting, write


@in_loop
async def test_others_see_who_comes_changes_and_goes(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        one, two = await there.process(), await there.process()
        ann = await one.join("hall:a", "ann", presence={"n": 1})
        bob = await two.join("hall:a", "bob", presence={"n": 2})
        await there.caught_up()
        assert ann.states == bob.states == {"ann": {"n": 1}, "bob": {"n": 2}}
        since = bob.present["s-ann"]["since"]
        there.clock.advance(5)
        await ann.show({"n": 3})
        await there.caught_up()
        assert bob.states["ann"] == {"n": 3}
        assert bob.present["s-ann"]["since"] == since
        await ann.show()  # joined again without: there, but not seen
        await there.caught_up()
        assert bob.states == {"bob": {"n": 2}}
        await bob.say("still heard")
        await there.caught_up()
        assert ann.messages == ["still heard"]
        bob.member.close()
        await there.caught_up()
        assert ann.states == {}
        assert await find(there.store, PRESENCE) == []


@in_loop
async def test_a_state_has_a_largest_size_and_a_channel_a_largest_number(tmp_path: Path) -> None:
    async with building(tmp_path, presence_entries=2) as there:
        process = await there.process()
        with pytest.raises(Problem) as refused:
            await process.join("hall:a", "ann", presence="x" * 1023)
        assert refused.value.code is Code.INVALID_ARGUMENT
        ann = await process.join("hall:a", "ann", presence="x" * 1022)
        await process.join("hall:a", "bob", presence={})
        with pytest.raises(Problem) as refused:
            await process.join("hall:a", "cid", presence={})
        assert refused.value.code is Code.LIMIT_EXCEEDED
        await ann.show({"n": 2})  # who is seen already may change
        cid = await process.join("hall:a", "cid")
        assert sorted(cid.states) == ["ann", "bob"]
        await process.join("hall:b", "cid", presence={})


@in_loop
async def test_one_user_does_not_fill_a_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by long-polls either, each of which stays to be seen for a while."""
    monkeypatch.setattr(presence, "MAX_OF_ONE", 3)
    async with building(tmp_path) as there:
        process = await there.process()
        await process.join("hall:a", "bob", presence={})
        for number in range(3):
            poll = await process.join(
                "hall:a", "ann", Ear(lasting=True), session=f"{POLL}{number}", presence={}
            )
            poll.member.close()
        with pytest.raises(Problem) as refused:
            await process.join("hall:a", "ann", session="another", presence={})
        assert refused.value.code is Code.LIMIT_EXCEEDED
        await process.join("hall:a", "ann", Ear(lasting=True), session=f"{POLL}1", presence={})
        await process.join("hall:b", "ann", session="another", presence={})
        cid = await process.join("hall:a", "cid", presence={})
        assert len(cid.present) == 5


@in_loop
async def test_what_a_refused_state_leaves_is_the_one_before(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        ann = await process.join("hall:a", "ann", presence={"n": 1})
        for state in ("x" * 2000, {"$date": "never"}):
            with pytest.raises(Problem):
                await ann.show(state)
        await there.caught_up()
        assert ann.states == {"ann": {"n": 1}}
        ann.member.close()
        await there.caught_up()
        assert await find(there.store, PRESENCE) == []


@in_loop
async def test_those_of_a_dead_process_go_in_time_and_the_living_stay(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        dead, alive = await there.process(), await there.process()
        await dead.join("hall:a", "ann", presence={})
        bob = await alive.join("hall:a", "bob", presence={})
        await there.crash(dead)
        for _ in range(4):
            there.clock.advance(5)
            await alive.channels.shown.presence.look_after()
            await there.caught_up()
            assert sorted(bob.states) == ["ann", "bob"]
        there.clock.advance(5)
        await alive.channels.shown.presence.look_after()
        await there.caught_up()
        assert sorted(bob.states) == ["bob"]
        assert len(await find(there.store, OWNERS)) == 1


@in_loop
async def test_a_process_that_stood_still_shows_its_own_again(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        halted, other = await there.process(), await there.process()
        await halted.join("hall:a", "ann", presence={"n": 1})
        bob = await other.join("hall:a", "bob")
        there.clock.advance(60)
        await other.channels.shown.presence.look_after()
        await there.caught_up()
        assert bob.states == {}
        await halted.channels.shown.presence.look_after()
        await there.caught_up()
        assert bob.states == {"ann": {"n": 1}}


@in_loop
async def test_a_poll_stays_a_minute_after_it_was_heard_of(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        bob = await process.join("hall:a", "bob")
        poll = await process.join("hall:a", "ann", Ear(lasting=True), presence={}, session="p")
        there.clock.advance(50)
        poll.member.alive()
        await there.caught_up()
        poll.member.close()
        there.clock.advance(59)
        await process.channels.shown.presence.look_after()
        await there.caught_up()
        assert sorted(bob.states) == ["ann"]
        there.clock.advance(2)
        await process.channels.shown.presence.look_after()
        await there.caught_up()
        assert sorted(bob.states) == []
        # Signs of life are nobody's news.
        assert bob.types == ["joined", "presence", "presence"]


@in_loop
async def test_a_poll_that_joins_without_presence_is_not_seen_any_more(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        first = await process.join("hall:a", "ann", Ear(lasting=True), presence={}, session="p")
        first.member.close()
        again = await process.join("hall:a", "ann", Ear(lasting=True), session="p")
        assert again.states == {}


@in_loop
async def test_one_session_under_two_ids_is_seen_until_both_have_left(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        bob = await process.join("hall:a", "bob")
        first = await process.join("hall:a", "ann", presence={"n": 1})
        second = await process.join("hall:a", "ann", presence={"n": 2})
        await there.caught_up()
        assert bob.states == {"ann": {"n": 2}}
        second.member.close()
        await there.caught_up()
        assert sorted(bob.states) == ["ann"]
        first.member.close()
        await there.caught_up()
        assert bob.states == {}


@in_loop
async def test_a_join_that_is_broken_off_leaves_nobody_behind(tmp_path: Path) -> None:
    """At whatever moment its client goes: also while its presence is being written."""
    async with building(tmp_path) as there:
        process = await there.process()
        await process.join("hall:a", "bob", presence={})
        for turns in range(12):
            joining = asyncio.create_task(process.join("hall:a", "ann", presence={}))
            for _ in range(turns):
                await asyncio.sleep(0)
            joining.cancel()
            await asyncio.wait([joining])
            if not joining.cancelled():
                joining.result().member.close()
            await there.caught_up()
            rows = await find(there.store, PRESENCE)
            assert [row["uid"] for row in rows] == ["bob"], turns


@in_loop
async def test_one_who_reads_slowly_gets_the_list_anew(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        slow = await process.join("hall:a", "bob")
        await process.join("hall:a", "ann", presence={"n": 1})
        await there.caught_up()
        slow.room = False
        cid = await process.join("hall:a", "cid", presence={})
        await process.join("hall:a", "dan", presence={})
        cid.member.close()
        await process.tell("hall:a", 1)
        await there.caught_up()
        assert (sorted(slow.states), slow.messages) == (["ann"], [])
        slow.make_room()
        await there.caught_up()
        assert (sorted(slow.states), slow.messages) == (["ann", "dan"], [1])
        assert "resync" not in slow.types  # nothing was lost


@in_loop
async def test_a_rule_that_takes_presence_away_empties_the_list(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        room = {"_id": "r", "members": ["ann", "bob"], "seen": ["ann", "bob"]}
        await write(there.store, insert("rooms", room))
        ann = await process.join("room:r", "ann", presence={})
        bob = await process.join("room:r", "bob", presence={})
        await there.caught_up()
        assert sorted(bob.states) == ["ann", "bob"]
        await write(there.store, change("rooms", "r", setting(seen=["ann"])))
        await there.caught_up()
        await there.caught_up()
        assert (bob.states, bob.ended) == ({}, None)
        assert sorted(ann.states) == ["ann"]
        await process.tell("room:r", 1)
        await there.caught_up()
        assert bob.messages == [1]
        await write(there.store, change("rooms", "r", setting(seen=["ann", "bob"])))
        await there.caught_up()
        await there.caught_up()
        assert sorted(bob.states) == ["ann"]


@in_loop
async def test_nobody_is_seen_without_a_rule(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        process = await there.process()
        with pytest.raises(Problem) as refused:
            await process.join("short:a", "ann", presence={})
        assert refused.value.code is Code.PERMISSION_DENIED
        assert await find(there.store, PRESENCE) == []


@in_loop
async def test_a_stop_takes_away_what_it_showed(tmp_path: Path) -> None:
    async with building(tmp_path) as there:
        stopping, other = await there.process(), await there.process()
        bob = await other.join("hall:a", "bob")
        await stopping.join("hall:a", "ann", presence={})
        await stopping.channels.stop()
        await there.caught_up()
        assert bob.states == {}
        assert await find(there.store, OWNERS) == []
