"""`ctx`: the caller, the database with server rights and with the caller's, transactions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from baas.errors import Code
from baas.functions.context import auth_of, check_delay
from baas.functions.model import Call
from baas.functions.transactions import ATTEMPTS
from baas.functions.values import NotJson, from_wire, to_wire
from baas.ports.documents import resolve
from baas.schema.actor import NOBODY
from baas.schema.values import Value
from tests.support.database import ANN, BOB, MODERATOR
from tests.support.invoking import Shop, shop

FACTS = """
@fn.event(env={"COLOUR": "red"})
async def facts(ctx, event):
    return {
        "uid": ctx.auth and ctx.auth.uid, "by_name": ctx.auth and ctx.auth["openid"],
        "roles": ctx.auth and ctx.auth.roles, "unionid": ctx.auth and ctx.auth.get("unionid", "-"),
        "trigger": ctx.trigger.kind, "details": ctx.trigger.details, "request": ctx.requestId,
        "raw": ctx.raw_event, "colour": ctx.config["COLOUR"], "attempt": ctx.attempt,
    }
"""


@shop(FACTS)
async def test_a_function_sees_who_called_and_why(shop: Shop) -> None:
    facts = await shop.call("facts", {"a": 1}, actor=MODERATOR, request_id="r-1")
    assert facts == {
        "uid": "mod",
        "by_name": "mod",
        "roles": ["moderator"],
        "unionid": "-",
        "trigger": "event",
        "details": {},
        "request": "r-1",
        "raw": {"a": 1},
        "colour": "red",
        "attempt": 1,
    }
    assert (await shop.call("facts"))["uid"] is None


def test_auth_has_the_members_that_rules_know() -> None:
    auth = auth_of(MODERATOR)
    assert auth is not None
    known = MODERATOR.as_rule_value()
    assert {name: auth[name] for name in known} == {**known, "roles": ("moderator",)}
    with pytest.raises(KeyError):
        auth["password"]
    assert auth_of(NOBODY) is None


# -- values ---------------------------------------------------------------------------------------


def test_values_go_to_the_wire_and_back() -> None:
    moment = datetime(2026, 11, 20, 8, 0, 0, 123_000, tzinfo=UTC)
    wire = to_wire({"at": moment, "list": (moment.replace(tzinfo=None),), 1: {2}})
    date = {"$date": "2026-11-20T08:00:00.123Z"}
    assert wire == {"at": date, "list": [date], "1": [2]}
    assert from_wire(wire)["at"] == moment
    assert from_wire({"$date": {"offset": 5}}) == {"$date": {"offset": 5}}
    assert to_wire(datetime(1, 1, 1)) == {"$date": "0001-01-01T00:00:00.000Z"}
    for unfit in (object(), {(1, 2): 3}, [lambda: None]):
        with pytest.raises(NotJson):
            to_wire(unfit)


# -- the database ---------------------------------------------------------------------------------

VERBS = """
from datetime import datetime, timedelta

@fn.event()
async def tour(ctx, event):
    posts = ctx.database.collection("posts")
    now = datetime(2026, 11, 20, 8, 0)
    (one,) = (await posts.insert({"title": "one", "at": now}))["ids"]
    two = (await posts.insert([{"title": "two"}, {"title": "three"}]))["ids"]
    await posts.update(one, {"$inc": {"score": 2}})
    unscored = {"score": {"$exists": False}}
    changed = await posts.update(filter=unscored, update={"$set": {"score": 0}}, multi=True)
    await posts.replace(two[0], {"title": "TWO"})
    gone = await posts.delete(two[1])
    found = await posts.find({"at": {"$gt": now - timedelta(days=1)}}, fields={"title": 1})
    return {
        "at": (await posts.get(one))["at"].replace(tzinfo=None) == now,
        "matched": changed["matched"], "deleted": gone["deleted"],
        "found": [d["title"] for d in found["documents"]],
        "count": (await posts.count())["total"],
        "sum": (await posts.aggregate([{"$group": {"_id": None, "n": {"$sum": 1}}}]))["documents"],
        "page": (await posts.find(sort={"title": 1}, limit=1, count=True))["total"],
    }

@fn.event()
def tour_in_a_thread(ctx, event):
    posts = ctx.database.collection("posts")
    (one,) = posts.insert({"title": "one"})["ids"]
    posts.update(one, {"$set": {"title": "ONE"}})
    return posts.get(one)["title"]
