"""Which release serves a call: aliases, weights, and the atomic change from one to the next.

Everything here happens on the event loop between two awaits, so a call sees the old releases or
the new ones, never a mixture. A release that no alias points at any more is retired: calls under
way finish on it, then it is closed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from baas.errors import Problem, not_found
from baas.functions.lifecycle import Lifecycle
from baas.functions.load import unload
from baas.functions.model import Call, FunctionSpec, Release
from baas.functions.routes import RouteTable

T = TypeVar("T")

LIVE: Final = "live"
_POINTS: Final = 1 << 32


class Weighted(msgspec.Struct, frozen=True):
    """A version and its share: relative to the sum of an alias's weights."""

    version: str
    weight: float = 1.0


class Alias(msgspec.Struct, frozen=True):
    """A name for one or two versions. Of two, the second serves its share of callers."""

    versions: tuple[Weighted, ...]

    def choose(self, caller: str) -> str:
        """The version for a caller. A caller keeps its version, and one that had the second
        version keeps that while its weight grows."""
        if len(self.versions) == 1:
            return self.versions[0].version
        first, second = self.versions
        share = second.weight / (first.weight + second.weight)
        return second.version if _point(caller) < share else first.version

    @property
    def primary(self) -> str:
        """The version with the greater share: its triggers are the ones in force."""
        return max(self.versions, key=lambda one: one.weight).version


def _point(caller: str) -> float:
    """A place in [0, 1) that is the same for one caller everywhere."""
    digest = hashlib.blake2b(caller.encode(), digest_size=4).digest()
    return int.from_bytes(digest) / _POINTS


class Serving:
    """A release in force or still finishing calls, with its life in this process."""

    __slots__ = ("calls", "closers", "lifecycle", "release", "retired", "routes")

    def __init__(self, release: Release) -> None:
        self.release: Final = release
        self.lifecycle: Final = Lifecycle(release)
        self.routes: Final = RouteTable(release)
        self.calls = 0
        self.retired = False
        #: Awaited before it is closed: what lives as long as it does, such as mounted apps.
        self.closers: Final[list[Callable[[], Awaitable[None]]]] = []


class Held(msgspec.Struct, frozen=True):
    """A function, kept from being closed while it is called."""

    serving: Serving
    spec: FunctionSpec


class Keep(Generic[T]):
    """A `with` block that keeps a release from being closed. A class rather than a generator: every
    call passes one."""

    __slots__ = ("_registry", "_serving", "_what")

    def __init__(self, registry: Registry, serving: Serving, what: T) -> None:
        self._registry = registry
        self._serving = serving
        self._what = what

    def __enter__(self) -> T:
        self._serving.calls += 1
        return self._what

    def __exit__(self, *fault: object) -> None:
        self._registry._left(self._serving)


#: Told after each change: the release whose triggers are in force now, None where there is none.
Listener: TypeAlias = Callable[[Release | None], None]
#: Asked to let go of a release: its last call has ended.
Retire: TypeAlias = Callable[[Serving], Coroutine[Any, Any, None]]


class Registry:
    """The releases of one gateway process."""

    def __init__(self, retire: Retire | None = None) -> None:
        self._aliases: Mapping[str, Alias] = {}
        self._serving: dict[str, Serving] = {}
        self._retire: Retire = retire or close
        self._closing: set[asyncio.Task[None]] = set()
        self.listeners: Final[list[Listener]] = []

    # -- asking -----------------------------------------------------------------------------------

    @property
    def primary(self) -> Serving | None:
        """The release whose triggers, timers and queues are in force."""
        alias = self._aliases.get(LIVE)
        return None if alias is None else self._serving[alias.primary]

    @property
    def aliases(self) -> Mapping[str, Alias]:
        return self._aliases

    def releases(self) -> list[Release]:
        """Every release that an alias names."""
        return [serving.release for serving in self._serving.values()]

    def pick(self, caller: str, alias: str = LIVE) -> Serving | None:
        """The release that serves this caller."""
        found = self._aliases.get(alias)
        return None if found is None else self._serving[found.choose(caller)]

    def current(self, name: str, caller: str, alias: str = LIVE) -> tuple[Serving, FunctionSpec]:
        """The release and function of that name for this caller; NOT_FOUND where there is none."""
        serving = self.pick(caller, alias)
        spec = serving.release.functions.get(name) if serving else None
        if serving is None or spec is None:
            raise unknown_function()
        return serving, spec

    def hold(self, name: str, caller: str, alias: str = LIVE) -> Keep[Held]:
        """The same, kept from being closed until the end of the `with` block."""
        serving, spec = self.current(name, caller, alias)
        return Keep(self, serving, Held(serving, spec))

    def keep(self, serving: Serving) -> Keep[Serving]:
        """A release kept from being closed until the end of the `with` block: for mounts."""
        return Keep(self, serving, serving)

    def _left(self, serving: Serving) -> None:
        """A block has ended."""
        serving.calls -= 1
        if serving.retired and not serving.calls:
            self._close(serving)

    def serving(self, version: str) -> Serving | None:
        return self._serving.get(version)

    # -- changing ---------------------------------------------------------------------------------

    def install(self, aliases: Mapping[str, Alias], releases: Mapping[str, Release]) -> None:
        """Puts aliases in force. `releases` has every version they name that is not serving yet;
        versions that no alias names are retired."""
        wanted = {one.version for alias in aliases.values() for one in alias.versions}
        serving = {
            version: self._serving.get(version) or Serving(releases[version]) for version in wanted
        }
        dropped = [old for version, old in self._serving.items() if version not in wanted]
        self._serving, self._aliases = serving, dict(aliases)
        for old in dropped:
            old.retired = True
            if not old.calls:
                self._close(old)
        now = self.primary
        for listener in self.listeners:
            listener(now.release if now else None)

    def _close(self, serving: Serving) -> None:
        task = asyncio.create_task(self._retire(serving), name="baas-function-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Retires everything and waits for the closing of what has no calls left."""
        self.install({}, {})
        while self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)


async def close(serving: Serving) -> None:
    """Close hooks, then the modules are forgotten."""
    try:
        await asyncio.gather(*(closer() for closer in serving.closers), return_exceptions=True)
        await serving.lifecycle.close()
    finally:
        unload(serving.release)


def caller_of(call: Call) -> str:
    """What a caller is known by: the uid, else the address, else this call alone."""
    return call.actor.uid or call.ip or call.invocation_id or call.request_id


def unknown_function() -> Problem:
    return not_found("There is no such function.")
