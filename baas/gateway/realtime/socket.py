"""uvicorn's WebSocket protocol, with the transport within reach.

A change that goes to thousands of subscribers is encoded once, and so is its WebSocket header; each
socket costs one write (bench/README.md). What uvicorn leaves open is bounded here: how many
fragments a message may come in, pings of a client that reads no pongs, and how long a connection
lingers whose other side reads nothing.

Other paths' sockets (apps mounted below /http) behave as uvicorn's do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from baas.gateway.realtime.numbers import Sent
from baas.push.session import Session
from baas.push.wire import Ending

PATH: Final = "/v1/realtime"
#: Pieces that one message may come in.
MAX_FRAGMENTS: Final = 1000
#: Bytes of control frames that are sent to a client whose buffer is full; then it is cut off.
CONTROL_BYTES: Final = 256 * 1024
#: Bytes that may wait in all, snapshots of many live queries included; then it is cut off.
MOST_BYTES: Final = 64 * 1024**2
#: How long the other side may take to answer a close frame, and to read what was sent before.
CLOSE_SECONDS: Final = 5.0
#: How soon a buffer is looked at again that never reached the transport's own mark.
_LOOK_SECONDS: Final = 0.02
#: The share of the buffer that may be left when data flows again.
_LOW_SHARE: Final = 4
#: Below this, header and frame are copied into one piece; above, they are written as they are.
_COPIED: Final = 16 * 1024
_TEXT: Final = 0x81


def header(size: int) -> bytes:
    """Of an unmasked text frame that is a whole message (RFC 6455, 5.2)."""
    if size < 126:
        return bytes((_TEXT, size))
    if size < 0x10000:
        return bytes((_TEXT, 126)) + size.to_bytes(2, "big")
    return bytes((_TEXT, 127)) + size.to_bytes(8, "big")


class _Shared:
    """The last shared frame with its header: it goes to all its subscribers one after another."""

    __slots__ = ("head", "own_size", "shared")

    def __init__(self) -> None:
        self.shared = b""
        self.own_size = -1
        self.head = b""


_shared: Final = _Shared()


class RealtimeSocket(WebSocketsSansIOProtocol):
    """One connection. `attach` makes it a client of the realtime protocol."""

    session: Session | None = None
    wire: SocketWire | None = None
    _abort_timer: asyncio.TimerHandle | None = None

    def attach(self, session: Session, wire: SocketWire, frame_bytes: int) -> None:
        """From now on frames go to `session` as they arrive, and to nobody else. A larger one than
        `frame_bytes` is refused as soon as its header is there (close code 1009)."""
        self.session, self.wire = session, wire
        self.conn.max_message_size = frame_bytes
        self.stop_keepalive()  # the protocol has its own ping, which every client can send

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self.cut_off()
            return
        super().handle_cont(event)

    def handle_pong(self, event: Frame) -> None:
        if self.session is not None:
            self.session.take_control()
        super().handle_pong(event)

    def handle_ping(self) -> None:
        if self.session is not None:
            self.session.take_control()
        if self.transport.get_write_buffer_size() > CONTROL_BYTES:
            self.cut_off()
            return
        super().handle_ping()

    def send_receive_event_to_app(self) -> None:
        if self.session is None:
            super().send_receive_event_to_app()
            return
        frames, self.frames = self.frames, []
        if self.close_sent or self.transport.is_closing():
            return
        if self.curr_msg_data_type != "text":
            self.session.refuse("Frames are text.")
            return
        self.session.take(frames[0] if len(frames) == 1 else b"".join(frames))

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        if self.session is not None:
            self.session.lost()
            self.abort_later()

    def handle_parser_exception(self) -> None:
        super().handle_parser_exception()
        if self.session is not None:
            self.session.lost()
            self.abort_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.wire is not None:
            self.wire.look()

    def shutdown(self) -> None:
        """The session said `bye` when the drain began; its client has a moment to answer."""
        if self.session is None:
            super().shutdown()
        elif not self.close_sent:
            self.finish(1001, "")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._abort_timer is not None:
            self._abort_timer.cancel()
        super().connection_lost(exc)
        session, self.session = self.session, None
        if session is not None:
            session.lost()
        self.wire = None

    def finish(self, code: int, reason: str) -> None:
        """Sends the close frame; the app's side ends now, the connection when the other side has
        answered, or after a while."""
        if self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.cut_off)

    def abort_later(self) -> None:
        """A transport that is closing waits for ever for a client that does not read."""
        if self._abort_timer is None:
            self._abort_timer = self.loop.call_later(CLOSE_SECONDS, self.cut_off)

    def cut_off(self) -> None:
        self.transport.abort()


class SocketWire:
    """See `baas.push.wire.Wire`. `limit` is in bytes that the client has not taken yet."""

    __slots__ = ("_closed", "_control", "_limit", "_protocol", "_sent", "_transport", "_waiting")
    transport = "socket"

    def __init__(self, protocol: RealtimeSocket, limit: int, sent: Sent) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._transport.set_write_buffer_limits(limit, limit // _LOW_SHARE)
        self._limit = limit
        self._sent = sent
        self._closed = False
        self._control = 0
        self._waiting: list[Callable[[], None]] = []

    @property
    def lasting(self) -> bool:
        return False

    @property
    def queued(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def has_room(self) -> bool:
        return self._transport.get_write_buffer_size() < self._limit

    def send(self, frame: bytes) -> None:
        if self._closed:
            return
        self._sent.count(frame)
        size = len(frame)
        waiting = self._transport.get_write_buffer_size()
        if waiting < self._limit:
            self._control = 0
        else:
            self._control += size
            if self._control > CONTROL_BYTES or waiting > MOST_BYTES:
                self._protocol.cut_off()
                return
        if size <= _COPIED:
            self._transport.write(header(size) + frame)
        else:
            self._transport.writelines((header(size), frame))

    def send_shared(self, shared: bytes, own: bytes) -> None:
        if self._closed:
            return
        self._sent.frames += 1
        if self._transport.get_write_buffer_size() > MOST_BYTES:
            self._protocol.cut_off()
            return
        cached = _shared
        if cached.shared is not shared or cached.own_size != len(own):
            cached.shared, cached.own_size = shared, len(own)
            cached.head = header(len(shared) + len(own)) + shared
        if not own:
            self._transport.write(cached.head)
        elif len(shared) <= _COPIED:
            self._transport.write(cached.head + own)
        else:
            self._transport.writelines((cached.head, own))

    def on_room(self, call: Callable[[], None]) -> None:
        self._waiting.append(call)
        if len(self._waiting) == 1:
            self._protocol.loop.call_soon(self.look)

    def look(self) -> None:
        """Calls those who wait, if there is room. The transport tells when a full buffer has been
        emptied; one that never was as full as its mark at the end of a turn has to be looked at."""
        if not self._waiting or self._closed:
            return
        if not self.has_room:
            if self._protocol.writable.is_set():
                self._protocol.loop.call_later(_LOOK_SECONDS, self.look)
            return
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call()

    def close(self, ending: Ending) -> None:
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self._protocol.finish(ending.code, ending.reason)
