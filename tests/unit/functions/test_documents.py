"""Triggers of documents and accounts: what the change feed starts, once each."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from baas.auth import bodies
from baas.auth.service import AuthService
from baas.functions.triggers.documents import Follower, document_event
from baas.ports.changes import ChangeEvent
from baas.ports.documents import WriteInfo, resolve
from baas.schema.actor import NOBODY, SERVER, Actor
from baas.settings import Settings
from tests.support.background import Yard, yard
from tests.support.database import SECRET
from tests.support.stores import delete, insert

POSTS = """
@fn.on("database.posts.insert", where={"published": True})
async def inserted(ctx, event):
    await note(ctx, what="inserted", id=event.documentId)

@fn.on("database.posts.update", where={"published": True})
async def updated(ctx, event):
    await note(ctx, what="updated", id=event.documentId)

@fn.on("database.posts.delete", where={"published": True})
async def deleted(ctx, event):
    await note(ctx, what="deleted", id=event.documentId)

@fn.on("database.posts.write")
async def written(ctx, event):
    await note(ctx, what="written", id=event.documentId, operation=event.operation)
"""


async def what(app: Yard, *names: str) -> list[tuple[str, str]]:
    found = [(one["what"], one["id"]) for one in await app.seen()]
    return sorted(one for one in found if not names or one[0] in names)


@yard(POSTS)
async def test_collection_operation_and_condition_choose(app: Yard) -> None:
    await app.settle()
    await app.insert("posts", {"_id": "a", "published": True}, {"_id": "b", "published": False})
    await app.insert("others", {"_id": "c", "published": True})
    await app.do(SERVER, "update", "posts", id="b", update={"$set": {"published": True}})
    await app.do(SERVER, "update", "posts", id="a", update={"$set": {"published": False}})
    await app.do(SERVER, "delete", "posts", id="a")
    await app.do(SERVER, "delete", "posts", id="b")
    await app.settle()
    assert await what(app, "inserted", "updated", "deleted") == [
        ("deleted", "b"), ("inserted", "a"), ("updated", "b"),
    ]  # fmt: skip
    assert len(await what(app, "written")) == 6


@yard(
    """
    @fn.on("database.posts.update")
    async def updated(ctx, event):
        await note(ctx, collection=event.collection, operation=event.operation,
                   document=event.document, before=event.before, actor=event.actor,
                   updated=event.updatedFields, removed=event.removedFields, time=event.time,
                   auth=ctx.auth, depth=ctx.depth, kind=ctx.trigger.kind,
                   details=ctx.trigger.details)
    """
)
async def test_a_change_comes_with_both_images_and_who_is_behind_it(app: Yard) -> None:
    await app.settle()
    ann = Actor(uid="ann", trusted=True, cache_key="ann")
    await app.insert("posts", {"_id": "a", "n": 1, "gone": 1, "same": [1, {"x": True}]}, actor=ann)
    app.clock.advance(1)
    update = {"$set": {"n": 2, "new": None}, "$unset": {"gone": 1}}
    await app.do(ann, "update", "posts", id="a", update=update)
    await app.settle()
    (seen,) = await app.seen()
    assert (seen["before"]["n"], seen["document"]["n"]) == (1, 2)
    assert set(seen["updated"]) == {"n", "new", "_updateTime"}
    assert (seen["removed"], seen["operation"], seen["collection"]) == (["gone"], "update", "posts")
    assert seen["time"] == seen["document"]["_updateTime"]
    assert (seen["actor"], seen["auth"], seen["depth"]) == ("ann", None, 1)
    assert (seen["kind"], seen["details"]) == (
        "database", {"collection": "posts", "operation": "update"},
    )  # fmt: skip


def test_true_is_not_1_in_what_changed() -> None:
    event = ChangeEvent(
        cursor="e.1", transaction="1", time=0, collection="c", operation="update", id="a",
        before=b"", after=b"",
    )  # fmt: skip
    before = {"_id": "a", "x": 1, "y": [{"z": 0}], "same": {"a": [1]}}
    after = {"_id": "a", "x": True, "y": [{"z": False}], "same": {"a": [1.0]}}
    assert document_event(event, before, after)["updatedFields"] == {"x": True, "y": [{"z": False}]}


@yard(POSTS)
async def test_what_was_written_before_anybody_followed_starts_nothing(app: Yard) -> None:
    await app.insert("posts", {"_id": "a", "published": True})
    await app.settle()
    assert await app.seen() == []


@yard(POSTS)
async def test_a_function_may_call_its_own_trigger_16_deep(app: Yard) -> None:
    app.deploy(
        """
        @fn.on("database.posts.write")
        async def again(ctx, event):
            await ctx.database.collection("posts").update(id="a", update={"$inc": {"n": 1}})
        """
    )
    await app.settle()
    await app.insert("posts", {"_id": "a", "n": 0})
    await app.settle(1, 2, 4)
    assert (await app.stored("posts"))["a"]["n"] == 15
    (letter,) = await app.dead()
    assert letter.error is not None
    assert (letter.error["code"], letter.attempt, letter.depth) == ("LOOP_DETECTED", 1, 16)


# -- once each, whoever follows --------------------------------------------------------------------


def follower(app: Yard) -> Follower:
    primary = app.functions.registry.primary
    assert primary is not None
    found = Follower(app.store, app.store.jobs, app.clock)
    found.fit(primary.release)
    return found


async def added(app: Yard) -> int:
    return len(await app.store.jobs.list(kind="call"))


@yard(POSTS)
async def test_two_followers_at_once_add_each_job_once(app: Yard) -> None:
    first, second = follower(app), follower(app)
    for one in (first, second):
        await one.step()
    await app.insert("posts", *({"_id": f"p{n}"} for n in range(5)))
    for one in (first, second, first, second):
        await one.step()
    assert await added(app) == 5
    await app.insert("posts", {"_id": "last"})
    while await second.step() or await first.step():
        pass
    assert await added(app) == 6


@yard(POSTS)
async def test_what_nobody_asks_for_is_passed_by_and_what_comes_after_is_not(app: Yard) -> None:
    idle = follower(app)
    idle.fit(None)
    assert not idle.wanted
    await app.insert("posts", {"_id": "before"})
    await idle._pass_by(0)
    assert not await idle.step()
    primary = app.functions.registry.primary
    assert primary is not None
    idle.fit(primary.release)
    await app.insert("posts", {"_id": "after"})
    assert await idle.step()
    assert await added(app) == 1


@yard(POSTS)
async def test_a_release_that_asks_ends_the_wait(app: Yard) -> None:
    idle = follower(app)
    idle.fit(None)
    waiting = asyncio.ensure_future(idle._pass_by(3600))
    await asyncio.sleep(0)
    primary = app.functions.registry.primary
    assert primary is not None
    idle.fit(primary.release)
    async with asyncio.timeout(10):
        await waiting


@yard(POSTS)
async def test_a_follower_that_dies_before_it_saves_loses_and_doubles_nothing(app: Yard) -> None:
    dying = follower(app)
    await dying.step()
    await app.insert("posts", {"_id": "a"})

    async def never(*args: Any) -> bool:
        raise ConnectionError

    dying.save = never  # type: ignore[method-assign,assignment]
    with pytest.raises(ConnectionError):
        await dying.step()
    heir = follower(app)
    while await heir.step():
        pass
    again = follower(app)
    while await again.step():
        pass
    assert await added(app) == 1


@yard(POSTS)
async def test_a_gap_in_the_feed_is_told_loudly_and_passed(
    app: Yard, caplog: pytest.LogCaptureFixture
) -> None:
    await app.settle()
    await app.store.jobs.advance(
        "documents", await app.store.jobs.mark("documents"), "another-epoch.7", []
    )
    await app.insert("posts", {"_id": "a"})
    heir = follower(app)
    with caplog.at_level(logging.ERROR, "baas.functions"):
        while await heir.step():
            pass
    assert "their triggers were not run" in caplog.text
    await app.insert("posts", {"_id": "b"})
    while await heir.step():
        pass
    assert await added(app) == 1


# -- accounts --------------------------------------------------------------------------------------

ACCOUNTS = "\n".join(
    f"""
