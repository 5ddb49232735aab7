"""What a change costs: a look at the queries that it can touch, and one frame for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from baas.errors import Code, Problem
from baas.push.live.query import LiveQuery
from baas.settings import PushSettings, Settings
from tests.support.sessions import in_loop
from tests.support.watching import SERVER, Client, user, world


class Counts:
    """How often queries were asked about a change, and frames were made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[LiveQuery] = []
        self.evaluated = 0
        self.encoded = 0
        take, frame = LiveQuery.take, LiveQuery.change_frame
        entry = LiveQuery.entry_of

        def count_take(query: LiveQuery, *given: Any) -> None:
            self.asked.append(query)
            take(query, *given)

        def count_frame(query: LiveQuery, *given: Any) -> bytes:
            self.encoded += 1
            return frame(query, *given)

        def count_entry(query: LiveQuery, *given: Any) -> Any:
            self.evaluated += 1
            return entry(query, *given)

        monkeypatch.setattr(LiveQuery, "take", count_take)
        monkeypatch.setattr(LiveQuery, "change_frame", count_frame)
        monkeypatch.setattr(LiveQuery, "entry_of", count_entry)

    def reset(self) -> None:
        self.asked.clear()
        self.evaluated = self.encoded = 0


@in_loop
async def test_of_5000_queries_a_change_looks_at_those_it_can_touch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counts(monkeypatch)
    async with world(tmp_path) as there:
        clients: dict[str, Client] = {}
        kinds = {
            "equal": lambda n: {"n": n},
            "some": lambda n: {"n": {"$in": [n, -n]}},
            "range": lambda n: {"at": {"$gte": n * 10, "$lt": n * 10 + 10}},
            "both": lambda n: {"n": n, "kind": "x"},
        }
        for name, make in kinds.items():
            for number in range(1, 1251):
                clients[f"{name}{number}"] = Client()
                await there.watch(clients[f"{name}{number}"], filter=make(number))
        assert there.live.count == 5000
        await there.caught_up()
        counts.reset()
        await there.put("things", {"_id": "a", "n": 7, "kind": "x"})
        await there.caught_up()
        assert len(counts.asked) <= 3  # equal7, some7, both7
        heard = {name for name, one in clients.items() if one.result}
        assert heard == {"equal7", "some7", "both7"}
        counts.reset()
        await there.put("things", {"_id": "a", "n": 8, "kind": "y"})
        await there.caught_up()
        assert len(counts.asked) <= 6  # what it leaves, and what it comes to
        assert {name for name, one in clients.items() if one.result} == {"equal8", "some8"}
        counts.reset()
        await there.put("things", {"_id": "b", "at": 77})
        await there.caught_up()
        assert {name for name, one in clients.items() if one.result} >= {"range7"}
        assert len(counts.asked) == 1


@in_loop
async def test_one_query_is_evaluated_and_encoded_once_for_all_who_watch_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counts(monkeypatch)
    async with world(tmp_path, things="rules: {read: auth != null}") as there:
        clients = [Client() for _ in range(300)]
        for number, client in enumerate(clients):
            await there.watch(client, user(f"u{number}"), filter={"n": 1})
        assert there.live.count == 1
        counts.reset()
        await there.put("things", {"_id": "a", "n": 1})
        await there.caught_up()
        assert (len(counts.asked), counts.evaluated, counts.encoded) == (1, 1, 1)
        assert all([one["_id"] for one in client.result] == ["a"] for client in clients)
        seals = {client.cursor for client in clients}
        assert len(seals) == 300  # a cursor is its caller's own


@in_loop
async def test_those_whom_a_rule_shows_different_things_do_not_share(tmp_path: Path) -> None:
    masked = "rules: {read: true}\nfields: {phone: {read: doc._openid == auth.uid}}"
    owned = "rules: {read: doc._openid == auth.uid}"
    async with world(tmp_path, things=masked, mine=owned) as there:
        for collection in ("things", "mine"):
            before = there.live.count
            for uid in ("ann", "bob", "ann"):
                await there.watch(Client(), user(uid), collection=collection)
            assert there.live.count == before + 2


