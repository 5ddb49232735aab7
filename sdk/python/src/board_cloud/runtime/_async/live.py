"""Live queries, channels and the inbox, on the caller's own event loop."""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from ..entries import ChannelEntry, Frame, Gap, Here, Message, PresenceEntry, Snapshot, WatchEntry
from ..errors import BaasError
from ..realtime import Realtime, Transport, context_of
from ..values import encode
from .http import AsyncHttp

D = TypeVar("D")

Maybe: TypeAlias = Awaitable[None] | None
OnChange: TypeAlias = Callable[[Snapshot[D]], Maybe]
OnError: TypeAlias = Callable[[BaasError], Maybe]
OnMessage: TypeAlias = Callable[[Message], Maybe]
OnPresence: TypeAlias = Callable[[tuple[PresenceEntry, ...]], Maybe]
OnGap: TypeAlias = Callable[[], Maybe]

_log = logging.getLogger(__name__)


class AsyncLive:
    def __init__(
        self, http: AsyncHttp, transport: Transport, verify: ssl.SSLContext | bool, trust_env: bool
    ) -> None:
        context = context_of(http.base, verify)
        self._realtime = Realtime(http, transport, context, trust_env)

    def watch(
        self, query: Frame, on_change: OnChange[Any] | None, on_error: OnError | None
    ) -> AsyncWatch[Any]:
        entry = WatchEntry(self._realtime.next_id("w"), query)
        return AsyncWatch(self._realtime, entry, on_change, on_error)

    def channel(self, name: str) -> AsyncChannel:
        return AsyncChannel(self._realtime, name)

    def inbox(self, on_message: OnMessage, on_error: OnError | None) -> AsyncInbox:
        entry = ChannelEntry(self._realtime.next_id("c"), "inbox", None)
        return AsyncInbox(self._realtime, entry, on_message, on_error)

    def token_changed(self) -> None:
        self._realtime.token_changed()

    async def aclose(self) -> None:
        await self._realtime.aclose()


class AsyncWatch(Generic[D]):
    """A live query: `async for snapshot in watch`, or callbacks. Ends by `close()`, or by leaving
    an `async with`."""

    def __init__(
        self,
        realtime: Realtime,
        entry: WatchEntry,
        on_change: OnChange[D] | None,
        on_error: OnError | None,
    ) -> None:
        self._realtime = realtime
        self._entry = entry
        realtime.add(entry)
        if on_change is not None:
            realtime.start(_pump(self, on_change, on_error))

    async def next(self, timeout: float | None = None) -> Snapshot[D]:
        """TimeoutError after so many seconds; StopAsyncIteration once it is closed."""
        return await self._entry.feed.next(timeout)

    def close(self) -> None:
        self._realtime.remove(self._entry)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Snapshot[D]:
        return await self.next()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChannel:
    """A channel by name. `join` it to hear and to speak; `async for message in channel`, or
    callbacks."""

    def __init__(self, realtime: Realtime, name: str) -> None:
        self._realtime = realtime
        self.name = name
        self._entry: ChannelEntry | None = None
        self._on_presence: OnPresence | None = None
        self._on_gap: OnGap | None = None

    @property
    def here(self) -> tuple[PresenceEntry, ...]:
        """Who can be seen in it at the moment."""
        return () if self._entry is None else self._entry.here

    async def join(
        self,
        on_message: OnMessage | None = None,
        *,
        on_presence: OnPresence | None = None,
        on_gap: OnGap | None = None,
        on_error: OnError | None = None,
        presence: Any = None,
        timeout: float | None = None,
    ) -> Self:
        """Returns once joined; BaasError where the rules refuse, TimeoutError after so many
        seconds. `presence`: be seen by others, with this state."""
        self.leave()
        self._on_presence, self._on_gap = on_presence, on_gap
        entry = ChannelEntry(self._realtime.next_id("c"), self.name, presence)
        self._entry = entry
        self._realtime.add(entry)
        try:
            await entry.joined.next(timeout)
        except StopAsyncIteration:
            raise BaasError("ABORTED", "The channel was left.") from None
        except BaseException:
            self.leave()
            raise
        if on_message is not None:
            self._realtime.start(_pump(self, on_message, on_error))
        return self

    async def publish(self, event: str, data: Any = None) -> None:
        """To everybody in the channel, this client too. Returns once durable."""
        await self._realtime.publish(self._joined(), event, encode(data))

    def set_presence(self, state: Any) -> None:
        """A new state, for others to see."""
        entry = self._joined()
        entry.presence = state
        self._realtime.reopen(entry)

    def leave(self) -> None:
        if self._entry is not None:
            self._realtime.remove(self._entry)
        self._entry = None

    async def next(self, timeout: float | None = None) -> Message:
        """TimeoutError after so many seconds; StopAsyncIteration once it is left."""
        entry = self._joined()
        async with asyncio.timeout(timeout):
            while True:
                event = await entry.feed.next()
                if isinstance(event, Gap):
                    await _told(self._on_gap and self._on_gap())
                elif isinstance(event, Here):
                    await _told(self._on_presence and self._on_presence(event.entries))
                else:
                    return event.message

    def _joined(self) -> ChannelEntry:
        if self._entry is None:
            raise BaasError("INVALID_ARGUMENT", "Join the channel first.")
        return self._entry

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        if self._entry is None:
            raise StopAsyncIteration
        return await self.next()

    async def __aenter__(self) -> Self:
        return self if self._entry is not None else await self.join()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


class AsyncInbox:
    """Messages to this user alone. Each is kept on the server until `on_message` has returned;
    where it raises, the inbox is closed, and what was not handled comes again."""

    def __init__(
        self,
        realtime: Realtime,
        entry: ChannelEntry,
        on_message: OnMessage,
        on_error: OnError | None,
    ) -> None:
        self._realtime = realtime
        self._entry = entry
        realtime.add(entry)
        realtime.start(self._handle(on_message, on_error))

    def close(self) -> None:
        self._realtime.remove(self._entry)

    async def _handle(self, on_message: OnMessage, on_error: OnError | None) -> None:
        try:
            while True:
                event = await self._entry.feed.next()
                if not isinstance(event, (Gap, Here)):
                    await _told(on_message(event.message))
                    self._realtime.acknowledge(self._entry, event.cursor)
        except StopAsyncIteration:
            return
        except BaasError as fault:
            await _ended(fault, on_error)
        except Exception:
            _log.exception("an inbox's callback failed; the inbox is closed")
        finally:
            self.close()


async def _pump(
    items: AsyncWatch[Any] | AsyncChannel,
    handle: Callable[[Any], Maybe],
    on_error: OnError | None,
) -> None:
    """Gives each to its callback, one after the other."""
    while True:
        try:
            item = await items.next()
        except StopAsyncIteration:
            return
        except BaasError as fault:
            await _ended(fault, on_error)
            return
        try:
            await _told(handle(item))
        except Exception:
            _log.exception("a callback failed; what follows is told all the same")


async def _ended(fault: BaasError, on_error: OnError | None) -> None:
    if on_error is None:
        _log.warning("it has ended: %s", fault)
    else:
        await _told(on_error(fault))


async def _told(result: Maybe) -> None:
    """Callbacks may be coroutines."""
    if inspect.isawaitable(result):
        await result