"""


@shop(VERBS)
async def test_every_verb_with_server_rights_and_datetimes(shop: Shop) -> None:
    assert await shop.call("tour") == {
        "at": True,
        "matched": 2,
        "deleted": 1,
        "found": ["one"],
        "count": 2,
        "sum": [{"_id": None, "n": 2}],
        "page": 2,
    }


@shop(VERBS)
async def test_a_sync_function_has_the_same_without_await(shop: Shop) -> None:
    assert await shop.call("tour_in_a_thread") == "ONE"


@shop(
    """
    @fn.event()
    async def mine(ctx, event):
        posts = ctx.as_caller().database.collection("posts")
        (id,) = (await posts.insert({"title": "mine"}))["ids"]
        others = await posts.find({})
        return {"id": id, "seen": len(others["documents"])}

    @fn.event()
    async def theirs(ctx, event):
        await ctx.as_caller().database.collection("posts").delete(event["id"])
    """
)
async def test_as_caller_obeys_the_rules(shop: Shop) -> None:
    await shop.insert("posts", {"title": "hidden"})
    answer = await shop.call("mine", actor=ANN)
    assert answer["seen"] == 1
    assert (await shop.stored("posts"))[answer["id"]]["_openid"] == "ann"
    problem = await shop.problem("theirs", {"id": answer["id"]}, actor=BOB)
    assert problem.code is Code.FUNCTION_FAILED
    assert answer["id"] in await shop.stored("posts")


@shop(
    """
    @fn.event()
    async def write(ctx, event):
        await ctx.database.collection("posts").insert({"title": "a"})
    """
)
async def test_the_feed_names_who_is_behind_a_write_and_how_deep_it_is(shop: Shop) -> None:
    feed = shop.store.feed
    start = await resolve(feed.head())
    await shop.call("write", actor=ANN, depth=3)
    event = {"type": "x", "actor": "bob"}
    await shop.call("write", event, kind="custom")
    await shop.call("write", event, kind="event")
    events = await resolve(feed.read(start))
    assert [(event.actor, event.depth) for event in events] == [("ann", 3), ("bob", 0), (None, 0)]


@shop(
    """
    @fn.event()
    async def write(ctx, event):
        await ctx.database.collection("posts").insert({"title": "a"})

    @fn.event()
    async def through(ctx, event):
        await ctx.call("write", event)
    """
)
async def test_nobody_names_himself_by_what_he_sends(shop: Shop) -> None:
    """A function that hands its event on is no way to write in another's name; what the kit itself
    knows of who is behind a trigger goes along."""
    feed = shop.store.feed
    start = await resolve(feed.head())
    event = {"type": "x", "actor": "bob"}
    await shop.call("through", event, kind="event")
    await shop.call("through", event, kind="custom")
    await shop.call("through", event, actor=ANN)
    events = await resolve(feed.read(start))
    assert [event.actor for event in events] == [None, "bob", "ann"]


# -- transactions ---------------------------------------------------------------------------------

TRANSFER = """
import asyncio

between = asyncio.Event()
go_on = asyncio.Event()

async def move(tx, amount):
    posts = tx.collection("posts")
    a, b = await posts.get("a"), await posts.get("b")
    await posts.update("a", {"$set": {"score": a["score"] - amount}})
    await posts.update("b", {"$set": {"score": b["score"] + amount}})
    return a["score"]

@fn.event()
async def transfer(ctx, event):
    return await ctx.database.run_transaction(lambda tx: move(tx, 1))

@fn.event()
async def slow(ctx, event):
    async with ctx.database.transaction() as tx:
        await move(tx, 1)
        between.set()
        await go_on.wait()

@fn.event()
def in_a_thread(ctx, event):
    def work(tx):
        score = tx.collection("posts").get("a")["score"]
        tx.collection("posts").update("a", {"$set": {"score": score + 1}})
        return score
    with ctx.database.transaction() as tx:
        tx.collection("posts").delete("b")
    return ctx.database.run_transaction(work)

@fn.event()
async def never(ctx, event):
    tries = 0
    async def work(tx):
        nonlocal tries
        tries += 1
        await tx.collection("posts").get("a")
        await ctx.database.collection("posts").update("a", {"$inc": {"score": 1}})
        await tx.collection("posts").update("b", {"$set": {"score": 0}})
    try:
        await ctx.database.run_transaction(work)
    except Exception as problem:
        return [tries, problem.code.name]

@fn.event()
async def gives_up(ctx, event):
    async with ctx.database.transaction() as tx:
        await tx.collection("posts").delete("a")
        raise fn.Error("NO", status=400)