@fn.on("auth.{event}")
async def {event}(ctx, event):
    await note(ctx, what="{event}", id=event.user["uid"], user=event.user, actor=event.actor)
"""
    for event in ("signed_up", "signed_in", "signed_out", "deleted")
)
PASSWORD = "correct horse battery"
CLIENT = bodies.ClientFacts(ip="192.0.2.1", user_agent="test")


@yard(ACCOUNTS)
async def test_accounts_and_sessions_are_told_of_without_their_secrets(app: Yard) -> None:
    auth = AuthService(app.store, Settings(), app.clock, SECRET)
    await auth.start()
    await app.settle()
    try:
        sign_up = bodies.SignUp(username="ann", password=PASSWORD, profile={"nick": "A"})
        made = await auth.sign_up(sign_up, NOBODY, CLIENT)
        await app.settle()
        assert await what(app) == [("signed_up", made.user.uid)]
        sign_in = bodies.PasswordSignIn(username="ann", password=PASSWORD)
        session = await auth.sign_in_password(sign_in, NOBODY, CLIENT)
        actor = await resolve(auth.authenticate(f"Bearer {session.access_token}"))
        await app.settle()
        await auth.sign_out(bodies.Empty(), actor, CLIENT)
        await app.settle()
    finally:
        await auth.close()
    assert [one["what"] for one in await app.seen()] == ["signed_up", "signed_in", "signed_out"]
    user = (await app.seen())[0]["user"]
    assert user["username"] == "ann"
    assert user["profile"] == {"nick": "A"}
    assert set(user) <= {
        "uid", "loginType", "roles", "profile", "identities", "createTime", "username",
    }  # fmt: skip


@yard(ACCOUNTS)
async def test_sessions_that_only_ran_out_are_no_sign_out(app: Yard) -> None:
    await app.settle()
    user = {
        "_id": "u1", "roles": [], "profile": {}, "identities": {}, "loginType": "ANONYMOUS",
        "_createTime": {"$date": "2026-01-01T00:00:00.000Z"},
    }  # fmt: skip
    session = {"_id": "s1", "uid": "u1", "loginType": "ANONYMOUS",
               "expires": {"$date": "2026-01-01T00:00:00.000Z"}}  # fmt: skip
    await app.store.write((insert("_users", user),), WriteInfo())
    await app.store.write((insert("_sessions", session),), WriteInfo())
    await app.settle()
    await app.store.write((delete("_sessions", "s1"),), WriteInfo())
    await app.store.write((delete("_users", "u1"),), WriteInfo())
    await app.settle()
    # In no order: they are different functions.
    assert sorted(one["what"] for one in await app.seen()) == ["deleted", "signed_in", "signed_up"]
