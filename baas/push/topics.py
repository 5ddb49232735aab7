"""The watches and joined channels of one session, by the ids that the client gave them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol, TypeAlias

from msgspec import UNSET

from baas.errors import Code, Problem, invalid
from baas.push.contract import Caller, Channels, Joined, LiveQueries, Outbox
from baas.push.frames import (
    Ack,
    Join,
    Leave,
    Publish,
    Ref,
    Unwatch,
    Watch,
    decode_frame,
    error_frame,
)
from baas.push.outbox import until_room
from baas.push.topic import Steps, Topic
from baas.push.wire import Admission, Limits

_log = logging.getLogger(__name__)

#: Messages of one session that are being written at once; others wait, in their order.
MAX_PUBLISHING: Final = 64
#: Bytes of one session's frames that are not acted on yet. They are kept as text: decoded, a frame
#: of nothing but brackets takes thirty times as much.
MAX_WAITING: Final = 512 * 1024

TopicFrame: TypeAlias = Watch | Unwatch | Join | Leave | Publish | Ack


class Owner(Protocol):
    """The session."""

    @property
    def id(self) -> str: ...

    @property
    def caller(self) -> Caller: ...

    def check_token(self) -> None:
        """TOKEN_EXPIRED for one that may open nothing any more."""
        ...


class Shared(Protocol):
    """What all sessions of a process have in common."""

    live: LiveQueries
    channels: Channels
    admission: Admission
    limits: Limits


class Topics:
    __slots__ = ("_by_id", "_outbox", "_owner", "_publishing", "_shared", "_slots", "_steps")

    def __init__(self, owner: Owner, shared: Shared, outbox: Outbox) -> None:
        self._owner = owner
        self._shared = shared
        self._outbox = outbox
        self._by_id: dict[str, Topic] = {}
        self._steps = Steps(self._failed)
        self._publishing = 0
        self._slots: asyncio.Semaphore | None = None  # most connections never publish

    def __contains__(self, id: str) -> bool:
        return id in self._by_id

    @property
    def watches(self) -> int:
        return sum(not topic.is_channel for topic in self._by_id.values())

    @property
    def channels(self) -> int:
        return sum(topic.is_channel for topic in self._by_id.values())

    @property
    def busy(self) -> bool:
        return self._steps.busy or self._publishing > 0

    async def settled(self) -> None:
        """Until nothing is under way."""
        while self.busy:
            await self._steps.settled()
            if self._publishing:
                tasks = [task for topic in self._by_id.values() for task in topic.publishing]
                await asyncio.wait(tasks or [asyncio.ensure_future(asyncio.sleep(0))])

    def act(self, frame: TopicFrame, text: bytes | str) -> None:
        """What the client asks, and as it was written; a refusal is answered and goes no
        further."""
        try:
            match frame:
                case Watch():
                    self._watch(frame, text)
                case Join():
                    self._join(frame, text)
                case Publish():
                    self._publish(frame, text)
                case Ack():
                    self._acknowledge(frame)
                case Unwatch():
                    self._unwatch(frame.id)
                case Leave():
                    self._leave(frame.id)
        except Problem as problem:
            self._outbox.send(error_frame(problem, frame.id, self._ref(frame)))

    def _ref(self, frame: TopicFrame) -> Ref:
        """What a refused frame leaves as it was."""
        if isinstance(frame, Publish):
            return frame.ack
        return None if isinstance(frame, Ack) or frame.id in self._by_id else UNSET

    def renew(self) -> None:
        """The caller is another, or has other rights: every rule is asked again."""
        for topic in self._by_id.values():
            topic.then(lambda topic=topic: self._renew(topic))  # type: ignore[misc]

    def alive(self) -> None:
        for topic in self._by_id.values():
            if topic.joined is not None:
                topic.joined.alive()

    def close(self) -> None:
        topics, self._by_id = self._by_id, {}
        for topic in topics.values():
            topic.close()

    # -- watches -----------------------------------------------------------------------------------

    def _check_waiting(self, text: bytes | str) -> None:
        waiting = sum(topic.size for topic in self._by_id.values())
        if waiting and waiting + len(text) > MAX_WAITING:
            raise Problem(Code.RATE_LIMITED, "Too much is under way; wait.")

    def _watch(self, frame: Watch, text: bytes | str) -> None:
        if frame.id in self._by_id:
            raise invalid("id", f"{frame.id!r} is in use; send unwatch or leave first")
        most = self._shared.limits.watches
        if self.watches >= most:
            raise Problem(Code.LIMIT_EXCEEDED, f"A connection may have {most} watches.")
        self._check_waiting(text)
        self._owner.check_token()
        self._shared.admission.watch(self._owner.caller)
        topic = self._by_id[frame.id] = Topic(frame.id, self._steps, is_channel=False)
        topic.then(lambda: self._open_watch(topic, text), len(text))

    async def _open_watch(self, topic: Topic, text: bytes | str) -> None:
        await until_room(self._outbox)
        frame: Any = decode_frame(text)
        topic.opened(
            await self._shared.live.watch(
                frame, self._owner.caller, self._outbox, lambda why: self._ended(topic, why)
            )
        )

    def _unwatch(self, id: str) -> None:
        """One that is not there is no fault: it may have ended at this very moment."""
        topic = self._by_id.get(id)
        if topic is not None and not topic.is_channel:
            del self._by_id[id]
            topic.close()

    # -- channels ----------------------------------------------------------------------------------

    def _join(self, frame: Join, text: bytes | str) -> None:
        topic = self._by_id.get(frame.id)
        if topic is not None and not topic.is_channel:
            raise invalid("id", f"{frame.id!r} is a watch; send unwatch first")
        most = self._shared.limits.channels
        if topic is None and self.channels >= most:
            raise Problem(Code.LIMIT_EXCEEDED, f"A connection may join {most} channels.")
        self._check_waiting(text)
        self._owner.check_token()
        self._shared.admission.join(self._owner.caller)
        if frame.presence is not UNSET:
            self._shared.admission.change(self._owner.caller)
        if topic is None:
            topic = self._by_id[frame.id] = Topic(frame.id, self._steps, is_channel=True)
        channel = topic
        channel.leaving = False
        channel.then(lambda: self._open_or_change(channel, text), len(text))

    async def _open_or_change(self, topic: Topic, text: bytes | str) -> None:
        if topic.joined is None:
            await until_room(self._outbox)
        frame: Any = decode_frame(text)
        if topic.joined is not None:
            await topic.joined.change_presence(frame, self._owner.caller)
            return
        owner = self._owner
        joined = await self._shared.channels.join(
            frame, owner.caller, owner.id, self._outbox, lambda why: self._ended(topic, why)
        )
        topic.joined = joined
        topic.opened(joined)

    def _leave(self, id: str) -> None:
        """At once; but what was published or acknowledged before goes first."""
        topic = self._by_id.get(id)
        if topic is None or not topic.is_channel:
            return
        if topic.unsent or topic.publishing:
            topic.leaving = True
            topic.then(lambda: self._leave_later(topic))
        else:
            del self._by_id[id]
            topic.close()

    async def _leave_later(self, topic: Topic) -> None:
        if topic.publishing:
            await asyncio.wait(list(topic.publishing))
        if topic.open is not None:
            topic.open.close()
            topic.open = topic.joined = None
        if topic.leaving and self._by_id.get(topic.id) is topic:
            del self._by_id[topic.id]
            topic.close()

    def _publish(self, frame: Publish, text: bytes | str) -> None:
        """In order, but without waiting for the message before to be durable."""
        topic = self._channel(frame.id)
        self._check_waiting(text)
        self._owner.check_token()
        self._shared.admission.publish(self._owner.caller)
        topic.unsent += 1
        topic.then(lambda: self._start_message(topic, text), len(text))

    async def _start_message(self, topic: Topic, text: bytes | str) -> None:
        slots = self._slots = self._slots or asyncio.Semaphore(MAX_PUBLISHING)
        await slots.acquire()
        frame: Any = decode_frame(text)
        topic.unsent -= 1
        joined = topic.joined
        if joined is None:
            slots.release()
            raise invalid("id", f"no channel is joined as {frame.id!r}")
        task = asyncio.get_running_loop().create_task(self._send_message(topic, joined, frame))
        self._publishing += 1
        topic.publishing.add(task)
        topic.size += len(text)
        task.add_done_callback(lambda done: self._published(topic, done, len(text), slots))

    async def _send_message(self, topic: Topic, joined: Joined, frame: Publish) -> None:
        try:
            await joined.publish(frame, self._owner.caller)
        except Problem as problem:
            self._tell(topic, problem, frame.ack)
        except Exception:
            _log.exception("a message could not be published")
            self._tell(topic, Problem(Code.INTERNAL, Code.INTERNAL.title + "."), frame.ack)

    def _published(
        self, topic: Topic, task: asyncio.Task[None], size: int, slots: asyncio.Semaphore
    ) -> None:
        self._written(topic, task)
        topic.size -= size
        slots.release()

    def _written(self, topic: Topic, task: asyncio.Task[None]) -> None:
        topic.publishing.discard(task)
        self._publishing -= 1

    def _acknowledge(self, frame: Ack) -> None:
        """Whatever becomes of the channel or the connection meanwhile: what has arrived is not to
        come again."""
        topic = self._channel(frame.id)
        self._shared.admission.change(self._owner.caller)
        if topic.joined is not None:
            self._begin_acknowledging(topic, topic.joined, frame.cursor)
            return
        topic.unsent += 1

        async def acknowledge() -> None:
            topic.unsent -= 1
            if topic.joined is not None:
                self._begin_acknowledging(topic, topic.joined, frame.cursor)

        topic.then(acknowledge)

    def _begin_acknowledging(self, topic: Topic, joined: Joined, cursor: str) -> None:
        task = asyncio.get_running_loop().create_task(self._forget(topic, joined, cursor))
        self._publishing += 1
        topic.publishing.add(task)
        task.add_done_callback(lambda done: self._written(topic, done))

    async def _forget(self, topic: Topic, joined: Joined, cursor: str) -> None:
        try:
            await joined.acknowledge(cursor)
        except Problem as problem:
            self._tell(topic, problem, None)
        except Exception:
            _log.exception("a message could not be acknowledged")
            self._tell(topic, Problem(Code.INTERNAL, Code.INTERNAL.title + "."), None)

    def _channel(self, id: str) -> Topic:
        topic = self._by_id.get(id)
        if topic is None or not topic.is_channel or topic.leaving:
            raise invalid("id", f"no channel is joined as {id!r}")
        return topic

    # -- both --------------------------------------------------------------------------------------

    async def _renew(self, topic: Topic) -> None:
        if topic.open is not None:
            await topic.open.renew(self._owner.caller)

    def _failed(self, topic: Topic, problem: Problem) -> None:
        """A refused watch or join does not exist; another step's refusal leaves it as it was."""
        if topic.open is None:
            self._ended(topic, problem)
        else:
            self._tell(topic, problem, None)

    def _ended(self, topic: Topic, problem: Problem) -> None:
        if not topic.closed:
            self._tell(topic, problem)
            if self._by_id.get(topic.id) is topic:
                del self._by_id[topic.id]
            topic.close()

    def _tell(self, topic: Topic, problem: Problem, ref: Ref = UNSET) -> None:
        if not topic.closed:
            self._outbox.send(error_frame(problem, topic.id, ref))
