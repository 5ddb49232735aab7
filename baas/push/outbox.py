"""Waiting for a client to read."""

from __future__ import annotations

import asyncio

from baas.push.contract import Outbox


async def until_room(outbox: Outbox) -> None:
    """Until the client has read what it was sent: a first answer may be large, and one who reads
    none of them could have very many prepared."""
    while not outbox.has_room:
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        outbox.on_room(lambda room=room: room.done() or room.set_result(None))  # type: ignore[misc]
        await room
