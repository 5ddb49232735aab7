"""Anonymous accounts that nobody came back to, and all those that are left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from baas.auth import bodies
from baas.auth import unused as module
from baas.auth.bodies import Session
from baas.auth.collections import SESSIONS, USERS
from baas.clock import ManualClock
from baas.errors import Code
from baas.ports.documents import Insert, WriteInfo
from baas.schema.model import CollectionSpec
from baas.schema.values import encode
from baas.settings import AuthSettings, Settings
from tests.support.app import running_app
from tests.support.auth import CLIENT, PASSWORD, Bench, refused, scenario
from tests.support.gateway import NOTES_APP, write_app

DAYS = 30
DAY = 86_400


def sweeping(test: Callable[[Bench], Awaitable[None]]) -> Any:
    return scenario(anonymous_unused_days=DAYS)(test)


async def sweep(bench: Bench) -> int:
    return await bench.service.unused_accounts({"_files": ("openid",)}).run_once()


async def ids(bench: Bench, collection: str) -> set[str]:
    return {one["_id"] for one in await bench.documents(collection)}


async def put(bench: Bench, collection: str, document: dict[str, Any]) -> None:
    await bench.store.declare({collection: CollectionSpec(name=collection)})
    step = Insert(
        collection=collection, id=document["_id"], document=document, body=encode(document)
    )
    await bench.store.write((step,), WriteInfo())


@sweeping
async def test_one_that_was_never_used_again_goes_with_its_session(bench: Bench) -> None:
    session = await bench.anonymous()
    bench.clock.advance(DAYS * DAY - 1)
    assert await sweep(bench) == 0
    bench.clock.advance(2)
    assert await sweep(bench) == 1
    assert await ids(bench, USERS) == await ids(bench, SESSIONS) == set()
    with refused(Code.SESSION_REVOKED):
        await bench.refresh(session.refresh_token)


@sweeping
async def test_one_that_came_back_stays(bench: Bench) -> None:
    session = await bench.anonymous()
    bench.clock.advance(DAYS * DAY - 10)
    await bench.refresh(session.refresh_token)
    bench.clock.advance(20)
    assert await sweep(bench) == 0


@sweeping
async def test_one_that_signed_out_can_never_come_back(bench: Bench) -> None:
    session = await bench.anonymous()
    await bench.service.sign_out(bodies.Empty(), await bench.actor(session), CLIENT)
    bench.clock.advance(DAYS * DAY + 1)
    assert await sweep(bench) == 1


async def document(bench: Bench, session: Session) -> None:
    await put(bench, "notes", {"_id": "n", "_openid": session.user.uid})


async def file(bench: Bench, session: Session) -> None:
    await put(bench, "_files", {"_id": "f", "openid": session.user.uid})


async def name(bench: Bench, session: Session) -> None:
    body = bodies.LinkPassword(username="ann", password=PASSWORD)
    await bench.service.link(body, await bench.actor(session), CLIENT)


async def profile(bench: Bench, session: Session) -> None:
    await bench.service.profile({"nick": "a"}, await bench.actor(session), CLIENT)


async def role(bench: Bench, session: Session) -> None:
    await bench.service.users.set_roles(session.user.uid, ("tester",), ())


def test_one_that_has_anything_stays() -> None:
    for give in (document, file, name, profile, role):

        @sweeping
        async def play(bench: Bench, give: Any = give) -> None:
            session = await bench.anonymous()
            await give(bench, session)
            bench.clock.advance(DAYS * DAY + 1)
            assert await sweep(bench) == 0
            assert session.user.uid in await ids(bench, USERS)

        play()


@sweeping
async def test_accounts_with_a_name_stay_however_long_they_rest(bench: Bench) -> None:
    await bench.sign_up()
    bench.clock.advance(10 * DAYS * DAY)
    assert await sweep(bench) == 0
    assert await bench.sign_in()


@scenario(anonymous_unused_days=1)
async def test_those_among_many_are_all_found(bench: Bench) -> None:
    """Owners of many documents stand in front of those that own nothing."""
    owning = [(await bench.anonymous()).user.uid for _ in range(3)]
    for number in range(70):
        one = {"_id": f"n{number}", "_openid": owning[number // 30]}
        await put(bench, "notes", one)
    idle = {(await bench.anonymous()).user.uid for _ in range(4)}
    bench.clock.advance(2 * DAY)
    assert await sweep(bench) == len(idle)
    assert await ids(bench, USERS) == set(owning)


@sweeping
async def test_one_who_comes_back_in_that_very_moment_stays(bench: Bench) -> None:
    """Found unused, then used, then to be removed: the write itself looks once more."""
    session = await bench.anonymous()
    bench.clock.advance(DAYS * DAY + 1)
    unused = bench.service.unused_accounts({})
    before = bench.clock.now_ms() - DAYS * module.DAY_MS
    await bench.refresh(session.refresh_token)
    assert await unused._remove(session.user.uid, before) == 0
    assert session.user.uid in await ids(bench, USERS)


@scenario()
async def test_it_is_off_unless_asked_for(bench: Bench) -> None:
    unused = bench.service.unused_accounts({})
    unused.start()
    assert unused._task is None
    await unused.stop()


def test_the_app_knows_what_belongs_to_whom(tmp_path: Path) -> None:
    """Documents of a collection whose rule file has gone still are somebody's."""
    files = "- {path: 'x/{f}', write: auth != null}\n"
    write_app(tmp_path, NOTES_APP | {"rules/_storage.yaml": files})
    clock = ManualClock()
    settings = Settings(auth=AuthSettings(anonymous_unused_days=DAYS))
    with running_app(tmp_path, settings, clock=clock) as gateway:
        writer, uploader, _ = (gateway.sign_in() for _ in range(3))
        made = gateway.post("/v1/database/notes/insert", {"document": {"n": 1}}, writer)
        body = {"path": "x/a.txt", "size": 1, "contentType": "text/plain"}
        begun = gateway.post("/v1/storage/uploads", body, uploader)
        assert (made.status, begun.status) == (200, 200)
        (tmp_path / "rules/notes.yaml").unlink()
        gateway.run(gateway.app.watcher.look())
        clock.advance(DAYS * DAY + 1)
        assert gateway.run(gateway.app.unused.run_once()) == 1
        assert gateway.run(gateway.app.unused.run_once()) == 0
