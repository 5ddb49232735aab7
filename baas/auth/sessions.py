"""Sessions: opened by a sign-in, kept alive by refresh, ended by sign-out, reuse or time.

A session's `generation` is the number of the newest refresh token given out. Using that one makes
the next; using the one before it gives the newest again, since its answer may have been lost; an
older one can only be a copy, so the session ends. Each is one step of the store, so it holds
whatever else refreshes at that moment, in this process or another.
"""

from __future__ import annotations

from typing import Final

import msgspec

from baas.auth.bodies import ClientFacts, SessionInfo
from baas.auth.collections import SESSIONS
from baas.auth.steps import insert, remove, remove_owned, write
from baas.auth.tokens import RefreshTokens
from baas.auth.users import MAX_USER_AGENT
from baas.clock import Clock
from baas.errors import Code, Problem, not_found
from baas.ids import new_id
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    DocumentStore,
    Find,
    Insert,
    Lookups,
    Outcome,
    resolve,
)
from baas.query.ast import Eq, Field, SortKey
from baas.schema.values import Document, date_from_ms, date_to_ms, decode
from baas.settings import AuthSettings

DAY_MS: Final = 86_400_000
#: Sessions shown of one user, the newest.
MAX_LISTED: Final = 1_000
#: A repeated refresh extends the session only if the last use is older than this.
_TOUCH_MS: Final = 60_000
_NEWEST_FIRST: Final = (SortKey(("_id",), descending=True),)


class Renewed(msgspec.Struct, frozen=True):
    """A session after a refresh. `token` is the one to use next; None: the session has just
    ended, because the token that was shown had its turn already."""

    id: str
    uid: str
    login_type: str
    token: str | None


class Sessions:
    def __init__(
        self, store: DocumentStore, clock: Clock, tokens: RefreshTokens, settings: AuthSettings
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens = tokens
        self._settings = settings

    def new(self, uid: str, login_type: str, client: ClientFacts) -> tuple[str, Insert]:
        """A session's id and the step that opens it."""
        now_ms = self._clock.now_ms()
        now = date_from_ms(now_ms)
        id = new_id()
        document: Document = {
            "_id": id,
            "uid": uid,
            "loginType": login_type,
            "generation": 0,
            "createTime": now,
            "lastUsed": now,
            "expires": self._expiry(login_type, now_ms),
            "ip": client.ip,
            "userAgent": _printable(client.user_agent),
        }
        return id, insert(SESSIONS, document)

    def first_token(self, id: str) -> str:
        return self._tokens.make(id, 0)

    async def refresh(self, token: str, client: ClientFacts) -> Renewed:
        """UNAUTHENTICATED for a forged token, SESSION_REVOKED for a session that is gone."""
        id, presented = self._tokens.read(token)
        seen: Document | None = None
        outcome: Outcome = KEEP

        def apply(session: Document | None, _: Lookups) -> Outcome:
            # May run again; what the last run saw is what counted.
            nonlocal seen, outcome
            seen = session
            outcome = KEEP if session is None else self._turn(session, presented, client)
            return outcome

        await write(self._store, Change(collection=SESSIONS, id=id, apply=apply))
        if seen is None:
            raise revoked()
        if outcome is DELETE:
            return Renewed(id, seen["uid"], seen["loginType"], None)
        newest = seen["generation"] if outcome is KEEP else outcome["generation"]
        return Renewed(id, seen["uid"], seen["loginType"], self._tokens.make(id, newest))

    def _turn(self, session: Document, presented: int, client: ClientFacts) -> Outcome:
        """What showing the token of generation `presented` makes of the session."""
        now_ms = self._clock.now_ms()
        newest = session["generation"]
        if presented < newest - 1 or expired(session, now_ms):
            return DELETE
        used_ms = date_to_ms(session["lastUsed"])
        if presented < newest and now_ms - used_ms < _TOUCH_MS:
            return KEEP
        return {
            **session,
            # A token from a future that a restored backup does not know moves the session there.
            "generation": max(newest, presented + 1),
            "lastUsed": date_from_ms(now_ms),
            "expires": self._expiry(session["loginType"], now_ms),
            "ip": client.ip or session["ip"],
        }

    async def end(self, id: str) -> None:
        await write(self._store, remove(SESSIONS, id))

    async def end_all(self, uid: str, *, keep: str | None = None) -> int:
        """Ends every session of the user, but the one named `keep`; how many there were."""
        result = await write(self._store, remove_owned(SESSIONS, uid, keep=keep))
        return len(result.results[0].written)

    async def end_one(self, uid: str, id: str) -> None:
        """NOT_FOUND unless it is a session of this user."""

        def apply(session: Document | None, _: Lookups) -> Outcome:
            if session is None or session["uid"] != uid:
                raise not_found("You have no such session.")
            return DELETE

        await write(self._store, Change(collection=SESSIONS, id=id, apply=apply))

    async def list(self, uid: str, current: str | None) -> tuple[SessionInfo, ...]:
        """The newest first, without those whose time is over."""
        query = Find(
            collection=SESSIONS,
            filter=Field(("uid",), Eq(uid)),
            sort=_NEWEST_FIRST,
            limit=MAX_LISTED,
        )
        found = [decode(body) for body in await resolve(self._store.find(query))]
        now_ms = self._clock.now_ms()
        return tuple(_info(item, current) for item in found if not expired(item, now_ms))

    def _expiry(self, login_type: str, now_ms: int) -> dict[str, str]:
        settings = self._settings
        anonymous = login_type == "ANONYMOUS"
        days = settings.anonymous_token_days if anonymous else settings.refresh_token_days
        return date_from_ms(now_ms + days * DAY_MS)


def expired(session: Document, now_ms: int) -> bool:
    """Whether its time is over; the store sweeps such documents only now and then."""
    return date_to_ms(session["expires"]) <= now_ms


def revoked() -> Problem:
    return Problem(Code.SESSION_REVOKED, "This session has ended; sign in again.")


def _printable(text: str) -> str:
    """A header as it may be stored and shown: bounded, nothing that controls a terminal."""
    return "".join(c for c in text[:MAX_USER_AGENT] if c.isprintable())


def _info(session: Document, current: str | None) -> SessionInfo:
    return SessionInfo(
        id=session["_id"],
        create_time=session["createTime"],
        last_used=session["lastUsed"],
        ip=session["ip"],
        user_agent=session["userAgent"],
        login_type=session["loginType"],
        current=session["_id"] == current,
    )
