"""`ctx.push`: messages to channels and users, and who is present in a channel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from baas.errors import invalid
from baas.functions.values import from_wire, to_wire

if TYPE_CHECKING:
    from baas.functions.context import Host


class Push:
    """With server rights, or the caller's (`ctx.as_caller().push`). Methods give awaitables in
    async functions and results in plain ones.

    A message is durable when `send` returns. A function that is tried again sends again: let the
    message say what it is about, so that a client can tell.
    """

    __slots__ = ("_as_caller", "_host", "_settle")

    def __init__(
        self, host: Host, as_caller: bool, settle: Callable[[Awaitable[Any]], Any] | None
    ) -> None:
        self._host = host
        self._as_caller = as_caller
        self._settle = settle

    def send(
        self,
        channel: str | None = None,
        event: str = "message",
        data: Any = None,
        *,
        user: str | None = None,
        expires: float | None = None,
    ) -> Any:
        """To everybody in `channel`; or into the inbox of `user` (a uid), where it waits until a
        client of that user has taken it, `expires` seconds at most."""
        if (channel is None) == (user is None):
            raise invalid("channel", "either a channel or a user")
        order = {"event": event, "data": to_wire(data)}
        if channel is not None:
            order["channel"] = channel
        else:
            order["user"] = user
        if expires is not None:
            order["expires"] = expires
        return self._use("send", order)

    def presence(self, channel: str) -> Any:
        """Who is seen in a channel: a list of `{uid, session, state, since}`."""
        return self._use("presence", {"channel": channel})

    def _use(self, verb: str, body: dict[str, Any]) -> Any:
        found = self._answer(verb, body)
        return found if self._settle is None else self._settle(found)

    async def _answer(self, verb: str, body: dict[str, Any]) -> Any:
        return from_wire(await self._host.push(verb, body, self._as_caller))