@in_loop
async def test_what_nobody_watches_is_not_kept(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        watches = [await there.watch(Client(), filter={"n": n}) for n in range(50)]
        for watch in watches:
            watch.close()
        await there.quiet()
        live = there.live
        assert (live.count, live._indexes, live._users, live._impure) == (0, {}, {}, {})
        assert not there.follower.listens


@in_loop
async def test_a_result_may_be_so_large(tmp_path: Path) -> None:
    settings = Settings(push=PushSettings(watch_documents=5, watch_bytes=1000))
    async with world(tmp_path, settings=settings) as there:
        await there.put("things", *({"_id": f"d{n}"} for n in range(5)))
        whole, window = Client(), Client()
        await there.watch(whole)
        await there.watch(window, limit=3)
        await there.put("things", {"_id": "d5"})
        await there.caught_up()
        assert whole.ended is not None
        assert whole.ended.code.name == "LIMIT_EXCEEDED"
        assert window.ended is None
        await there.put("things", {"_id": "a", "text": "x" * 1000})
        await there.caught_up()
        assert window.ended is not None
        assert window.ended.code.name == "LIMIT_EXCEEDED"
        assert there.live.count == 0
        await there.do(SERVER, "delete", filter={"_id": "a"})
        await there.watch(window, limit=3)
        assert len(window.result) == 3


@in_loop
async def test_all_results_of_one_user_may_be_so_large(tmp_path: Path) -> None:
    settings = Settings(push=PushSettings(watched_bytes_per_user=25_000))
    async with world(tmp_path, settings=settings) as there:
        await there.put("things", {"_id": "a", "text": "x" * 10_000})
        await there.watch(Client(), user("ann"), filter={"n": {"$ne": 1}})
        second = await there.watch(Client(), user("ann"), filter={"n": {"$ne": 2}})
        await there.watch(Client(), user("ann"), filter={"n": {"$ne": 1}})  # one that it has
        with pytest.raises(Problem) as refused:
            await there.watch(Client(), user("ann"), filter={"n": {"$ne": 3}})
        assert refused.value.code is Code.LIMIT_EXCEEDED
        await there.watch(Client(), user("bob"), filter={"n": {"$ne": 3}})
        for number in range(5, 9):  # the operator's
            await there.watch(Client(), SERVER, filter={"n": {"$ne": number}})
        second.close()
        await there.watch(Client(), user("ann"), filter={"n": {"$ne": 3}})


@in_loop
async def test_all_results_of_a_process_may_be_so_large(tmp_path: Path) -> None:
    settings = Settings(push=PushSettings(watched_bytes=25_000))
    async with world(tmp_path, settings=settings) as there:
        await there.put("things", {"_id": "a", "text": "x" * 10_000})
        open_ones = []
        for number in range(2):
            mine = user(f"u{number}")
            open_ones.append(await there.watch(Client(), mine, filter={"n": {"$ne": number}}))
        with pytest.raises(Problem) as refused:
            await there.watch(Client(), user("ann"), filter={"n": {"$ne": 9}})
        assert refused.value.code is Code.UNAVAILABLE
        for one in open_ones:
            one.close()
        await there.watch(Client(), user("ann"), filter={"n": {"$ne": 9}})
        assert there.live.budget.total < 25_000


@in_loop
async def test_queries_that_every_change_asks_are_few_for_one_user(tmp_path: Path) -> None:
    async with world(tmp_path) as there:
        for number in range(200):
            await there.watch(Client(), user("ann"), filter={"n": {"$ne": number}})
        with pytest.raises(Problem) as refused:
            await there.watch(Client(), user("ann"), filter={"n": {"$ne": 200}})
        assert refused.value.code is Code.LIMIT_EXCEEDED
        for number in range(300):  # those that a change can be told apart from
            await there.watch(Client(), user("ann"), filter={"n": number})
        await there.watch(Client(), user("ann"), filter={"n": {"$ne": 7}})  # one that it has
        await there.watch(Client(), user("bob"), filter={"n": {"$ne": 200}})


@in_loop
async def test_queries_that_have_to_be_read_again_are_fewer(tmp_path: Path) -> None:
    rules = {
        "things": "rules: {read: true}\nfields: {x: {read: \"exists('database.a.' + doc._id)\"}}",
        "a": "acl: ADMINONLY",
    }
    async with world(tmp_path, **rules) as there:
        for number in range(20):
            await there.watch(Client(), user("ann"), filter={"n": number})
        with pytest.raises(Problem) as refused:
            await there.watch(Client(), user("ann"), filter={"n": 20})
        assert refused.value.code is Code.LIMIT_EXCEEDED
