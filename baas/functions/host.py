"""The kit as a call in the gateway uses it, and the same seen from another thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from baas.errors import Code, Problem
from baas.functions.context import Dispatch, Host
from baas.functions.errors import Error
from baas.functions.limits import Slots
from baas.functions.model import Call, TriggerInfo
from baas.ports.documents import DocumentReader, MaybeAwaitable, WriteInfo, resolve
from baas.schema.actor import SERVER, Actor
from baas.schema.values import Value

if TYPE_CHECKING:
    # Worker processes use this module, and not the service.
    from baas.database.service import DatabaseService
    from baas.functions.filehost import CallFiles, Files
    from baas.push.channels.orders import Orders

T = TypeVar("T")


class SecretSource(Protocol):
    """Where `ctx.secrets` come from."""

    def current(self) -> Mapping[str, str]:
        """Every secret of the app by name, decrypted; the same object until one changes."""
        ...


class NoSecrets:
    """For an app that has none."""

    def current(self) -> Mapping[str, str]:
        return _NOTHING


_NOTHING: Final[Mapping[str, str]] = {}
#: Transactions of functions that are open at once; each holds a connection. More wait.
MAX_SNAPSHOTS: Final = 64


class Kit:
    """What calls reach. `invoke` is the invoker's; `dispatch` is None where nothing is durable yet,
    `files` and `channels` where there is no storage or push service."""

    def __init__(self, database: DatabaseService, secrets: SecretSource) -> None:
        self.database: Final = database
        self.secrets: Final = secrets
        self.dispatch: Dispatch | None = None
        self.files: Files | None = None
        self.channels: Orders | None = None
        self.invoke: Callable[[Call], Awaitable[Value]]
        self.snapshots: Final = Slots(MAX_SNAPSHOTS)


class LocalHost:
    """One call's way to the kit. `close` lets go of snapshots and files it left open."""

    __slots__ = ("_call", "_deadline", "_files", "_kit", "_numbers", "_open", "ended")

    def __init__(self, kit: Kit, call: Call, deadline: float) -> None:
        self._kit = kit
        self._call = call
        self._deadline = deadline
        self._numbers = count(1)
        #: Set when the call is over, whatever a thread or worker of it still does.
        self.ended = False
        self._open: dict[str, tuple[AbstractAsyncContextManager[DocumentReader], DocumentReader]]
        self._open = {}
        self._files: CallFiles | None = None

    @property
    def is_open(self) -> bool:
        """Whether the call has left a snapshot or a file open."""
        return bool(self._open) or (self._files is not None and self._files.is_open)

    def database(
        self, verb: str, collection: str, body: bytes, as_caller: bool, snapshot: str | None
    ) -> MaybeAwaitable[bytes]:
        reader = None if snapshot is None else self._reader(snapshot)
        return self._kit.database.perform(
            verb, collection, body, self._actor(as_caller), self._call.ip, self._origin(), reader
        )

    async def begin(self) -> str:
        await self._kit.snapshots.take(max(0.0, self._deadline - time.monotonic()))
        try:
            manager = self._kit.database.snapshot()
            reader = await manager.__aenter__()
        except BaseException:
            self._kit.snapshots.give()
            raise
        name = str(next(self._numbers))
        self._open[name] = (manager, reader)
        if self.ended:
            await self.end(name)
            raise RuntimeError("the call has ended")
        return name

    async def end(self, snapshot: str) -> None:
        found = self._open.pop(snapshot, None)
        if found is not None:
            self._kit.snapshots.give()
            await found[0].__aexit__(None, None, None)

    async def close(self) -> None:
        async with AsyncExitStack() as stack:
            if self._files is not None:
                stack.push_async_callback(self._files.close)
            for name in list(self._open):
                stack.push_async_callback(self.end, name)

    async def commit(self, body: bytes, as_caller: bool) -> bytes:
        return await self._kit.database.commit(
            body, self._actor(as_caller), self._call.ip, self._origin()
        )

    async def storage(
        self, verb: str, argument: bytes, as_caller: bool, stream: str | None
    ) -> bytes:
        if self.ended and verb != "close":
            # A thread that runs on past its limit: nobody would let go of what it opens.
            raise Problem(Code.UNAVAILABLE, "The call has ended.")
        if self._files is None:
            self._files = self._call_files()
        return await self._files.use(verb, argument, self._actor(as_caller), stream)

    async def push(self, verb: str, body: Value, as_caller: bool) -> Value:
        if self._kit.channels is None:
            raise Problem(Code.NOT_SUPPORTED, "There is no push behind this gateway.")
        actor, ip = self._actor(as_caller), self._call.ip
        return await self._kit.channels.perform(verb, body, actor, ip, self._origin())

    def _call_files(self) -> CallFiles:
        if self._kit.files is None:
            raise Problem(Code.NOT_SUPPORTED, "There is no storage behind this gateway.")
        return self._kit.files.of_call(self._call.ip, self._origin(), self._deadline)

    async def call(self, name: str, event: Value) -> Value:
        try:
            return await self._kit.invoke(self._further(name, event, self._deadline))
        except Problem as problem:
            if problem.own is None:
                raise
            own = problem.own
            raise Error(own.name, status=own.status, detail=problem.detail) from None

    async def enqueue(self, name: str, event: Value, delay: float) -> str:
        return await self._dispatch().enqueue(self._further(name, event, None), delay)

    async def emit(self, type: str, data: Value) -> None:
        await self._dispatch().emit(type, data, self._call)

    async def send(self, queue: str, body: Value, delay: float, ordering: str | None) -> str:
        return await self._dispatch().send(
            queue, body, delay=delay, ordering=ordering, origin=self._call
        )

    def _further(self, name: str, event: Value, deadline: float | None) -> Call:
        call = self._call
        return Call(
            function=name,
            event=event,
            actor=call.actor,
            trigger=TriggerInfo(kind="call", details={"function": call.function}),
            request_id=call.request_id,
            mode="sync" if deadline is not None else "async",
            depth=call.depth + 1,
            deadline=deadline,
            ip=call.ip,
            behind=uid_behind(call),
        )

    def _dispatch(self) -> Dispatch:
        if self._kit.dispatch is None:
            raise Problem(Code.NOT_SUPPORTED, "There is no queue behind this gateway.")
        return self._kit.dispatch

    def _reader(self, snapshot: str) -> DocumentReader:
        if snapshot not in self._open:
            raise RuntimeError("the transaction has ended")
        return self._open[snapshot][1]

    def _actor(self, as_caller: bool) -> Actor:
        return self._call.actor if as_caller else SERVER

    def _origin(self) -> WriteInfo:
        return WriteInfo(actor=uid_behind(self._call), depth=self._call.depth)


