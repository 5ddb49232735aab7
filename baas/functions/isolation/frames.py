"""What the gateway and a worker process say to each other: frames of msgpack over a socket pair.

    gateway                     worker
    Start                  ->                     once: which release, for which functions
                           <-   Ready | Broken
    Run                    ->                     a call
                           <-   Begun             the function has started here; its time runs
                           <-   Ask               the call uses the kit: database, call, queue ...
    Answer                 ->
                           <-   Logged
    Cancel                 ->                     nobody waits any more
                           <-   Done              once per Run
    Secrets                ->                     whenever they have changed
    Close                  ->                     close hooks, then the process ends

Each frame is a length of four bytes and so many bytes. Either side ends when the other is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

import msgspec

from baas.functions.model import Call
from baas.functions.outcome import Fault
from baas.functions.records import Line

F = TypeVar("F")

_LENGTH: Final = 4
#: A frame beyond this is a fault of whoever sent it.
MAX_FRAME: Final = 256 * 1024**2


class _Frame(msgspec.Struct, frozen=True, tag_field="is"):
    pass


class Start(_Frame, frozen=True, tag="start"):
    """`memory` in bytes is the cap of the whole process; `functions` start at once (warm-up)."""

    folder: str
    config: dict[str, Any]
    hash: str
    memory: int | None = None
    functions: tuple[str, ...] = ()


class Run(_Frame, frozen=True, tag="run"):
    """Call number `n` of this worker."""

    n: int
    call: Call


class Cancel(_Frame, frozen=True, tag="cancel"):
    n: int


class Answer(_Frame, frozen=True, tag="answer"):
    """To the Ask of that number."""

    ask: int
    value: Any = None
    fault: Fault | None = None


class Secrets(_Frame, frozen=True, tag="secrets"):
    values: dict[str, str]


class Close(_Frame, frozen=True, tag="close"):
    pass


class Ready(_Frame, frozen=True, tag="ready"):
    """`seconds` is what importing the release took."""

    seconds: float


class Broken(_Frame, frozen=True, tag="broken"):
    """The release does not load here."""

    message: str


class Begun(_Frame, frozen=True, tag="begun"):
    n: int


class Ask(_Frame, frozen=True, tag="ask"):
    """Call `n` wants `method` of its Host."""

    ask: int
    n: int
    method: str
    arguments: tuple[Any, ...]


class Logged(_Frame, frozen=True, tag="logged"):
    n: int
    line: Line


class Done(_Frame, frozen=True, tag="done"):
    """`phases` in ms. `spent`: this worker must not be used again."""

    n: int
    phases: dict[str, float]
    result: Any = None
    fault: Fault | None = None
    spent: bool = False


ToWorker: TypeAlias = Start | Run | Cancel | Answer | Secrets | Close
ToGateway: TypeAlias = Ready | Broken | Begun | Ask | Logged | Done

decode_to_worker: Final[Callable[[bytes], ToWorker]] = msgspec.msgpack.Decoder(ToWorker).decode
decode_to_gateway: Final[Callable[[bytes], ToGateway]] = msgspec.msgpack.Decoder(ToGateway).decode
_encode: Final = msgspec.msgpack.Encoder().encode


class Channel(asyncio.Protocol, Generic[F]):
    """One end of the pipe: `received` gets every frame in order, `closed` is called once."""

    def __init__(
        self,
        decode: Callable[[bytes], F],
        received: Callable[[F], None],
        closed: Callable[[], None],
    ) -> None:
        self._decode = decode
        self._received = received
        self._closed = closed
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def send(self, frame: msgspec.Struct) -> None:
        """Nothing where the other side is gone. TypeError, OverflowError or ValueError for what
        msgpack cannot say, and then nothing is sent."""
        body = _encode(frame)
        if len(body) > MAX_FRAME:
            raise ValueError(f"more than {MAX_FRAME // 1024**2} MiB for one call")
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(len(body).to_bytes(_LENGTH) + body)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By its methods, not its class: uvloop's has none of asyncio's bases.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= _LENGTH:
            length = int.from_bytes(self._buffer[at : at + _LENGTH])
            if len(self._buffer) - at - _LENGTH < length:
                break
            at += _LENGTH
            frame = self._decode(bytes(self._buffer[at : at + length]))
            at += length
            self._received(frame)
        if at:
            del self._buffer[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._closed()
