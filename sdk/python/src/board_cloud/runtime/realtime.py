"""Live queries, channels and the inbox over one WebSocket, or by long-poll where there is none:
docs/realtime.md of the kit has the frames. Whatever breaks, every watch and channel goes on where
it was. Everything in here happens on one event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Coroutine
from typing import Any, Final, Literal, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from ._async.http import AsyncHttp
from .entries import Entry, Frame
from .errors import BAD_ANSWER, NETWORK, BaasError
from .ids import random_text
from .policy import pause_of

Transport: TypeAlias = Literal["socket", "poll"]

#: Sockets that fail this often in a row, without one that worked, are given up for polling.
_SOCKET_TRIES: Final = 3
#: Seconds.
_POLL_WAIT: Final = 25
_POLL_TIMEOUT: Final = 40.0
_LIMITS_PAUSE: Final = 10.0
_GRACE: Final = 5.0
_CLOSE_SECONDS: Final = 2.0
#: A first result has up to 16 MiB of documents.
_FRAME_BYTES: Final = 64 * 1024 * 1024
_BAD_FRAME: Final = 4400
_UNAUTHENTICATED: Final = 4401
_LIMITS: Final = 4429

_log = logging.getLogger(__name__)


def context_of(base: str, verify: ssl.SSLContext | bool) -> ssl.SSLContext | None:
    """For sockets, what `verify` is for httpx; None: the default, or no TLS at all."""
    if not base.startswith("https") or verify is True:
        return None
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Realtime:
    """`http`: with the tokens of who it is for. `trust_env`: by way of the proxies that the
    environment names."""

    def __init__(
        self,
        http: AsyncHttp,
        transport: Transport,
        context: ssl.SSLContext | None,
        trust_env: bool,
    ) -> None:
        self._http = http
        self._transport = transport
        self._context = context
        self._trust_env = trust_env
        self._url = f"ws{http.base.removeprefix('http')}/v1/realtime"
        self._session = random_text(20)
        self._entries: dict[str, Entry] = {}
        #: What was published and has no answer yet, with the entry's id.
        self._acks: dict[str, tuple[str, asyncio.Future[None]]] = {}
        self._count = 0
        self._running: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None
        self._outgoing: asyncio.Queue[str] | None = None
        self._changed = asyncio.Event()
        self._others: set[asyncio.Task[Any]] = set()
        self._heard = 0.0
        self._tries = 0
        self._worked = False

    # -- from the app ------------------------------------------------------------------------------

    def next_id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def add(self, entry: Entry) -> None:
        self._entries[entry.id] = entry
        self._send(entry.opening())
        self._changed.set()
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(self._run())

    def remove(self, entry: Entry) -> None:
        if self._entries.pop(entry.id, None) is not None:
            self._send({"type": entry.closing, "id": entry.id})
            self._changed.set()
        entry.end(None)

    def reopen(self, entry: Entry) -> None:
        """To change what it was opened with."""
        if entry.id in self._entries:
            entry.polled = False
            self._send(entry.opening())
            self._changed.set()

    def acknowledge(self, entry: Entry, cursor: str | None) -> None:
        """An inbox's message, and all before it, have arrived."""
        frame = {"type": "ack", "id": entry.id, "cursor": cursor}
        if self._transport == "socket":
            self._send(frame)
        else:
            self._quietly(self._poll([entry.opening(), frame], 0))

    async def publish(self, entry: Entry, event: str, data: Any) -> None:
        """Returns once durable. NETWORK where that is not known: it may or may not have been
        sent."""
        ref = random_text(12)
        frame = {"type": "publish", "id": entry.id, "event": event, "data": data, "ack": ref}
        if self._transport == "poll":
            return await self._publish_by_poll(entry, frame)
        if self._outgoing is None:
            raise BaasError(NETWORK, "There is no connection at the moment.")
        acknowledged = asyncio.get_running_loop().create_future()
        self._acks[ref] = (entry.id, acknowledged)
        self._send(frame)
        try:
            async with asyncio.timeout(self._http.timeout):
                await acknowledged
        except TimeoutError:
            raise BaasError("TIMEOUT", "The message was not acknowledged in time.") from None
        finally:
            self._acks.pop(ref, None)

    def token_changed(self) -> None:
        """The token was renewed, or somebody signed in or out."""
        self._changed.set()
        if self._outgoing is not None:
            self._quietly(self._say_who_again())

    async def aclose(self) -> None:
        """Ends every watch and channel with it."""
        for entry in list(self._entries.values()):
            self.remove(entry)
        ending = {*self._others, *([self._running] if self._running is not None else [])}
        # A callback may close the client that called it.
        await _cancelled(*(ending - {asyncio.current_task()}))

    # -- the connection ----------------------------------------------------------------------------

    async def _run(self) -> None:
        while self._entries:
            if self._transport == "socket":
                await self._by_socket()
            else:
                await self._by_poll()

    async def _by_socket(self) -> None:
        pause = pause_of(None, self._tries)
        try:
            code, reason = await self._connection()
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, BaasError) as fault:
            code, reason = 0, str(fault)
        except Exception:
            # A frame that makes no sense, for one: nothing that watches may hang for ever.
            _log.exception("the connection failed")
            code, reason = 0, "it was not understood"
        self._drop(BaasError(NETWORK, f"The connection was closed: {code} {reason}"))
        if not self._entries:
            return
        if code == _BAD_FRAME:
            self._end_all(BaasError(BAD_ANSWER, reason))
        elif code == _UNAUTHENTICATED:
            await self._renew(reason)
        self._tries += 1
        if not self._worked and self._tries >= _SOCKET_TRIES:
            _log.info("no socket to %s; polling", self._url)
            self._transport = "poll"
            return
        await self._pause(_LIMITS_PAUSE if code == _LIMITS else pause)

    async def _connection(self) -> tuple[int, str]:
        """One socket from its beginning to its end: the code and reason of that."""
        async with asyncio.timeout(self._http.timeout):
            socket = await connect(
                self._url,
                ssl=self._context,
                proxy=True if self._trust_env else None,
                compression=None,
                ping_interval=None,
                close_timeout=_CLOSE_SECONDS,
                max_size=_FRAME_BYTES,
            )
        try:
            await self._converse(socket)
        except ConnectionClosed:
            pass
        finally:
            self._outgoing = None
            try:
                await socket.close()
            except asyncio.CancelledError:
                # Nobody waits for the server's goodbye any more.
                socket.transport.abort()
                raise
        return socket.close_code or 0, socket.close_reason or "no answer"

    async def _converse(self, socket: ClientConnection) -> None:
        """Until it ends, nobody needs it any more, or the server is not heard of."""
        async with asyncio.timeout(self._http.timeout):
            await socket.send(_text({"type": "auth", "token": await self._token()}))
            ready = await _ready(socket)
        self._worked, self._tries, self._heard = True, 0, time.monotonic()
        self._outgoing = outgoing = asyncio.Queue[str]()
        for entry in list(self._entries.values()):
            self._send(entry.opening())
        await _first(
            self._read(socket),
            _write(socket, outgoing),
            self._beat(ready["pingSeconds"]),
            self._until_idle(),
        )
        while not outgoing.empty():
            await socket.send(outgoing.get_nowait())

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            frame = json.loads(await socket.recv())
            self._heard = time.monotonic()
            self._take(frame)

    async def _beat(self, seconds: float) -> None:
        """Returns where the server has fallen silent."""
        while time.monotonic() - self._heard <= 2 * seconds + _GRACE:
            self._send({"type": "ping"})
            self._quietly(self._token())  # renews what is about to run out
            await asyncio.sleep(seconds)

    async def _until_idle(self) -> None:
        while self._entries:
            self._changed.clear()
            await self._changed.wait()

    def _send(self, frame: Frame) -> None:
        if self._outgoing is not None:
            self._outgoing.put_nowait(_text(frame))

    # -- tokens ------------------------------------------------------------------------------------

    async def _token(self) -> str | None:
        return None if self._http.tokens is None else await self._http.tokens.token()

    async def _say_who_again(self) -> None:
        self._send({"type": "auth", "token": await self._token()})

    async def _renew(self, reason: str) -> None:
        """The server took the token for none. Without another, watches and channels have ended."""
        tokens = self._http.tokens
        if tokens is None:
            return
        try:
            token = await tokens.token()
            if token is not None and await tokens.renew(token) in (None, token):
                self._end_all(BaasError("UNAUTHENTICATED", reason))
        except BaasError as fault:
            _log.info("the token was not renewed: %s", fault)

    # -- long-poll ---------------------------------------------------------------------------------

    async def _by_poll(self) -> None:
        """One poll, broken off where something changes meanwhile."""
        self._changed.clear()
        entries = list(self._entries.values())
        openings = [entry.opening() for entry in entries]
        # What was opened just now wants its answer, be it news to the server or not.
        wait = _POLL_WAIT if all(entry.polled for entry in entries) else 0
        polling = asyncio.create_task(self._poll(openings, wait))
        changing = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({polling, changing}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                self._take_all(polling.result())
                self._tries = 0
                for entry in entries:
                    entry.polled = True
        except BaasError as fault:
            await self._pause(pause_of(fault, self._tries))
            self._tries += 1
        except Exception:
            _log.exception("a poll failed")
            await self._pause(pause_of(None, self._tries))
            self._tries += 1
        finally:
            await _cancelled(polling, changing)

    async def _poll(self, frames: list[Frame], wait: int) -> list[Frame]:
        body = {
            "session": self._session,
            "frames": [{"type": "auth", "token": await self._token()}, *frames],
            "wait": wait,
        }
        found = await self._http.post(
            "/v1/realtime/poll", body, "once", timeout=_POLL_TIMEOUT, retries=0
        )
        answered: list[Frame] = found["frames"]
        return answered

    async def _publish_by_poll(self, entry: Entry, frame: Frame) -> None:
        """By a poll of its own, so that none that is broken off can send it twice. What else comes
        with the answer, the other poll brings too."""
        for one in await self._poll([entry.opening(), frame], 0):
            if one["type"] == "ack" and one["ref"] == frame["ack"]:
                return
            if one["type"] == "error" and frame["ack"] == one.get("ref"):
                raise _error(one)
            if one["type"] == "error" and entry.id == one.get("id") and "ref" not in one:
                raise _error(one)
        raise BaasError(BAD_ANSWER, "The message was not acknowledged.")

    # -- frames ------------------------------------------------------------------------------------

    def _take_all(self, frames: list[Frame]) -> None:
        for frame in frames:
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        """Types that are not known are passed over."""
        if frame["type"] == "ack":
            self._settle(frame["ref"], None)
        elif frame["type"] == "error":
            self._refused(frame)
        elif (entry := self._entries.get(frame.get("id", ""))) is not None:
            entry.take(frame)

    def _refused(self, frame: Frame) -> None:
        """An error with a `ref`, null too, ends nothing."""
        if "ref" in frame:
            self._settle(frame["ref"], _error(frame))
        elif (entry := self._entries.pop(frame.get("id", ""), None)) is not None:
            # No answer follows: it may have been published or not.
            for ref in [ref for ref, (id, _) in self._acks.items() if id == entry.id]:
                self._settle(ref, _error(frame))
            entry.end(_error(frame))

    def _settle(self, ref: str | None, error: BaasError | None) -> None:
        _, waiting = self._acks.get(ref or "", ("", None))
        if waiting is None or waiting.done():
            return
        if error is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(error)

    def _drop(self, error: BaasError) -> None:
        for ref in list(self._acks):
            self._settle(ref, error)

    def _end_all(self, error: BaasError) -> None:
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            entry.end(error)

    # -- tasks -------------------------------------------------------------------------------------

    async def _pause(self, seconds: float) -> None:
        """Shorter where something changes."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass

    def start(self, work: Coroutine[Any, Any, object]) -> None:
        """Runs it beside all else, and no longer than the client."""
        task = asyncio.get_running_loop().create_task(work)
        self._others.add(task)
        task.add_done_callback(self._others.discard)

    def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        self.start(_quiet(work))


async def _ready(socket: ClientConnection) -> Frame:
    """Nothing else comes before it but an end."""
    while True:
        frame: Frame = json.loads(await socket.recv())
        if frame["type"] == "ready":
            return frame


async def _write(socket: ClientConnection, outgoing: asyncio.Queue[str]) -> None:
    while True:
        await socket.send(await outgoing.get())


async def _first(*work: Coroutine[Any, Any, None]) -> None:
    """Runs them together until one of them ends, and ends as that one did."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await _cancelled(*tasks)
    for task in done:
        task.result()


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _quiet(work: Coroutine[Any, Any, object]) -> None:
    """What fails here shows again where somebody waits for it."""
    try:
        await work
    except BaasError as fault:
        _log.debug("in the background: %s", fault)


def _error(frame: Frame) -> BaasError:
    return BaasError(str(frame["code"]), str(frame.get("detail", "")))


def _text(frame: Frame) -> str:
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
