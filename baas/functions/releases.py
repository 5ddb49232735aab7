"""Releases of one gateway: from the app's folder, from deploys and from rollbacks, into force.

The alias in the store is the truth for all gateways. Each looks at it once a second, and a few
times a second at its own functions folder: what changed there since is a deploy like any other. A
release that does not load changes nothing; its fault is logged and shown until one that loads
replaces it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from baas.errors import ConfigurationError, invalid, not_found
from baas.functions.bundle import (
    Bundle,
    belongs,
    make_bundle,
    read_bundle,
    remove_copies,
    walk,
    write_bundle,
)
from baas.functions.isolation.threads import Threads
from baas.functions.load import load_release, unload
from baas.functions.model import Release
from baas.functions.names import is_function_name
from baas.functions.overrides import read_manifest
from baas.functions.registry import LIVE, Registry, Weighted
from baas.functions.versions import StoredAlias, Versions
from baas.settings import FILE_NAME
from baas.yamlfile import YamlFile

_log: Final = logging.getLogger("baas.functions")

POLL_SECONDS: Final = 0.3
ALIAS_SECONDS: Final = 1.0
MAX_VERSIONS: Final = 2
#: A copy that belongs to no kept version may still serve calls elsewhere for so long.
KEEP_COPIES_SECONDS: Final = 86_400.0
_TICK_NS: Final = 100_000_000

_Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]


def _has_settled(stamp: _Stamp) -> bool:
    now = time.time_ns()
    return not any(now - _TICK_NS < changed <= now for _, changed, _, _ in stamp)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force, and why something else is not. `error` is the fault of what was tried
    last, "" where that is in force."""

    aliases: dict[str, StoredAlias]
    serving: tuple[str, ...]
    error: str = ""


