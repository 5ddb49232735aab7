"""`/v1/admin/push`: messages from the server side, who is present, who is connected."""

from __future__ import annotations

import heapq
from typing import Any, Final

import msgspec

from baas.gateway.adminroutes.table import Done, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.ports.documents import WriteInfo
from baas.push.channels.orders import PresenceOrder, SendOrder
from baas.push.contract import Caller
from baas.push.session import Connection
from baas.schema.actor import Actor

READ: Final = "push:read"
WRITE: Final = "push:write"
#: Connections of one answer.
MAX_CONNECTIONS: Final = 1000
MAX_CHANNELS: Final = 200


class PresenceEntries(msgspec.Struct, frozen=True):
    """Each `{uid, session, state, since}`, longest first."""

    entries: list[dict[str, Any]]


class Connections(msgspec.Struct, frozen=True):
    """Of the process that answers: the newest, and how many there are in all."""

    total: int
    connections: list[Connection]


class JoinedChannel(msgspec.Struct, frozen=True):
    channel: str
    members: int


class JoinedChannels(msgspec.Struct, frozen=True):
    """Of the process that answers: the channels with the most members, and how many there are.
    Users' inboxes are not among them."""

    total: int
    channels: list[JoinedChannel]


async def _send(services: Services, actor: Actor, body: SendOrder) -> Done:
    await services.realtime.orders.send(body, Caller(actor), WriteInfo())
    return Done()


async def _presence(services: Services, actor: Actor, body: PresenceOrder) -> PresenceEntries:
    return PresenceEntries(await services.realtime.orders.present(body, Caller(actor)))


async def _channels(services: Services, actor: Actor, body: None) -> JoinedChannels:
    joined = services.realtime.orders.joined()
    most = heapq.nsmallest(MAX_CHANNELS, joined.items(), key=lambda one: (-one[1], one[0]))
    return JoinedChannels(len(joined), [JoinedChannel(*one) for one in most])


async def _connections(services: Services, actor: Actor, body: None) -> Connections:
    sessions = services.realtime.sessions
    return Connections(len(sessions), sessions.newest(MAX_CONNECTIONS))


ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "push/send",
        "Send a message to a channel or a user",
        WRITE,
        _send,
        SendOrder,
        Done,
        recorded=("channel", "user", "event"),
    ),
    admin_route(
        "push/presence",
        "Who is seen in a channel",
        READ,
        _presence,
        PresenceOrder,
        PresenceEntries,
    ),
    admin_route(
        "push/channels",
        "Channels that somebody listens to in the process that answers",
        READ,
        _channels,
        None,
        JoinedChannels,
    ),
    admin_route(
        "push/connections",
        "Realtime connections of the process that answers",
        READ,
        _connections,
        None,
        Connections,
    ),
)
