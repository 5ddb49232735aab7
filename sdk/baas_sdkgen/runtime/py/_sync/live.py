"""Live queries, channels and the inbox: those of the asynchronous face, on an event loop in a
thread of its own, which begins with the first of them. Callbacks run in other threads, one after
the other for each watch or channel, and may call the client as they like."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from httpx import AsyncClient

from .._async.http import AsyncHttp
from .._async.live import AsyncChannel, AsyncInbox, AsyncLive, AsyncWatch
from ..entries import Frame, Message, PresenceEntry, Snapshot
from ..errors import ABORTED, BaasError
from ..realtime import Transport
from .http import Http, Tokens

D = TypeVar("D")
T = TypeVar("T")

OnChange: TypeAlias = Callable[[Snapshot[D]], None]
OnError: TypeAlias = Callable[[BaasError], None]
OnMessage: TypeAlias = Callable[[Message], None]
OnPresence: TypeAlias = Callable[[tuple[PresenceEntry, ...]], None]
OnGap: TypeAlias = Callable[[], None]


class Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._callbacks = ThreadPoolExecutor(thread_name_prefix="baas-callback")
        self._loop.set_default_executor(self._callbacks)
        self._thread = threading.Thread(target=self._run, name="baas-realtime", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What it returns or raises; called from any other thread. ABORTED once it has ended."""
        try:
            future = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise BaasError(ABORTED, "The client is closed.") from None
        try:
            return future.result()
        except CancelledError:
            raise BaasError(ABORTED, "The client was closed.") from None
        except BaseException:
            future.cancel()
            raise

    def do(self, call: Callable[[], T]) -> T:
        async def work() -> T:
            return call()

        return self.run(work())

    def end(self, call: Callable[[], None]) -> None:
        """Closes something, which closed clients have done already."""
        with suppress(BaasError):
            self.do(call)

    def tell(self, call: Callable[[], None]) -> None:
        """Later, and without waiting for it."""
        self._loop.call_soon_threadsafe(call)

    def stop(self) -> None:
        self.run(_finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            # Not waited for: it may be a callback that closes the client.
            self._callbacks.shutdown(wait=False)
            self._loop.close()


async def _finish() -> None:
    """Whoever still waits for something learns that it is over."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class ThreadTokens:
    """Tokens of the synchronous face, for the loop: one session, refreshed once for all."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        # Its own: callbacks that take long must not keep a token waiting.
        self._threads = ThreadPoolExecutor(1, "baas-tokens")

    async def token(self) -> str | None:
        return await self._in_thread(self._tokens.token)

    async def renew(self, refused: str) -> str | None:
        return await self._in_thread(lambda: self._tokens.renew(refused))

    def close(self) -> None:
        self._threads.shutdown(wait=False)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


class Live:
    def __init__(
        self, http: Http, transport: Transport, verify: ssl.SSLContext | bool, trust_env: bool
    ) -> None:
        self._http = http
        self._settings = (transport, verify, trust_env)
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def watch(
        self, query: Frame, on_change: OnChange[Any] | None, on_error: OnError | None
    ) -> Watch[Any]:
        loop, live = self._begun()
        made = loop.do(lambda: live.watch(query, _threaded(on_change), _threaded(on_error)))
        return Watch(loop, made)

    def channel(self, name: str) -> Channel:
        loop, live = self._begun()
        return Channel(loop, loop.do(lambda: live.channel(name)))

    def inbox(self, on_message: OnMessage, on_error: OnError | None) -> Inbox:
        loop, live = self._begun()
        handle = _thread_of(on_message)
        return Inbox(loop, loop.do(lambda: live.inbox(handle, _threaded(on_error))))

    def token_changed(self) -> None:
        if (running := self._running) is not None:
            running.loop.tell(running.live.token_changed)

    def close(self) -> None:
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop()

    def _begun(self) -> tuple[Loop, AsyncLive]:
        with self._lock:
            if self._running is None:
                self._running = _Running(self._http, *self._settings)
            return self._running.loop, self._running.live


class _Running:
    def __init__(
        self, http: Http, transport: Transport, verify: ssl.SSLContext | bool, trust_env: bool
    ) -> None:
        self.loop = Loop()
        self._tokens = None if http.tokens is None else ThreadTokens(http.tokens)

        def make() -> tuple[AsyncClient, AsyncLive]:
            client = AsyncClient(verify=verify, trust_env=trust_env)
            own = AsyncHttp(
                client, http.base, http.timeout, http.retries, http.headers, self._tokens
            )
            return client, AsyncLive(own, transport, verify, trust_env)

        self._client, self.live = self.loop.do(make)

    def stop(self) -> None:
        self.loop.run(self.live.aclose())
        self.loop.run(self._client.aclose())
        if self._tokens is not None:
            self._tokens.close()
        self.loop.stop()


class Watch(Generic[D]):
    """A live query: `for snapshot in watch`, or callbacks. Ends by `close()`, from any thread, or
    by leaving a `with`."""

    def __init__(self, loop: Loop, watch: AsyncWatch[D]) -> None:
        self._loop = loop
        self._watch = watch

    def next(self, timeout: float | None = None) -> Snapshot[D]:
        """TimeoutError after so many seconds; StopIteration once it is closed."""
        try:
            return self._loop.run(self._watch.next(timeout))
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        self._loop.end(self._watch.close)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Snapshot[D]:
        return self.next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Channel:
    """A channel by name. `join` it to hear and to speak; `for message in channel`, or callbacks."""

    def __init__(self, loop: Loop, channel: AsyncChannel) -> None:
        self._loop = loop
        self._channel = channel
        self.name = channel.name

    @property
    def here(self) -> tuple[PresenceEntry, ...]:
        """Who can be seen in it at the moment."""
        return self._channel.here

    def join(
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
        joining = self._channel.join(
            _threaded(on_message),
            on_presence=_threaded(on_presence),
            on_gap=None if on_gap is None else lambda: asyncio.to_thread(on_gap),
            on_error=_threaded(on_error),
            presence=presence,
            timeout=timeout,
        )
        self._loop.run(joining)
        return self

    def publish(self, event: str, data: Any = None) -> None:
        """To everybody in the channel, this client too. Returns once durable."""
        self._loop.run(self._channel.publish(event, data))

    def set_presence(self, state: Any) -> None:
        """A new state, for others to see."""
        self._loop.do(lambda: self._channel.set_presence(state))

    def leave(self) -> None:
        self._loop.end(self._channel.leave)

    def next(self, timeout: float | None = None) -> Message:
        """TimeoutError after so many seconds; StopIteration once it is left."""
        try:
            return self._loop.run(self._channel.next(timeout))
        except StopAsyncIteration:
            raise StopIteration from None

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        return self.next()

    def __enter__(self) -> Self:
        self._loop.run(self._channel.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()


class Inbox:
    """Messages to this user alone. Each is kept on the server until `on_message` has returned;
    where it raises, the inbox is closed, and what was not handled comes again."""

    def __init__(self, loop: Loop, inbox: AsyncInbox) -> None:
        self._loop = loop
        self._inbox = inbox

    def close(self) -> None:
        self._loop.end(self._inbox.close)


def _threaded(
    call: Callable[[T], None] | None,
) -> Callable[[T], Coroutine[Any, Any, None]] | None:
    return None if call is None else _thread_of(call)


def _thread_of(call: Callable[[T], None]) -> Callable[[T], Coroutine[Any, Any, None]]:
    return lambda item: asyncio.to_thread(call, item)