class Releases:
    """`app` is the app's folder, `folder` its functions, `copies` where releases are imported
    from: a folder below the data folder that may be removed while nothing runs."""

    def __init__(
        self,
        app: Path,
        functions: str,
        copies: Path,
        versions: Versions,
        registry: Registry,
        *,
        watch: bool = True,
    ) -> None:
        self.folder: Final = app / functions
        self.versions: Final = versions
        self.registry: Final = registry
        self.error = ""
        self._app = app
        self._label = functions
        self._copies = copies
        self._watch = watch
        self._stored: dict[str, StoredAlias] = {}
        self._stamp: _Stamp | None = None
        self._lock = asyncio.Lock()
        #: For imports of the app's code, which may not end: nobody waits for these at a stop.
        self._threads: Final = Threads()
        self._tasks: list[asyncio.Task[None]] = []

    # -- start and stop ---------------------------------------------------------------------------

    async def start(self) -> None:
        """Puts the folder's release in force, or the alias's where the folder has not changed
        since. ConfigurationError where the first release ever does not load."""
        async with self._lock:
            try:
                await self._start()
            except ConfigurationError as fault:
                if not await self._follow():
                    raise
                self._refuse(fault)
        await self._tidy()
        self._tasks.append(asyncio.create_task(self._every(ALIAS_SECONDS, self.follow)))
        if self._watch:
            self._tasks.append(asyncio.create_task(self._every(POLL_SECONDS, self.look)))

    async def _start(self) -> None:
        self._stamp = await asyncio.to_thread(self._stamp_now)
        bundle, yaml = await asyncio.to_thread(self._read)
        stored = await self.versions.alias()
        unchanged = stored is not None and stored.folder == bundle.hash
        if unchanged or not bundle.files:
            await self._follow()
        else:
            await self._deploy(bundle, yaml, source="folder")

    async def _tidy(self) -> None:
        """Copies of versions that are kept no longer."""
        kept = {info.hash for info in await self.versions.newest()}
        await asyncio.to_thread(remove_copies, self._copies, kept, KEEP_COPIES_SECONDS)

    async def stop(self) -> None:
        """Ends the watching and retires every release; calls under way are waited for elsewhere."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.registry.close()

    async def _every(self, seconds: float, work: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except Exception:
                _log.exception("looking for new releases met an unexpected fault")

    # -- the local folder -------------------------------------------------------------------------

    async def look(self) -> bool:
        """One look at the folder and at baas.yaml; whether a new release is in force."""
        stamp = await asyncio.to_thread(self._stamp_now)
        if stamp == self._stamp:
            return False
        # A second change within a tick of the file system's clock would look like this one: what
        # was written just now is looked at once more.
        self._stamp = stamp if _has_settled(stamp) else None
        async with self._lock:
            try:
                bundle, yaml = await asyncio.to_thread(self._read)
                stored = self._stored.get(LIVE)
                if stored is not None and stored.folder == bundle.hash and not self.error:
                    return False
                await self._deploy(bundle, yaml, source="folder")
            except ConfigurationError as fault:
                self._refuse(fault)
                return False
        return True

    def _stamp_now(self) -> _Stamp:
        """Names, times and sizes: cheap to compare, and only a reason to look closer."""
        found = []
        for path, entry in walk(self.folder):
            try:
                stat = entry.stat()
            except OSError:
                continue
            found.append((path, stat.st_ctime_ns, stat.st_size, stat.st_ino))
        with suppress(OSError):
            found.append((FILE_NAME, (self._app / FILE_NAME).stat().st_ctime_ns, 0, 0))
        return tuple(found)

    def _read(self) -> tuple[Bundle, YamlFile]:
        config, yaml = read_manifest(self._app)
        return read_bundle(self.folder, config), yaml

    # -- deploys and aliases ----------------------------------------------------------------------

    async def deploy(
        self, files: dict[str, bytes], config: dict[str, Any], *, by: str | None = None
    ) -> Release:
        """A release from elsewhere, loaded first and then in force. ConfigurationError where it
        does not load; then nothing has changed."""
        given = make_bundle(files, config).files
        bundle = make_bundle({p: data for p, data in given.items() if belongs(p)}, config)
        async with self._lock:
            return await self._deploy(bundle, None, source="deploy", by=by)

    async def _deploy(
        self, bundle: Bundle, yaml: YamlFile | None, *, source: str, by: str | None = None
    ) -> Release:
        serving = self.registry.serving(bundle.hash)
        release = serving.release if serving else await self._load(bundle, yaml)
        try:
            await self.versions.save(bundle, tuple(release.functions), source=source, by=by)
            folder = bundle.hash if source == "folder" else None
            versions = (Weighted(bundle.hash),)
            stored = await self.versions.point(LIVE, versions, folder=folder)
        except BaseException:
            if serving is None:
                unload(release)
            raise
        self._install({**self._stored, LIVE: stored}, {bundle.hash: release})
        _log.info("functions %s in force, from a %s", bundle.hash, source)
        return release

    async def point(self, name: str, weights: dict[str, float]) -> StoredAlias:
        """Points an alias at one or two versions with their weights. Of two, the second is the
        one that takes a share from the first."""
        if not is_function_name(name):
            raise invalid(
                "name", "letters, digits, '_' and '-', at most 64, beginning with a letter"
            )
        if not 1 <= len(weights) <= MAX_VERSIONS or not all(0 < w < inf for w in weights.values()):
            raise invalid("versions", "an alias names one or two versions, with weights above 0")
        for version in weights:
            if not await self.versions.has(version):
                raise not_found(f"There is no version '{version}'.")
        async with self._lock:
            versions = tuple(Weighted(*pair) for pair in weights.items())
            return await self._point(name, versions)

    async def rollback(self, version: str | None = None) -> StoredAlias:
        """Back to a version, or to what was in force before the present one."""
        if version is not None:
            return await self.point(LIVE, {version: 1.0})
        async with self._lock:
            stored = await self.versions.alias()
            if stored is None or not stored.history:
                raise not_found("There is no version before this one.")
            return await self._point(LIVE, stored.history[-1])

    async def _point(self, name: str, versions: tuple[Weighted, ...]) -> StoredAlias:
        """Loads what is not serving yet before the alias says so."""
        loaded = await self._load_all({one.version for one in versions})
        stored = await self.versions.point(name, versions)
        self._install({**self._stored, name: stored}, loaded)
        return stored

    async def follow(self) -> bool:
        """One look at the aliases; whether another gateway or a rollback has changed them."""
        async with self._lock:
            try:
                return await self._follow()
            except ConfigurationError as fault:
                self._refuse(fault)
                return False

    async def _follow(self) -> bool:
        stored = await self.versions.aliases()
        if stored == self._stored:
            return False
        wanted = {one.version for alias in stored.values() for one in alias.versions}
        self._install(stored, await self._load_all(wanted))
        return True

    def status(self) -> Status:
        serving = [
            one.version
            for alias in self._stored.values()
            for one in alias.versions
            if self.registry.serving(one.version)
        ]
        return Status(aliases=self._stored, serving=tuple(serving), error=self.error)

    # -- loading ----------------------------------------------------------------------------------

    async def _load_all(self, versions: set[str]) -> dict[str, Release]:
        """Those that are not serving yet, all of them or none."""
        loaded: dict[str, Release] = {}
        try:
            for version in sorted(versions):
                if self.registry.serving(version) is None:
                    loaded[version] = await self._load(await self.versions.bundle(version), None)
        except BaseException:
            for release in loaded.values():
                unload(release)
            raise
        return loaded

    async def _load(self, bundle: Bundle, yaml: YamlFile | None) -> Release:
        return await self._threads.run(partial(self._load_in_thread, bundle, yaml))  # type: ignore[no-any-return]

    def _load_in_thread(self, bundle: Bundle, yaml: YamlFile | None) -> Release:
        try:
            folder = write_bundle(bundle, self._copies)
        except OSError as fault:
            reason = f"the functions cannot be copied: {fault.strerror}"
            raise ConfigurationError(reason) from None
        return load_release(bundle, folder, yaml=yaml, label=self._label)

    def _install(self, stored: dict[str, StoredAlias], loaded: dict[str, Release]) -> None:
        self._stored = stored
        self.error = ""
        self.registry.install({name: one.alias for name, one in stored.items()}, loaded)

    def _refuse(self, fault: ConfigurationError) -> None:
        if str(fault) == self.error:
            return
        self.error = str(fault)
        _log.error("functions not reloaded, the last good ones stay in force: %s", fault)