@fn.event()
async def sees_itself(ctx, event):
    async with ctx.database.transaction() as tx:
        posts = tx.collection("posts")
        (new,) = (await posts.insert({"title": "new", "score": 50}))["ids"]
        rich = {"score": {"$gte": 10}}
        await posts.update(filter=rich, update={"$inc": {"score": 1}}, multi=True)
        await posts.delete(filter={"title": "b"})
        found = await posts.find({"score": {"$gt": 0}}, sort={"score": -1}, fields={"score": 1})
        scores = [one["score"] for one in found["documents"]]
        total = (await posts.count({"score": {"$gt": 0}}))["total"]
        outside = (await ctx.database.collection("posts").count())["total"]
        return [scores, total, outside, (await posts.get(new))["score"]]
"""


async def accounts(shop: Shop) -> None:
    await shop.insert(
        "posts",
        {"_id": "a", "title": "a", "score": 10},
        {"_id": "b", "title": "b", "score": 0},
    )


async def scores(shop: Shop) -> dict[str, Any]:
    return {id: one["score"] for id, one in (await shop.stored("posts")).items()}


@shop(TRANSFER)
async def test_transactions_that_meet_lose_nothing(shop: Shop) -> None:
    await accounts(shop)
    done = await asyncio.gather(*(shop.call("transfer") for _ in range(ATTEMPTS)))
    assert sorted(done) == [8, 9, 10]
    assert await scores(shop) == {"a": 7, "b": 3}


@shop(TRANSFER)
async def test_a_write_in_between_is_a_conflict_and_undoes_all(shop: Shop) -> None:
    await accounts(shop)
    names = shop.functions.registry.releases()[0].functions["slow"].handler.__globals__
    task = asyncio.create_task(shop.problem("slow", actor=ANN))
    await names["between"].wait()
    await shop.call("transfer")
    names["go_on"].set()
    assert (await task).code is Code.FUNCTION_FAILED
    (failure,) = await shop.failures()
    assert failure["error"]["message"].startswith("TRANSACTION_CONFLICT")
    assert await scores(shop) == {"a": 9, "b": 1}


@shop(TRANSFER)
async def test_transactions_in_a_sync_function(shop: Shop) -> None:
    await accounts(shop)
    assert await shop.call("in_a_thread") == 10
    assert await scores(shop) == {"a": 11}


@shop(TRANSFER)
async def test_a_conflict_is_tried_again_and_then_told(shop: Shop) -> None:
    await accounts(shop)
    assert await shop.call("never") == [ATTEMPTS, "TRANSACTION_CONFLICT"]


@shop(TRANSFER)
async def test_what_is_raised_inside_undoes_all(shop: Shop) -> None:
    await accounts(shop)
    assert (await shop.problem("gives_up")).public.name == "NO"
    assert await scores(shop) == {"a": 10, "b": 0}


@shop(TRANSFER)
async def test_a_transaction_sees_its_own_writes_and_nobody_else_does(shop: Shop) -> None:
    await accounts(shop)
    assert await shop.call("sees_itself") == [[51, 11], 2, 2, 51]
    after = (await scores(shop)).values()
    assert sorted(after) == [11, 51]


@shop(
    """
    @fn.event()
    async def absent(ctx, event):
        async with ctx.database.transaction() as tx:
            posts = tx.collection("posts")
            try:
                await posts.get("a")
            except Exception as problem:
                assert problem.code.name == "NOT_FOUND"
            await ctx.database.collection("posts").insert({"_id": "a", "title": "meanwhile"})
            await posts.insert({"_id": "b", "title": "b"})
    """
)
async def test_what_was_absent_must_still_be(shop: Shop) -> None:
    assert (await shop.problem("absent")).code is Code.FUNCTION_FAILED
    assert set(await shop.stored("posts")) == {"a"}


@shop(
    """
    def point(longitude):
        return {"type": "Point", "coordinates": [longitude, 0]}

    @fn.event()
    async def nearest(ctx, event):
        near = {"at": {"$near": {"$geometry": point(0), "$maxDistance": 500_000}}}
        await ctx.database.collection("posts").insert(
            [{"_id": id, "title": id, "at": point(n)} for n, id in enumerate("abc")]
        )
        async with ctx.database.transaction() as tx:
            posts = tx.collection("posts")
            await posts.update("a", {"$set": {"at": point(1.5)}})
            await posts.insert({"_id": "d", "title": "d", "at": point(0.5)})
            found = await posts.find(near)
            total = (await posts.count(near))["total"]
            return [one["_id"] for one in found["documents"]], total
    """
)
async def test_a_transaction_orders_its_own_writes_by_distance(shop: Shop) -> None:
    assert await shop.call("nearest") == [["d", "b", "a", "c"], 4]


@shop(
    """
    @fn.event()
    async def search(ctx, event):
        tea = {"$text": {"$search": "tea"}}
        await ctx.database.collection("posts").insert({"_id": "a", "title": "tea"})
        async with ctx.database.transaction() as tx:
            posts = tx.collection("posts")
            found = (await posts.find(tea))["documents"]
            await posts.insert({"_id": "b", "title": "tea"})
            codes = []
            for ask in (posts.find, posts.count):
                try:
                    await ask(tea)
                except Exception as problem:
                    codes.append(problem.code.name)
            return [one["_id"] for one in found], codes
    """,
    {"posts": "acl: ADMINONLY\nindexes: [{text: title}]\n"},
)
async def test_a_transaction_does_not_search_what_it_wrote(shop: Shop) -> None:
    assert await shop.call("search") == [["a"], ["NOT_SUPPORTED", "NOT_SUPPORTED"]]


# -- the rest -------------------------------------------------------------------------------------


class Remembering:
    """A dispatch that writes down what it is given."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    async def emit(self, type: str, data: Value, origin: Call) -> None:
        self.given.append(("emit", type, data, origin.depth))

    async def send(
        self, queue: str, body: Value, *, delay: float, ordering: str | None, origin: Call
    ) -> str:
        self.given.append(("send", queue, body, delay, ordering))
        return "m1"

    async def enqueue(self, call: Call, delay: float) -> str:
        self.given.append(("enqueue", call.function, call.mode, call.depth, delay))
        return call.invocation_id


