"""What is watched while rights change: rules, roles, callers, looked-up documents, time; and
cursors that are another's or bent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.push.contract import Caller
from tests.support.database import IP
from tests.support.sessions import in_loop
from tests.support.watching import NOBODY, SERVER, Client, World, user, world

ROOMS = """
rules:
  read: "auth.uid in get('database.rooms.r').members"
"""


def ids(client: Client) -> list[str]:
    return [one["_id"] for one in client.result]


@in_loop
async def test_a_new_rule_moves_the_view_without_a_new_snapshot(tmp_path: Path) -> None:
    async with world(tmp_path, things="rules: {read: true}") as there:
        await there.put("things", {"_id": "a", "open": True}, {"_id": "b"}, {"_id": "c"})
        client = Client()
        await there.watch(client, user("ann"))
        await there.use_rules(things="rules: {read: doc.open == true}")
        assert ids(client) == ["a"]
        leaves = [c for f in client.frames for c in f.get("changes", ())]
        assert [set(change) for change in leaves] == [{"op", "docId"}] * 2  # no content
        await there.put("things", {"_id": "b", "open": True})
        await there.caught_up()
        assert ids(client) == ["a", "b"]
        await there.use_rules(things="rules: {read: true}")
        assert ids(client) == ["a", "b", "c"]
        assert client.types.count("snapshot") == 1
        await there.use_rules(things="rules: {read: false}")
        assert client.ended is not None
        assert client.ended.code is Code.PERMISSION_DENIED


@in_loop
async def test_a_mask_that_comes_takes_the_field_out_of_the_view(tmp_path: Path) -> None:
    async with world(tmp_path, things="rules: {read: true}") as there:
        await there.put("things", {"_id": "a", "phone": "1", "n": 1})
        client = Client()
        await there.watch(client, user("ann"))
        await there.use_rules(things="rules: {read: true}\nfields: {phone: {read: false}}")
        assert "phone" not in client.result[0]
        (change,) = client.frames[-1]["changes"]
        assert (change["removed"], change["updated"]) == (["phone"], [])
        frames = len(client.frames)
        await there.do(SERVER, "update", id="a", update={"$set": {"phone": "2"}})
        await there.caught_up()
        assert all("phone" not in str(frame) for frame in client.frames[frames:])


@in_loop
async def test_a_mask_on_what_is_asked_ends_the_watch(tmp_path: Path) -> None:
    async with world(tmp_path, things="rules: {read: true}") as there:
        client = Client()
        await there.watch(client, user("ann"), filter={"phone": "1"})
        await there.use_rules(things="rules: {read: true}\nfields: {phone: {read: false}}")
        assert client.ended is not None
        assert client.ended.code is Code.PERMISSION_DENIED


@in_loop
async def test_a_role_that_goes_takes_its_documents_and_no_more(tmp_path: Path) -> None:
    rules = "rules: {read: \"doc.open == true || 'mod' in auth.roles\"}"
    async with world(tmp_path, things=rules) as there:
        await there.put("things", {"_id": "a", "open": True}, {"_id": "b"})
        client = Client()
        watch = await there.watch(client, user("ann", "mod"))
        assert ids(client) == ["a", "b"]
        await watch.renew(Caller(user("ann"), IP))
        assert ids(client) == ["a"]
        await watch.renew(Caller(user("ann", "mod"), IP))
        assert ids(client) == ["a", "b"]
        assert client.types.count("snapshot") == 1


@in_loop
async def test_a_looked_up_document_ends_and_lets_in(tmp_path: Path) -> None:
    async with world(tmp_path, things=ROOMS, rooms="acl: ADMINONLY") as there:
        await there.put("rooms", {"_id": "r", "members": ["ann"]})
        client = Client()
        await there.watch(client, user("ann"))
        with pytest.raises(Problem):
            await there.watch(Client(), user("bob"))
        await there.put("rooms", {"_id": "r", "members": ["bob"]})
        await there.caught_up()
        assert client.ended is not None
        await there.watch(Client(), user("bob"))


@in_loop
async def test_at_whatever_moment_it_changes_a_watch_does_not_stay(tmp_path: Path) -> None:
    async with world(tmp_path, things=ROOMS, rooms="acl: ADMINONLY") as there:
        for turns in [*range(25)] * 3:
            await there.put("rooms", {"_id": "r", "members": ["ann"]})
            await there.caught_up()
            client = Client()
            opening = asyncio.create_task(there.watch(client, user("ann")))
            for _ in range(turns):
                await asyncio.sleep(0)
            await there.put("rooms", {"_id": "r", "members": []})
            await asyncio.wait([opening])
            await there.caught_up()
            await there.caught_up()
            assert opening.exception() is not None or client.ended is not None, turns


@in_loop
async def test_a_rule_that_speaks_of_the_time_is_asked_again(tmp_path: Path) -> None:
    async with world(tmp_path, things="rules: {read: doc.until > now}") as there:
        now = there.clock.now_ms()
        await there.put("things", {"_id": "a", "until": now + 10_000}, {"_id": "b", "until": 0})
        client = Client()
        await there.watch(client, user("ann"))
        assert ids(client) == ["a"]
        there.clock.advance(31)
        there.live._resting.ask_the_timed()
        await there.quiet()
        assert ids(client) == []
        await there.put("things", {"_id": "c", "until": there.clock.now_ms() + 99_000})
        await there.caught_up()
        assert ids(client) == ["c"]


# -- cursors --------------------------------------------------------------------------------------


async def kinds(there: World, actor: Any, cursor: str, **query: Any) -> list[str]:
    client = Client()
    client.documents = []
    watch = await there.watch(client, actor, cursor=cursor, **query)
    watch.close()
    return client.types


@in_loop
async def test_a_cursor_is_its_query_s_its_caller_s_and_its_rules_own(tmp_path: Path) -> None:
    rules = {"things": "rules: {read: auth != null}", "others": "rules: {read: auth != null}"}
    async with world(tmp_path, **rules) as there:
        client = Client()
        query = {"filter": {"n": 1}, "sort": {"n": 1}, "fields": {"n": 1}}
        await there.watch(client, user("ann"), **query)
        await there.put("things", {"_id": "a", "n": 1})
        await there.caught_up()
        cursor = client.cursor or ""
        assert await kinds(there, user("ann"), cursor, **query) == ["resumed"]
        afresh = ["resync", "snapshot"]
        assert await kinds(there, user("bob"), cursor, **query) == afresh
        assert await kinds(there, user("ann", "mod"), cursor, **query) == afresh
        assert await kinds(there, SERVER, cursor, **query) == afresh
        assert await kinds(there, user("ann"), cursor, collection="others", **query) == afresh
        for other in ({"filter": {"n": 2}}, {"sort": {"n": -1}}, {"fields": None}, {"limit": 5}):
            assert await kinds(there, user("ann"), cursor, **{**query, **other}) == afresh, other
        await there.use_rules(things="rules: {read: auth != null, delete: false}")
        assert await kinds(there, user("ann"), cursor, **query) == afresh
        with pytest.raises(Problem):
            await there.watch(Client(), NOBODY, cursor=cursor, **query)


@in_loop
async def test_a_bent_cursor_is_none(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        client = Client()
        await there.watch(client, user("ann"))
        cursor = client.cursor or ""
        position, _, seal = cursor.partition(".")
        other = Client()
        await there.watch(other, user("ann"), filter={"n": 1})
        bent = ["", ".", "x", cursor + "A", cursor[1:], f"{position}.", f".{seal}", seal, position]
        bent += [f"{seal}.{position}", f"{position[:-1]}.{seal}", "\u00e9.\u00e9", "A" * 2048]
        bent += [f"{position}.{(other.cursor or '').partition('.')[2]}", f"{cursor}\u0000"]
        bent += [
            f"{position[:at]}{'A' if position[at] != 'A' else 'B'}{position[at + 1 :]}.{seal}"
            for at in range(0, len(position) - 1)
        ]
        for text in bent:
            assert await kinds(there, user("ann"), text) == ["resync", "snapshot"], text
        assert await kinds(there, user("ann"), cursor) == ["resumed"]


@in_loop
async def test_a_filter_that_is_relative_to_the_time_does_not_go_on(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        now = there.clock.now_ms()
        when = {"$date": "2027-01-15T08:00:10.000Z"}
        await there.put("things", {"_id": "a", "at": when})
        query = {"filter": {"at": {"$gt": {"$date": {"offset": 0}}}}}
        client = Client()
        watch = await there.watch(client, user("ann"), **query)
        assert now < 1_800_000_010_000
        assert ids(client) == ["a"]
        watch.close()
        there.clock.advance(60)
        await there.watch(client, user("ann"), cursor=client.cursor, **query)
        assert ids(client) == []


@in_loop
async def test_who_is_told_of_a_leave_was_told_of_the_document(tmp_path: Path) -> None:
    """A hidden document's coming, changing and going are nobody's news."""
    rules = "rules: {read: doc.open == true}"
    async with world(tmp_path, things=rules) as there:
        clients = [Client() for _ in range(3)]
        await there.watch(clients[0], user("ann"))
        await there.watch(clients[1], user("ann"), limit=1)
        await there.watch(clients[2], user("ann"), sort={"n": -1}, fields={"n": 1})
        for step in ({"n": 1}, {"n": 2, "open": False}, {"n": 3}):
            await there.put("things", {"_id": "hidden", **step})
        await there.do(SERVER, "delete", filter={"_id": "hidden"})
        await there.caught_up()
        assert [client.types for client in clients] == [["snapshot"]] * 3
        snapshot = clients[0].cursor
        assert await kinds(there, user("ann"), snapshot or "") == ["resumed"]
