"""Anonymous accounts that nobody came back to: removed, where the operator wants that.

Every anonymous sign-in makes an account, so whoever can reach the gateway can make as many as the
rate limits let him. One goes when it was not used for `auth.anonymous_unused_days`, has no other
way to sign in, no role, claim or profile, and owns no document and no file. Its sessions go in the
same write, which is refused if one of them has been used meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from baas.auth.collections import SESSIONS, USERS
from baas.auth.steps import write
from baas.clock import Clock
from baas.errors import Code, Problem
from baas.ports.documents import (
    DELETE,
    Change,
    ChangeMany,
    DocumentStore,
    Find,
    Lookups,
    Outcome,
    resolve,
)
from baas.query.ast import And, Eq, Field, In, Range
from baas.schema.values import Document, Path, date_from_ms, date_to_ms, decode

log = logging.getLogger("baas.auth")

EVERY_SECONDS: Final = 3600.0
DAY_MS: Final = 86_400_000
#: Accounts looked at together; so many times a round, the next goes on from there. Who owns what is
#: looked for in every collection, which no index need serve.
PAGE: Final = 500
PAGES: Final = 20
#: Documents read at once while owners are looked for: each may be large.
_OWNED_AT_ONCE: Final = 20
#: Sessions of one account; more is a fault, not a use.
_MANY: Final = 10_000


class UnusedAccounts:
    """`run_once` does it now; between `start` and `stop` it happens every hour. `owners` are the
    reserved collections in which something belongs to a user, each with the path of the uid."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        days: int,
        owners: Mapping[str, Path],
        dropped: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._days = days
        self._owners = owners
        self._dropped = dropped
        self._after: tuple[str, ...] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Does nothing where `days` is 0."""
        if self._days:
            self._task = asyncio.create_task(self._run(), name="baas-auth-unused")

    async def stop(self) -> None:
        """Safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            try:
                await self.run_once()
            except Exception:
                log.exception("unused accounts could not be looked for")

    async def run_once(self) -> int:
        """Removes those that are found in one round; how many."""
        before = self._clock.now_ms() - self._days * DAY_MS
        removed = 0
        for _ in range(PAGES):
            page = await self._page(before)
            for uid in await self._unused(page, before):
                removed += await self._remove(uid, before)
            self._after = (page[-1]["_id"],) if len(page) == PAGE else None
            if self._after is None:
                break
        if removed:
            log.info("%d anonymous accounts that nobody came back to were removed", removed)
        return removed

    # -- looking -----------------------------------------------------------------------------------

    async def _page(self, before: int) -> list[Document]:
        made = Field(("_createTime",), Range("lt", date_from_ms(before)))
        anonymous = Field(("loginType",), Eq("ANONYMOUS"))
        query = Find(collection=USERS, filter=And((anonymous, made)), limit=PAGE, after=self._after)
        return [decode(body) for body in await resolve(self._store.find(query))]

    async def _unused(self, page: list[Document], before: int) -> list[str]:
        bare = {user["_id"] for user in page if _is_bare(user)}
        for session in await self._sessions(bare):
            if _is_recent(session, before):
                bare.discard(session["uid"])
        for collection in await resolve(self._store.names()):
            path = self._owners.get(collection)
            if path is None and not collection.startswith("_"):
                path = ("_openid",)
            if path is not None:
                bare -= await self._owning(collection, path, bare)
        return sorted(bare)

    async def _sessions(self, uids: set[str]) -> list[Document]:
        query = Find(collection=SESSIONS, filter=Field(("uid",), In(tuple(uids))))
        return [decode(body) for body in await resolve(self._store.find(query))]

    async def _owning(self, collection: str, path: Path, uids: set[str]) -> set[str]:
        """Those of `uids` that own something there."""
        (name,) = path
        found: set[str] = set()
        while left := uids - found:
            theirs = Field(path, In(tuple(left)))
            query = Find(collection=collection, filter=theirs, limit=_OWNED_AT_ONCE)
            page = [decode(body) for body in await resolve(self._store.find(query))]
            owners = {document[name] for document in page} & left
            found |= owners
            if len(page) < _OWNED_AT_ONCE or not owners:
                break
        return found

    # -- removing ----------------------------------------------------------------------------------

    async def _remove(self, uid: str, before: int) -> int:
        def gone(user: Document | None, _: Lookups) -> Outcome:
            if user is None or user["loginType"] != "ANONYMOUS" or not _is_bare(user):
                raise _in_use()
            return DELETE

        def ended(session: Document | None, _: Lookups) -> Outcome:
            if session is None or _is_recent(session, before):
                raise _in_use()
            return DELETE

        theirs = Field(("uid",), Eq(uid))
        sessions = ChangeMany(
            collection=SESSIONS, filter=theirs, apply=ended, multi=True, limit=_MANY
        )
        try:
            await write(self._store, Change(collection=USERS, id=uid, apply=gone), sessions)
        except Problem as problem:
            if problem.code is not Code.CONFLICT:
                raise
            return 0
        self._dropped(uid)
        return 1


def _is_bare(user: Document) -> bool:
    """Whether it has nothing but its sessions."""
    return not (user["identities"] or user["roles"] or user["claims"] or user["profile"])


def _is_recent(session: Document, before: int) -> bool:
    return date_to_ms(session["lastUsed"]) >= before


def _in_use() -> Problem:
    return Problem(Code.CONFLICT, "The account is in use.")
