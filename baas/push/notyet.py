"""What stands for live queries and channels where this version has none."""

from __future__ import annotations

from baas.errors import Code, Problem
from baas.push.contract import Caller, Ended, Joined, Outbox, Subscription
from baas.push.frames import Join, Watch


class NoLiveQueries:
    async def watch(
        self, frame: Watch, caller: Caller, outbox: Outbox, ended: Ended
    ) -> Subscription:
        raise Problem(Code.NOT_SUPPORTED, "Live queries are not supported yet.")


class NoChannels:
    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> Joined:
        raise Problem(Code.NOT_SUPPORTED, "Channels are not supported yet.")