@shop(
    """
    from datetime import datetime

    @fn.event()
    async def later(ctx, event):
        await ctx.emit("order.paid", {"at": datetime(2026, 1, 1)})
        sent = await ctx.queue.send("mails", [1], delay=5, ordering="u1")
        id = await ctx.enqueue("later", {}, delay=60)
        return [sent, bool(id)]

    @fn.event()
    async def inner(ctx, event):
        return {"uid": ctx.auth.uid, "kind": ctx.trigger.kind, "event": event}

    @fn.event()
    async def refuses(ctx, event):
        raise fn.Error("SOLD_OUT", status=409, detail="x")

    @fn.event()
    async def outer(ctx, event):
        try:
            await ctx.call("refuses")
        except fn.Error as error:
            return [await ctx.call("inner", {"n": 1}), error.code, error.status]

    @fn.event()
    async def hands_on(ctx, event):
        await ctx.call("refuses")
    """
)
async def test_work_for_others(shop: Shop) -> None:
    dispatch = Remembering()
    shop.functions.dispatch = dispatch
    assert await shop.call("later", depth=2) == ["m1", False]
    date = {"$date": "2026-01-01T00:00:00.000Z"}
    assert dispatch.given == [
        ("emit", "order.paid", {"at": date}, 2),
        ("send", "mails", [1], 5, "u1"),
        ("enqueue", "later", "async", 3, 60),
    ]
    inner = {"uid": "ann", "kind": "call", "event": {"n": 1}}
    assert await shop.call("outer", actor=ANN) == [inner, "SOLD_OUT", 409]
    assert (await shop.problem("hands_on")).public.name == "SOLD_OUT"


@shop(
    """
    @fn.event()
    async def missing(ctx, event):
        found = []
        try:
            await ctx.push.send("room:1", "said", 1)
        except Exception as problem:
            found.append(problem.code.name)
        return found

    @fn.event()
    async def secret(ctx, event):
        return [ctx.secrets["KEY"], repr(ctx.secrets), "OTHER" in ctx.secrets]
    """
)
async def test_secrets_and_what_this_gateway_lacks(shop: Shop) -> None:
    shop.secrets.set(KEY="v4lue")
    assert await shop.call("missing") == ["NOT_SUPPORTED"]
    assert await shop.call("secret") == ["v4lue", "Secrets(KEY)", False]


def test_a_delay_has_bounds() -> None:
    check_delay(15 * 86_400)
    for wrong in (-1, 15 * 86_400 + 1, float("nan")):
        with pytest.raises(ValueError, match="delay"):
            check_delay(wrong)
