"""`POST /v1/realtime/poll`: the frames of the protocol for places where sockets do not live.

A poll is a whole session: it says who it is, opens what it follows from the cursors that it has,
and ends with its answer. Nothing is kept in between, so any worker may answer the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec

from baas.database.bodies import BodyDecoder
from baas.errors import invalid
from baas.gateway.actor import settle
from baas.gateway.body import ClientGone, check_json_type, read_body
from baas.gateway.exchange import JSON, NO_STORE, Answer
from baas.gateway.ratelimit import network_of
from baas.gateway.realtime.numbers import Sent
from baas.gateway.route import Call
from baas.push.frames import encode_frame
from baas.push.session import Session
from baas.push.wire import Ending

#: Longest time that a poll waits for something to happen, in seconds.
MAX_WAIT: Final = 25
#: What comes within this after the first news goes with it.
_BATCH_SECONDS: Final = 0.02
#: How long the frames of a poll may take to be acted on.
_SETTLE_SECONDS: Final = 15.0
#: Answers that tell a client nothing it has to act on: a poll that has just these goes on waiting.
_NO_NEWS: Final = (b'{"type":"ready"', b'{"type":"resumed"', b'{"type":"joined"', b'{"type":"pong"')


class PollBody(msgspec.Struct, forbid_unknown_fields=True):
    """`session` is the client's own name, the same in all its polls. `frames` as on the socket;
    without `auth` the caller is that of the Authorization header. `wait` in seconds."""

    session: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    frames: list[dict[str, Any]] = []
    wait: Annotated[float, msgspec.Meta(ge=0, le=MAX_WAIT)] = 0


class PollAnswer(msgspec.Struct):
    """`frames` in order; `close` is the close code where the server ended the session."""

    frames: list[dict[str, Any]]
    close: int | None = None


class _Body(PollBody):
    """The same, with the frames as they were written."""

    frames: list[msgspec.Raw] = []  # type: ignore[assignment]


_decode: Final = BodyDecoder(_Body)


class PollWire:
    """See `baas.push.wire.Wire`: collects. `limit` in bytes."""

    transport = "poll"

    def __init__(self, limit: int, sent: Sent) -> None:
        self.frames: list[bytes] = []
        self.ending: Ending | None = None
        self.news = asyncio.Event()
        self.full = asyncio.Event()
        self._size = 0
        self._limit = limit
        self._sent = sent

    @property
    def lasting(self) -> bool:
        return True

    @property
    def queued(self) -> int:
        return self._size

    @property
    def has_room(self) -> bool:
        return self._size < self._limit

    def send(self, frame: bytes) -> None:
        if self.ending is None:
            self._sent.count(frame)
            self._size += len(frame)
            self.frames.append(frame)
            if not frame.startswith(_NO_NEWS):
                self.news.set()

    def send_shared(self, shared: bytes, own: bytes) -> None:
        self.send(shared + own)

    def on_room(self, call: Callable[[], None]) -> None:
        """Never: the answer is the room, and the next poll goes on from its cursors."""
        self.full.set()

    def close(self, ending: Ending) -> None:
        if self.ending is None:
            self.ending = ending
            self.news.set()

    def answer(self) -> bytes:
        close = b"" if self.ending is None else b',"close":%d' % self.ending.code
        return b'{"frames":[' + b",".join(self.frames) + b"]" + close + b"}"


async def poll(call: Call) -> Answer:
    services, exchange = call.services, call.exchange
    if b"x-baas-as" in exchange.headers:  # the frames' rights would be the key's own
        raise invalid("", "X-Baas-As does not go with realtime; send a token of that user")
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    services.limits.take_read(actor, exchange.ip)
    check_json_type(exchange)
    body = _decode(await read_body(exchange, call.receive, services.body_bytes))
    realtime = services.realtime
    wire = PollWire(services.settings.push.buffer_bytes, realtime.sent)
    address = network_of(exchange.ip)
    session = realtime.sessions.open(wire, exchange.ip, address, body.session)
    try:
        if not _begins_with_auth(body.frames):
            session.take(encode_frame("auth", token=_token(exchange.text(b"authorization"))))
        for frame in body.frames:
            if len(bytes(frame)) > services.settings.push.frame_bytes:
                session.refuse(f"A frame may have {services.settings.push.frame_bytes} bytes.")
            session.take(bytes(frame))
        await _or_gone(_happened(session, wire, body.wait), call, body.wait)
    finally:
        exchange.actor = session.caller.actor
        session.lost()
    return Answer(wire.answer(), 200, (JSON, NO_STORE))


async def _happened(session: Session, wire: PollWire, wait: float) -> None:
    """Until there is something to tell, or nothing to wait for."""
    settled = asyncio.ensure_future(session.settled())
    full = asyncio.ensure_future(wire.full.wait())
    try:
        await asyncio.wait(
            {settled, full}, timeout=_SETTLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
    finally:  # whoever asked may be gone by now
        settled.cancel()
        full.cancel()
    if wire.news.is_set() or wire.full.is_set() or not wait:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await wire.news.wait()
            await asyncio.sleep(_BATCH_SECONDS)


async def _or_gone(happened: Coroutine[Any, Any, None], call: Call, wait: float) -> None:
    """ClientGone as soon as the client has hung up: it will come again with the same cursors."""
    if not wait:
        await happened
        return
    waiting = asyncio.ensure_future(happened)
    leaving = asyncio.ensure_future(_left(call))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientGone
        waiting.result()
    finally:
        waiting.cancel()
        leaving.cancel()


async def _left(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass


class _Typed(msgspec.Struct):
    type: str = ""


def _begins_with_auth(frames: list[msgspec.Raw]) -> bool:
    try:
        return bool(frames) and msgspec.json.decode(frames[0], type=_Typed).type == "auth"
    except msgspec.MsgspecError:
        return False


def _token(header: str | None) -> str | None:
    return None if header is None else header.partition(" ")[2]
