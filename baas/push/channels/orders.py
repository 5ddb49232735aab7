"""What the server side asks of channels: functions (`ctx.push`) and admins, by one form of body."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from baas.errors import denied, invalid
from baas.guard.plans import REFUSAL
from baas.ports.documents import WriteInfo
from baas.push.channels.service import Channels
from baas.push.contract import Caller
from baas.schema.actor import Actor
from baas.schema.values import Document, Value


class SendOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A message to everybody in `channel`, or into the inbox of `user`, kept `expires` seconds."""

    event: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    data: Any = None
    channel: str | None = None
    user: str | None = None
    expires: float | None = None


class PresenceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Who is seen in this channel?"""

    channel: str


_FORMS: Final[dict[str, Any]] = {"send": SendOrder, "presence": PresenceOrder}


class Orders:
    """Channels as the server side uses them."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels

    async def perform(
        self, verb: str, body: Value, actor: Actor, ip: str, origin: WriteInfo
    ) -> Value:
        """`send` gives None, `presence` a list. A caller who is not trusted is held by the
        rules."""
        if verb not in _FORMS:
            raise invalid("", f"push knows {', '.join(_FORMS)}")
        try:
            order = msgspec.convert(body, _FORMS[verb])
        except msgspec.ValidationError as fault:
            raise invalid("", str(fault)) from None
        caller = Caller(actor, ip)
        if isinstance(order, PresenceOrder):
            return await self.present(order, caller)
        await self.send(order, caller, origin)
        return None

    def joined(self) -> dict[str, int]:
        """The channels that somebody listens to in this process, and how many do."""
        return self._channels.joined()

    async def present(self, order: PresenceOrder, caller: Caller) -> list[Document]:
        return await self._channels.present_in(order.channel, caller)

    async def send(self, order: SendOrder, caller: Caller, origin: WriteInfo) -> None:
        """Done once durable."""
        if (order.channel is None) == (order.user is None):
            raise invalid("channel", "either a channel or a user")
        if order.channel is not None:
            if order.expires is not None:
                raise invalid("expires", "a channel's history says how long messages are kept")
            await self._channels.send_to_channel(
                order.channel, order.event, order.data, caller=caller, origin=origin
            )
            return
        if not caller.actor.trusted:
            raise denied(REFUSAL)
        assert order.user is not None
        await self._channels.send_to_user(
            order.user, order.event, order.data, keep=order.expires, origin=origin
        )
