"""Versions, aliases, rollback and reload: what serves whom, and since when."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.engines.sqlite.store import SqliteStore
from baas.errors import ConfigurationError, Problem
from baas.functions.model import Call
from baas.functions.registry import Alias, Registry, Serving, Weighted, caller_of
from baas.functions.releases import Releases
from baas.functions.versions import FILES, KEEP_VERSIONS, VERSION_COLLECTIONS, Versions
from baas.schema.actor import Actor
from tests.support.functions import bundle_of

SAYS = "from baas import fn\n@fn.event()\ndef say(): return {!r}\n"


class Gateway:
    """One gateway's releases over a store that others may share."""

    def __init__(self, app: Path, store: SqliteStore) -> None:
        self.app = app
        self.closed: list[str] = []
        self.registry = Registry(self._retire)
        self.clock = ManualClock()
        self.versions = Versions(store, self.clock)
        (app / "functions").mkdir(parents=True, exist_ok=True)
        self.releases = self.made()

    def made(self) -> Releases:
        return Releases(
            self.app,
            "functions",
            self.app / "data" / "functions",
            self.versions,
            self.registry,
            watch=False,
        )

    async def _retire(self, serving: Serving) -> None:
        from baas.functions.registry import close

        self.closed.append(serving.release.hash)
        await close(serving)

    def write(self, text: str, name: str = "main.py") -> None:
        """As an editor saves: to another file, then renamed."""
        file = self.app / "functions" / name
        draft = file.with_suffix(".tmp~")
        draft.write_text(text)
        os.replace(draft, file)
        self.clock.advance(1)

    async def save(self, word: object) -> str:
        self.write(SAYS.format(word))
        await self.releases.look()
        return self.live

    @property
    def live(self) -> str:
        primary = self.registry.primary
        assert primary is not None
        return primary.release.hash

    def say(self, caller: str = "u1") -> Any:
        return self.registry.current("say", caller)[1].handler()


@asynccontextmanager
async def opened(*folders: Path) -> AsyncIterator[list[Gateway]]:
    store = SqliteStore.memory()
    await store.open()
    await store.declare(VERSION_COLLECTIONS)
    gateways = [Gateway(folder, store) for folder in folders]
    try:
        yield gateways
    finally:
        for gateway in gateways:
            await gateway.releases.stop()
        await store.close()


def with_gateway(folder: Path, work: Callable[[Gateway], Awaitable[None]]) -> None:
    async def run() -> None:
        async with opened(folder) as [gateway]:
            await work(gateway)

    asyncio.run(run())


