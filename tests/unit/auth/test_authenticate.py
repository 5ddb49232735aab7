"""How soon changes act on callers, and what is remembered of them."""

from __future__ import annotations

import pytest

from baas.auth.authenticate import ActorCache, _Entry
from baas.auth.collections import SESSIONS, USERS
from baas.errors import Code
from baas.ports.documents import Change, WriteInfo
from baas.schema.actor import Actor
from tests.support.auth import Bench, refused, scenario


@scenario()
async def test_a_remembered_caller_is_known_at_once(auth: Bench) -> None:
    header = f"Bearer {(await auth.sign_up()).access_token}"
    first = await auth.caller(header)
    assert auth.service.authenticate(header) is first


@scenario()
async def test_role_changes_act_on_the_next_request_of_this_process(auth: Bench) -> None:
    session = await auth.sign_up()
    before = await auth.actor(session)
    await auth.service.users.set_roles(session.user.uid, ("editor", "staff"), ())
    after = await auth.actor(session)
    assert (before.roles, after.roles) == ((), ("editor", "staff"))
    assert before.cache_key != after.cache_key
    await auth.service.users.set_roles(session.user.uid, (), ("staff",))
    assert (await auth.actor(session)).roles == ("editor",)


@scenario()
async def test_changes_by_another_process_act_within_two_seconds(auth: Bench) -> None:
    other = await auth.another_process()
    session = await auth.sign_up()
    await auth.actor(session)
    await other.users.set_roles(session.user.uid, ("editor",), ())
    auth.clock.advance(1.9)
    assert (await auth.actor(session)).roles == ("editor",)
    await other.users.set_disabled(session.user.uid, True)
    auth.clock.advance(1.9)
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(session)


@scenario()
async def test_an_unchanged_caller_stays_the_same_object(auth: Bench) -> None:
    """So what is cached by actor stays good."""
    session = await auth.sign_up()
    first = await auth.actor(session)
    auth.clock.advance(30)
    assert await auth.actor(session) is first


@scenario()
async def test_callers_with_the_same_rights_still_differ_in_their_key(auth: Bench) -> None:
    ann, bob = (
        await auth.actor(await auth.sign_up("ann")),
        await auth.actor(await auth.sign_up("bob")),
    )
    assert ann.cache_key != bob.cache_key
    again = await auth.actor(await auth.sign_in("ann"))
    assert again.cache_key == ann.cache_key


@scenario()
async def test_a_disabled_user_is_out_until_enabled(auth: Bench) -> None:
    session = await auth.sign_up()
    await auth.actor(session)
    await auth.service.users.set_disabled(session.user.uid, True)
    assert await auth.documents(SESSIONS) == []
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(session)
    with refused(Code.PERMISSION_DENIED):
        await auth.sign_in()
    await auth.service.users.set_disabled(session.user.uid, False)
    assert (await auth.actor(await auth.sign_in())).uid == session.user.uid


@scenario()
async def test_a_user_marked_as_disabled_is_out_whatever_sessions_there_are(auth: Bench) -> None:
    session = await auth.sign_up()
    [user] = await auth.documents(USERS)
    marked = Change(
        collection=USERS, id=session.user.uid, apply=lambda *_: {**user, "disabled": True}
    )
    await auth.store.write((marked,), WriteInfo())
    with refused(Code.UNAUTHENTICATED):
        await auth.actor(session)
    with refused(Code.SESSION_REVOKED):
        await auth.refresh(session.refresh_token)


@scenario()
async def test_a_caller_read_before_a_revocation_is_not_remembered_after_it(auth: Bench) -> None:
    """A slow store answers with what was; that answer must not come back as news."""
    session = await auth.sign_up()
    header = f"Bearer {session.access_token}"
    get = auth.store.get
    stale = {name: get(name, id) for name, id in await _behind(auth, header)}

    async def slow(collection: str, id: str) -> bytes | None:
        if collection == "_users" and collection in stale:
            old = stale.pop(collection)
            await auth.service.users.set_roles(session.user.uid, ("editor",), ())
            return old  # type: ignore[return-value]
        return get(collection, id)  # type: ignore[return-value]

    auth.service._callers._store = _Slow(slow)  # type: ignore[assignment]
    auth.service._cache.clear()
    await auth.caller(header)
    assert (await auth.caller(header)).roles == ("editor",)


async def _behind(auth: Bench, header: str) -> list[tuple[str, str]]:
    actor = await auth.caller(header)
    return [("_sessions", str(actor.session)), ("_users", str(actor.uid))]


class _Slow:
    def __init__(self, get: object) -> None:
        self.get = get


def entry(owner: str) -> _Entry:
    return _Entry(Actor(uid=owner), owner, ())


def test_the_memory_of_callers_is_bounded() -> None:
    cache = ActorCache(3)
    for number in range(10):
        cache.put(f"h{number}", entry(f"u{number % 2}"))
    assert len(cache) == 3
    assert [cache.get(f"h{number}") is not None for number in (6, 7, 8, 9)] == [
        False,
        True,
        True,
        True,
    ]


def test_dropping_an_owner_forgets_all_its_headers_and_no_other() -> None:
    cache = ActorCache(10)
    for number in range(6):
        cache.put(f"h{number}", entry(f"u{number % 2}"))
    cache.drop("u0")
    assert {number for number in range(6) if cache.get(f"h{number}")} == {1, 3, 5}
    cache.drop("nobody")
    cache.clear()
    assert len(cache) == 0


@pytest.mark.parametrize("role", ["", "a b", "-x", "x" * 65, "\u00e9"])
@scenario()
async def test_roles_are_plain_words(auth: Bench, role: str) -> None:
    session = await auth.sign_up()
    with refused(Code.INVALID_ARGUMENT):
        await auth.service.users.set_roles(session.user.uid, (role,), ())


@scenario()
async def test_users_are_listed_in_pages_and_found_by_name_and_uid(auth: Bench) -> None:
    for name in ("ann", "bob"):
        await auth.sign_up(name)
    await auth.service.users.create("Cyd", "a good password", ("admin",))
    await auth.anonymous()
    listed = [user async for user in auth.service.users.list()]
    assert sorted(user.username or "" for user in listed) == ["", "Cyd", "ann", "bob"]
    cyd = await auth.service.users.find("cyd")
    assert cyd.roles == ("admin",)
    assert await auth.service.users.find(cyd.uid) == cyd
    with refused(Code.NOT_FOUND):
        await auth.service.users.find("dan")
