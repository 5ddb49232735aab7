"""What stands for channels where this version has none."""

from __future__ import annotations

from baas.errors import Code, Problem
from baas.push.contract import Caller, Ended, Joined, Outbox
from baas.push.frames import Join


class NoChannels:
    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> Joined:
        raise Problem(Code.NOT_SUPPORTED, "Channels are not supported yet.")