def test_what_is_saved_in_the_folder_serves_and_can_be_taken_back(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write(SAYS.format(1))
        await gateway.releases.start()
        first = gateway.live
        assert gateway.say() == 1
        second = await gateway.save(2)
        assert (gateway.say(), second != first) == (2, True)
        assert not await gateway.releases.look()
        await gateway.releases.rollback()
        assert (gateway.say(), gateway.live) == (1, first)
        await gateway.releases.rollback(second)
        assert gateway.say() == 2
        assert [info.hash for info in await gateway.versions.newest()] == [second, first]

    with_gateway(tmp_path, work)


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        await gateway.releases.start()
        hashes = [await gateway.save(word) for word in (1, 2, 1)]
        assert hashes[0] == hashes[2] != hashes[1]
        assert len(await gateway.versions.newest()) == 2

    with_gateway(tmp_path, work)


def test_a_change_of_baas_yaml_alone_is_a_release(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write(SAYS.format(1))
        await gateway.releases.start()
        (tmp_path / "baas.yaml").write_text("functions: {say: {timeout: 3}}\n")
        assert await gateway.releases.look()
        assert gateway.registry.current("say", "")[1].timeout == 3.0

    with_gateway(tmp_path, work)


def test_a_file_that_does_not_import_leaves_the_old_version_serving(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write(SAYS.format(1))
        await gateway.releases.start()
        gateway.write("def broken(:\n")
        assert not await gateway.releases.look()
        assert gateway.say() == 1
        assert gateway.releases.status().error == "functions/main.py:1: SyntaxError: invalid syntax"
        await gateway.save(2)
        assert (gateway.say(), gateway.releases.status().error) == (2, "")

    with_gateway(tmp_path, work)


def test_at_the_very_first_start_a_fault_stops_the_gateway(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write("1 / 0\n")
        with pytest.raises(ConfigurationError) as caught:
            await gateway.releases.start()
        assert (caught.value.file, caught.value.line) == ("functions/main.py", 1)

    with_gateway(tmp_path, work)


def test_at_a_later_start_the_last_good_version_serves(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path, tmp_path) as [before, after]:
            before.write(SAYS.format(1))
            await before.releases.start()
            before.write("1 / 0\n")
            await after.releases.start()
            assert after.say() == 1
            assert "ZeroDivisionError" in after.releases.status().error

    asyncio.run(run())


def test_a_rollback_survives_a_restart_and_the_next_save_ends_it(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path, tmp_path) as [before, after]:
            before.write(SAYS.format(1))
            await before.releases.start()
            await before.save(2)
            await before.releases.rollback()
            await after.releases.start()
            assert after.say() == 1
            await after.save(3)
            assert after.say() == 3

    asyncio.run(run())


def test_calls_under_way_finish_on_their_version_and_then_it_is_closed(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write(SAYS.format(1))
        await gateway.releases.start()
        first = gateway.live
        with gateway.registry.hold("say", "u1") as held:
            await gateway.save(2)
            assert gateway.say() == 2
            await asyncio.sleep(0)
            assert gateway.closed == []
            assert held.spec.handler() == 1
        await asyncio.sleep(0)
        assert gateway.closed == [first]

    with_gateway(tmp_path, work)


def test_a_deploy_reaches_the_other_gateways(tmp_path: Path) -> None:
    async def run() -> None:
        async with opened(tmp_path / "a", tmp_path / "b") as [one, other]:
            await one.releases.start()
            await other.releases.start()
            assert one.registry.primary is None
            bundle = bundle_of({"pkg/main.py": SAYS.format("deployed"), "data.bin": "\x00\xff"})
            release = await one.releases.deploy(bundle.files, bundle.config, by="key1")
            assert release.hash == bundle.hash
            assert await other.releases.follow()
            assert (one.say(), other.say()) == ("deployed", "deployed")
            [info] = await other.versions.newest()
            assert (info.source, info.by, info.files) == ("deploy", "key1", 2)
            assert info.functions == ("say",)
            assert (await other.versions.bundle(bundle.hash)) == bundle
            assert not await other.releases.follow()

    asyncio.run(run())


def test_a_deploy_that_does_not_load_changes_nothing(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        gateway.write(SAYS.format(1))
        await gateway.releases.start()
        with pytest.raises(ConfigurationError):
            await gateway.releases.deploy({"main.py": b"1 / 0"}, {})
        with pytest.raises(ConfigurationError):
            await gateway.releases.deploy({"../main.py": b""}, {})
        assert gateway.say() == 1
        assert len(await gateway.versions.newest()) == 1

    with_gateway(tmp_path, work)


def test_two_versions_share_callers_by_weight_and_each_caller_keeps_its_own(
    tmp_path: Path,
) -> None:
    async def work(gateway: Gateway) -> None:
        await gateway.releases.start()
        old, new = await gateway.save("old"), await gateway.save("new")
        await gateway.releases.point("live", {old: 80, new: 20})
        callers = [f"u{n}" for n in range(1000)]
        said = {caller: gateway.say(caller) for caller in callers}
        assert 160 <= Counter(said.values())["new"] <= 240
        assert said == {caller: gateway.say(caller) for caller in callers}
        await gateway.releases.point("live", {old: 50, new: 50})
        later = {caller: gateway.say(caller) for caller in callers}
        assert all(later[caller] == "new" for caller in callers if said[caller] == "new")

    with_gateway(tmp_path, work)


def test_triggers_are_those_of_the_version_with_the_greater_share(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        told: list[str | None] = []
        gateway.registry.listeners.append(lambda r: told.append(r.hash if r else None))
        await gateway.releases.start()
        old, new = await gateway.save("old"), await gateway.save("new")
        await gateway.releases.point("live", {old: 80, new: 20})
        assert gateway.live == old
        await gateway.releases.point("live", {old: 20, new: 80})
        assert gateway.live == new
        assert told == [old, new, old, new]

    with_gateway(tmp_path, work)


@pytest.mark.parametrize("weights", [{}, {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.0}])
def test_an_alias_names_one_or_two_versions(tmp_path: Path, weights: dict[str, float]) -> None:
    async def work(gateway: Gateway) -> None:
        with pytest.raises(Problem, match="one or two versions"):
            await gateway.releases.point("live", weights)

    with_gateway(tmp_path, work)


def test_there_is_no_way_to_a_version_that_is_not_kept(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        with pytest.raises(Problem, match="There is no version 'nope'"):
            await gateway.releases.rollback("nope")
        with pytest.raises(Problem, match="no version before this one"):
            await gateway.releases.rollback()
        with pytest.raises(Problem, match="NOT_FOUND"):
            gateway.registry.current("say", "u1")

    with_gateway(tmp_path, work)


def test_old_versions_go_with_the_contents_that_only_they_had(tmp_path: Path) -> None:
    async def work(gateway: Gateway) -> None:
        pinned = bundle_of({"a.py": "pinned", "shared.py": "shared"})
        await gateway.versions.save(pinned, (), source="deploy")
        await gateway.versions.point("stable", (Weighted(pinned.hash),))
        for number in range(KEEP_VERSIONS + 2):
            gateway.clock.advance(1)
            bundle = bundle_of({"a.py": f"n = {number}", "shared.py": "shared"})
            await gateway.versions.save(bundle, (), source="deploy")
        infos = await gateway.versions.newest()
        assert len(infos) == KEEP_VERSIONS + 1
        assert infos[-1].hash == pinned.hash
        contents = [body async for body in gateway.versions._store.scan(FILES)]
        assert len(contents) == KEEP_VERSIONS + 2
        assert await gateway.versions.bundle(pinned.hash) == pinned

    with_gateway(tmp_path, work)


def test_an_alias_of_one_version_asks_nobody_who_they_are() -> None:
    assert Alias((Weighted("v", 3.0),)).choose("anyone") == "v"


def test_a_caller_is_known_by_uid_then_address_then_call() -> None:
    actor = Actor(uid="u1")
    assert caller_of(Call(function="f", actor=actor, ip="1.2.3.4")) == "u1"
    assert caller_of(Call(function="f", ip="1.2.3.4", invocation_id="i")) == "1.2.3.4"
    assert caller_of(Call(function="f", invocation_id="i", request_id="r")) == "i"
