"""An app with channels, and a member of one who knows the protocol's page and no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from tests.support.sockets import PATIENCE, Socket

#: Long enough for what comes by the change feed from another process, on a busy machine.
NOTHING_MORE: Final = 0.3

ROOMS_APP: Final = {
    "baas.yaml": "app: {name: rooms}\n",
    "rules/_channels.yaml": """\
- channel: room:{id}
  subscribe: auth.uid in get('database.rooms.' + params.id).members
  publish: auth.uid in get('database.rooms.' + params.id).members
  presence: auth.uid in get('database.rooms.' + params.id).members
- channel: hall:{name}
  subscribe: auth != null
  publish: auth != null
  presence: auth != null
- channel: short:{name}
  subscribe: auth != null
  publish: auth != null
  history: {keep: 1h, max: 3}
- channel: live:{name}
  subscribe: auth != null
  publish: auth != null
  history: none
- channel: own:{uid}
  subscribe: params.uid == auth.uid
  publish: params.uid == auth.uid && request.data.event == 'said' && size(request.data.data) < 5
- channel: desk:{uid}:{topic}
  subscribe: params.uid == auth.uid && params.topic == 'open' && channel != 'desk:x:open'
- channel: silent
  subscribe: auth != null
  presence: "'host' in auth.roles"
- channel: staff
  subscribe: "'staff' in auth.roles"
  publish: "'staff' in auth.roles"
- channel: notices
  subscribe: true
""",
    "rules/rooms.yaml": "collection: rooms\nrules: {read: auth != null, write: auth != null}\n",
    "rules/_functions.yaml": '"*": {invoke: true}\n',
    "functions/pushes.py": """\
from baas import fn
from baas.errors import Problem

@fn.event()
async def tell(ctx, event):
    await ctx.push.send(event["channel"], event.get("event", "told"), event.get("data"))

@fn.event()
async def tell_as_caller(ctx, event):
    try:
        await ctx.as_caller().push.send(event["channel"], "told", event.get("data"))
    except Problem as refusal:
        return refusal.code.name

@fn.event()
def tell_in_thread(ctx, event):
    ctx.push.send(event["channel"], "told", event.get("data"))

@fn.event(isolation="process")
def tell_in_process(ctx, event):
    ctx.push.send(event["channel"], "told", event.get("data"))

@fn.event(isolation="process")
def tell_as_caller_in_process(ctx, event):
    try:
        ctx.as_caller().push.send(event["channel"], "told", event.get("data"))
    except Problem as refusal:
        return refusal.code.name

@fn.event()
async def write_to(ctx, event):
    try:
        await ctx.push.send(user=event["user"], event="paid", data=event.get("data"),
                            expires=event.get("expires"))
    except Problem as refusal:
        return refusal.code.name

@fn.event()
async def write_to_as_caller(ctx, event):
    try:
        await ctx.as_caller().push.send(user=event["user"], event="paid")
    except Problem as refusal:
        return refusal.code.name

@fn.event()
async def who(ctx, event):
    return await ctx.push.presence(event["channel"])

@fn.event(isolation="process")
def who_in_process(ctx, event):
    return ctx.push.presence(event["channel"])

@fn.event()
async def who_as_caller(ctx, event):
    try:
        return await ctx.as_caller().push.presence(event["channel"])
    except Problem as refusal:
        return refusal.code.name
""",
}


class Member:
    """What one connection knows of one channel. `log` is every frame about it, in order."""

    def __init__(self, socket: Socket, id: str = "c") -> None:
        self.socket = socket
        self.id = id
        self.log: list[Any] = []
        self.present: dict[str, Any] = {}
        self.cursor: str | None = None
        self._acks = 0
        socket.members[id] = self

    async def join(self, channel: str, **more: Any) -> Any:
        """`joined`, or the `error` that refuses."""
        await self.socket.say(type="join", id=self.id, channel=channel, **more)
        return await self.until(lambda frame: frame["type"] in ("joined", "error"))

    async def publish(self, data: Any, event: str = "said") -> Any:
        """Done once it is durable, or refused: the `ack` or the `error`."""
        self._acks += 1
        ref = f"r{self._acks}"
        await self.socket.say(type="publish", id=self.id, event=event, data=data, ack=ref)
        return await self.until(lambda frame: frame.get("ref") == ref)

    async def until(self, wanted: Callable[[Any], bool], seconds: float = PATIENCE) -> Any:
        """The first frame about this channel, or the whole connection, that is wanted; from now
        on. All that come meanwhile are noted by those whom they concern."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.socket.heard(seconds)
                concerned = self.socket.members.get(frame.get("id", self.id))
                if concerned is not None:
                    concerned.note(frame)
                if concerned is self and wanted(frame):
                    return frame

    async def hears(self, count: int, seconds: float = PATIENCE) -> list[Any]:
        """The data of all messages, once there are so many."""
        await self.holds(lambda: len(self.messages) >= count, seconds)
        return self.messages

    async def holds(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Until what is known of the channel is so."""
        while not condition():
            await self.until(lambda frame: True, seconds)

    async def hears_no_more(self) -> None:
        """Answers come in order: what had been on its way is here before the `pong`, and a while
        later still nothing is."""
        known = len(self.log)
        for _ in range(2):
            await self.socket.say(type="ping")
            await self.until(lambda frame: frame["type"] == "pong")
            await asyncio.sleep(NOTHING_MORE / 2)
        assert self.log[known:] == []

    async def sees(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        """Until the presence list is so."""
        await self.holds(lambda: condition(self.present))

    def note(self, frame: Any) -> None:
        if frame.get("id") != self.id:
            return
        self.log.append(frame)
        self.cursor = frame.get("cursor") or self.cursor
        if frame["type"] == "joined":
            self.present = {entry["session"]: entry for entry in frame["presence"]}
        if frame["type"] == "presence":
            for entry in frame["leave"]:
                self.present.pop(entry["session"], None)
            for entry in frame["join"]:
                self.present[entry["session"]] = entry

    @property
    def messages(self) -> list[Any]:
        return [frame["data"] for frame in self.log if frame["type"] == "message"]

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.log]

    @property
    def uids(self) -> list[str]:
        return sorted(str(entry["uid"]) for entry in self.present.values())
