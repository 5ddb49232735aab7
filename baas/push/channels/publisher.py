"""Messages written down: one order per channel, many messages in one write.

While a write of a channel is under way, further messages to it wait and go together with the next
one. A message's number is part of its id, so two processes that write at once cannot both take it:
one of them looks again and goes on behind the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from baas.clock import Clock
from baas.errors import Code, Problem
from baas.ids import new_id
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    DocumentStore,
    DuplicateKey,
    Insert,
    Lookups,
    Outcome,
    Step,
    WriteInfo,
    resolve,
)
from baas.push.channels.rows import CHANNELS, MESSAGES, channel_id, message_id
from baas.rules.channelsfile import History
from baas.schema.values import DATE, Document, Value, date_from_ms, decode, encode

#: Messages of one write.
MAX_TOGETHER: Final = 200
#: Writes that met another process, in a row.
_MAX_TRIES: Final = 50
#: A channel's last number is known for so long after its last message has expired, in seconds.
_FORGOTTEN_SECONDS: Final = 86_400
#: How long a message of a channel without history is there, for the feed to carry it, in seconds.
_PASSING_SECONDS: Final = 60


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be. `sender` is a uid or None; `check` is asked in the write itself and raises
    the refusal. `keep`: seconds that it is kept instead of the channel's own."""

    event: str
    data: Value
    sender: str | None
    check: Callable[[Lookups], None] | None = None
    keep: int | None = None
    depth: int = 0


class _Moved(Exception):
    """Another process has written to the channel."""


class Publisher:
    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    @property
    def busy(self) -> bool:
        return bool(self._lanes)

    async def publish(self, channel: str, history: History | None, message: Outgoing) -> None:
        """Done once durable. Raises what `check` raises."""
        if history is None:
            await self._pass(channel, message)
            return
        lane = self._lanes.get(channel)
        if lane is None:
            lane = self._lanes[channel] = _Lane(
                self._store, self._clock, channel, lambda: self._lanes.pop(channel, None)
            )
        await lane.add(history, message)

    async def _pass(self, channel: str, message: Outgoing) -> None:
        """Nobody may go on from it, so it needs no number."""
        now_ms = self._clock.now_ms()
        row = _row(new_id(), channel, 0, 0, message, now_ms, _PASSING_SECONDS)
        await self._store.write((_insert(row, message),), _info([message]))


class _Waiting(msgspec.Struct):
    history: History
    message: Outgoing
    done: Any


class _Lane:
    """One channel, as this process writes to it, while it does; `done` is called at its end."""

    def __init__(
        self, store: DocumentStore, clock: Clock, channel: str, done: Callable[[], object]
    ) -> None:
        self._store = store
        self._clock = clock
        self._channel = channel
        self._done = done
        self._id = channel_id(channel)
        #: The number of the last message, 0 where there was none; None: not known.
        self._last: int | None = None
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, history: History, message: Outgoing) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append(_Waiting(history, message, done))
        if self._task is None:
            self._task = loop.create_task(self._run(), name="baas-channel")
        await asyncio.shield(done)

    async def _run(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_TOGETHER], self._waiting[MAX_TOGETHER:]
            try:
                await self._write(batch)
            except Problem as problem:
                await self._one_by_one(batch, problem)
            except Exception as fault:
                _settle(batch, fault)
            else:
                _settle(batch, None)
        self._done()

    async def _one_by_one(self, batch: list[_Waiting], problem: Problem) -> None:
        """A refused message must not take the others along."""
        if len(batch) == 1:
            _settle(batch, problem)
            return
        for one in batch:
            try:
                await self._write([one])
            except Exception as fault:
                _settle([one], fault)
            else:
                _settle([one], None)

    async def _write(self, batch: list[_Waiting]) -> None:
        for _ in range(_MAX_TRIES):
            if self._last is None:
                head = await resolve(self._store.get(CHANNELS, self._id))
                self._last = 0 if head is None else decode(head)["seq"]
            numbers = self._numbers(self._last, len(batch))
            try:
                messages = [one.message for one in batch]
                await self._store.write(self._steps(batch, numbers), _info(messages))
            except (_Moved, DuplicateKey):
                self._last = None
                continue
            except BaseException:
                self._last = None  # whether it was written is not known
                raise
            self._last = numbers[-1]
            return
        raise Problem(Code.UNAVAILABLE, "The channel is too busy.", retry_after=1)

    def _numbers(self, last: int, count: int) -> list[int]:
        """`last`, then those of the messages. One after the other; the first ever is the time, so
        that a channel which was forgotten goes on above all that it had."""
        first = last + 1 if last else self._clock.now_ms()
        return [last, *range(first, first + count)]

    def _steps(self, batch: list[_Waiting], numbers: list[int]) -> tuple[Step, ...]:
        now_ms = self._clock.now_ms()
        steps: list[Step] = [
            Change(collection=CHANNELS, id=self._id, apply=self._head(batch, numbers, now_ms))
        ]
        for after, seq, one in zip(numbers, numbers[1:], batch, strict=False):
            keep = one.history.keep if one.message.keep is None else one.message.keep
            id = message_id(self._id, seq)
            row = _row(id, self._channel, seq, after, one.message, now_ms, keep)
            steps.append(_insert(row, one.message))
            steps.append(_delete(message_id(self._id, seq - one.history.max)))
        return tuple(steps)

    def _head(
        self, batch: list[_Waiting], numbers: list[int], now_ms: int
    ) -> Callable[..., Outcome]:
        keep = max(one.history.keep for one in batch) + _FORGOTTEN_SECONDS
        expires = date_from_ms(now_ms + keep * 1000)

        def apply(stored: Document | None, lookups: Lookups) -> Outcome:
            if (0 if stored is None else stored["seq"]) != numbers[0]:
                raise _Moved
            later = expires if stored is None else max(expires, stored["expires"], key=_when)
            return {
                "_id": self._id,
                "channel": self._channel,
                "seq": numbers[-1],
                "expires": later,
            }

        return apply


def _settle(batch: list[_Waiting], fault: BaseException | None) -> None:
    for one in batch:
        with suppress(asyncio.InvalidStateError):
            if fault is None:
                one.done.set_result(None)
            else:
                one.done.set_exception(fault)
                one.done.exception()  # whoever waits has it; nobody else need hear


def _row(
    id: str, channel: str, seq: int, after: int, message: Outgoing, now_ms: int, keep: int
) -> Document:
    return {
        "_id": id,
        "channel": channel,
        "seq": seq,
        "after": after,
        "event": message.event,
        "data": message.data,
        "from": message.sender,
        "time": date_from_ms(now_ms),
        "expires": date_from_ms(now_ms + keep * 1000),
    }


def _insert(row: Document, message: Outgoing) -> Insert:
    return Insert(
        collection=MESSAGES,
        id=row["_id"],
        document=row,
        body=encode(row),
        check=message.check,
    )


def _when(date: Document) -> str:
    return str(date[DATE])


def _delete(id: str) -> Change:
    def apply(stored: Document | None, lookups: Lookups) -> Outcome:
        return KEEP if stored is None else DELETE

    return Change(collection=MESSAGES, id=id, apply=apply)


def _info(messages: list[Outgoing]) -> WriteInfo:
    return WriteInfo(
        actor=messages[0].sender if len(messages) == 1 else None,
        depth=max(message.depth for message in messages),
    )
