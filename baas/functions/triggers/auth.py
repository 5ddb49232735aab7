"""Events of accounts, read off the change feed: `signed_up signed_in signed_out deleted`.

Functions are given the user as `GET /v1/auth/me` shows it, and nothing else of what auth keeps:
credentials, sessions and keys never reach them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from baas.auth.collections import SESSIONS, USERS
from baas.auth.users import shown
from baas.functions.model import AuthTrigger, Call, FunctionSpec, Release, TriggerInfo
from baas.ports.changes import ChangeEvent
from baas.ports.documents import MaybeAwaitable, resolve
from baas.schema.values import Document, date_to_ms, decode

Get = Callable[[str, str], MaybeAwaitable[bytes | None]]
#: How many new accounts are remembered, so that the session that came with one is no sign-in.
_REMEMBERED: Final = 1_000


class AuthEvents:
    def __init__(self, get: Get) -> None:
        self._get = get
        self._triggers: dict[str, list[tuple[FunctionSpec, AuthTrigger]]] = {}
        #: Uid to the transaction that made the account.
        self._new: dict[str, str] = {}

    def fit(self, release: Release | None) -> None:
        self._triggers = {}
        for spec, trigger in [] if release is None else release.with_trigger(AuthTrigger):
            self._triggers.setdefault(trigger.event, []).append((spec, trigger))

    @property
    def wanted(self) -> bool:
        """Whether any function in force asks for an account's events."""
        return bool(self._triggers)

    async def calls(self, event: ChangeEvent) -> list[tuple[FunctionSpec, Call]]:
        if not self._triggers or event.collection not in (USERS, SESSIONS):
            return []
        found = await self._event(event)
        if found is None:
            return []
        name, user = found
        return [
            (spec, _call(spec, trigger, user, event))
            for spec, trigger in self._triggers.get(name, ())
        ]

    async def _event(self, event: ChangeEvent) -> tuple[str, dict[str, Any]] | None:
        """Its name and the user it is about."""
        if event.collection == SESSIONS:
            return await self._session(event)
        if event.operation == "insert" and event.after is not None:
            self._remember(event)
            return "signed_up", _shown(decode(event.after))
        if event.operation == "delete" and event.before is not None:
            return "deleted", _shown(decode(event.before))
        return None

    async def _session(self, event: ChangeEvent) -> tuple[str, dict[str, Any]] | None:
        image = event.after if event.operation == "insert" else event.before
        if event.operation == "update" or image is None:
            return None
        session = decode(image)
        uid = session["uid"]
        if event.operation == "insert":
            name = "signed_in"
            if self._new.get(uid) == event.transaction:
                return None  # it came with the account
        else:
            name = "signed_out"
            if date_to_ms(session["expires"]) <= event.time:
                return None  # it has only run out
        body = await resolve(self._get(USERS, uid))
        return None if body is None else (name, _shown(decode(body), session["loginType"]))

    def _remember(self, event: ChangeEvent) -> None:
        if len(self._new) >= _REMEMBERED:
            del self._new[next(iter(self._new))]
        self._new[event.id] = event.transaction


def _call(
    spec: FunctionSpec, trigger: AuthTrigger, user: dict[str, Any], event: ChangeEvent
) -> Call:
    return Call(
        function=spec.name,
        event={"user": user, "actor": user["uid"]},
        trigger=TriggerInfo(kind="auth", details={"event": trigger.event}),
        depth=event.depth + 1,
    )


def _shown(user: Document, login_type: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(shown(user, login_type or user["loginType"]))
    return found