#: Triggers whose events the kit makes: in those `actor` is its own word. What other calls are given
#: may be what a client sent, `actor` included.
_KNOWS_ACTOR: Final = frozenset(
    ("auth", "before", "custom", "database", "destination", "queue", "storage")
)


def uid_behind(call: Call) -> str | None:
    """The caller, or who made happen what triggered the call."""
    if call.actor.uid is not None:
        return call.actor.uid
    if call.trigger.kind in _KNOWS_ACTOR and isinstance(call.event, dict):
        actor = call.event.get("actor")
        return actor if isinstance(actor, str) else None
    return call.behind


class ThreadHost:
    """A host of the loop `loop`, as used from another loop's thread."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._loop = loop

    def _there(self, use: Callable[[Host], MaybeAwaitable[T]]) -> Awaitable[T]:
        async def run() -> T:
            return await resolve(use(self._host))

        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(run(), self._loop))

    def database(
        self, verb: str, collection: str, body: bytes, as_caller: bool, snapshot: str | None
    ) -> MaybeAwaitable[bytes]:
        return self._there(lambda host: host.database(verb, collection, body, as_caller, snapshot))

    def begin(self) -> Awaitable[str]:
        return self._there(lambda host: host.begin())

    def end(self, snapshot: str) -> Awaitable[None]:
        return self._there(lambda host: host.end(snapshot))

    def commit(self, body: bytes, as_caller: bool) -> Awaitable[bytes]:
        return self._there(lambda host: host.commit(body, as_caller))

    def storage(
        self, verb: str, argument: bytes, as_caller: bool, stream: str | None
    ) -> Awaitable[bytes]:
        return self._there(lambda host: host.storage(verb, argument, as_caller, stream))

    def push(self, verb: str, body: Value, as_caller: bool) -> Awaitable[Value]:
        return self._there(lambda host: host.push(verb, body, as_caller))

    def call(self, name: str, event: Value) -> Awaitable[Value]:
        return self._there(lambda host: host.call(name, event))

    def enqueue(self, name: str, event: Value, delay: float) -> Awaitable[str]:
        return self._there(lambda host: host.enqueue(name, event, delay))

    def emit(self, type: str, data: Value) -> Awaitable[None]:
        return self._there(lambda host: host.emit(type, data))

    def send(self, queue: str, body: Value, delay: float, ordering: str | None) -> Awaitable[str]:
        return self._there(lambda host: host.send(queue, body, delay, ordering))


def settler(loop: asyncio.AbstractEventLoop) -> Callable[[Awaitable[Any]], Any]:
    """Waits, in a sync function's thread, for what runs on `loop`."""

    def settle(awaitable: Awaitable[T]) -> T:
        async def run() -> T:
            return await awaitable

        return asyncio.run_coroutine_threadsafe(run(), loop).result()

    return settle
