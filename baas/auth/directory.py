"""Users as the operator sees and manages them: for the command line and the admin API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from baas.auth.accounts import Accounts, taken_is_conflict
from baas.auth.bodies import SessionInfo
from baas.auth.changes import AccountChanges
from baas.auth.collections import IDENTITIES, SESSIONS, USERS
from baas.auth.sessions import Sessions as AuthSessions
from baas.auth.steps import remove_owned, write
from baas.auth.users import changed, check_roles, name_identity, username_key
from baas.clock import Clock
from baas.errors import Problem, not_found
from baas.ids import is_id, new_id
from baas.ports.documents import (
    Change,
    DocumentStore,
    Find,
    Lookups,
    Outcome,
    resolve,
)
from baas.query.ast import ALWAYS, Eq, Field, Filter, Or, Regex, SortKey
from baas.schema.values import Document, decode

#: Users read at once while listing.
_PAGE = 500
#: Users of one page of a search.
MAX_PAGE: Final = 500
_NEWEST_FIRST: Final = (SortKey(("_id",), descending=True),)
_NAME: Final = ("identities", "password", "username")


class UserSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    uid: str
    username: str | None
    login_type: str
    roles: tuple[str, ...]
    disabled: bool
    create_time: dict[str, str]


class UserDetails(UserSummary, frozen=True, kw_only=True, rename="camel"):
    """`identities` has one member per way to sign in; none holds a secret."""

    profile: Document
    identities: Document
    claims: Document
    update_time: dict[str, str]


class UserDirectory:
    """`dropped` is told each uid whose rights changed, so that callers are verified anew."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        accounts: Accounts,
        changes: AccountChanges,
        sessions: AuthSessions,
        *,
        dropped: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._accounts = accounts
        self._changes = changes
        self._sessions = sessions
        self._dropped = dropped

    async def create(
        self, username: str, password: str, roles: tuple[str, ...] = ()
    ) -> UserSummary:
        """CONFLICT for a name that is taken; works while `auth.sign_up` is off."""
        uid = new_id()
        steps = await self._accounts.new_steps(uid, username, password, roles=check_roles(roles))
        with taken_is_conflict():
            await write(self._store, *steps)
        return await self.find(uid)

    async def find(self, name_or_uid: str) -> UserSummary:
        """By uid, else by user name; NOT_FOUND."""
        user = await self._by_uid(name_or_uid) or await self._by_name(name_or_uid)
        if user is None:
            raise not_found(f"There is no user {name_or_uid!r}.")
        return _summary(user)

    async def list(self, filter: Filter = ALWAYS) -> AsyncIterator[UserSummary]:
        """In the order of uid, a page at a time."""
        after: tuple[str, ...] | None = None
        while True:
            query = Find(collection=USERS, filter=filter, limit=_PAGE, after=after)
            page = [decode(body) for body in await resolve(self._store.find(query))]
            for user in page:
                yield _summary(user)
            if len(page) < _PAGE:
                return
            after = (page[-1]["_id"],)

    async def page(self, text: str, after: str | None, limit: int) -> tuple[UserSummary, ...]:
        """The newest first, behind the uid `after`: those whose name holds `text`, whatever its
        case, or whose uid or one of whose roles it is."""
        query = Find(
            collection=USERS,
            filter=_search(text.strip()),
            sort=_NEWEST_FIRST,
            limit=limit,
            after=None if after is None else (after,),
        )
        found = await resolve(self._store.find(query))
        return tuple(_summary(decode(body)) for body in found)

    async def details(self, uid: str) -> UserDetails:
        """NOT_FOUND."""
        user = await self._by_uid(uid)
        if user is None:
            raise not_found(f"There is no user {uid!r}.")
        return UserDetails(
            **msgspec.structs.asdict(_summary(user)),
            profile=user["profile"],
            identities=user["identities"],
            claims=user["claims"],
            update_time=user["_updateTime"],
        )

    async def sessions(self, uid: str) -> tuple[SessionInfo, ...]:
        """The newest first."""
        return await self._sessions.list(uid, None)

    async def end_sessions(self, uid: str, id: str | None) -> int:
        """One session, or all; how many. NOT_FOUND for one that is not this user's."""
        if id is None:
            count = await self._sessions.end_all(uid)
        else:
            await self._sessions.end_one(uid, id)
            count = 1
        self._dropped(uid)
        return count

    async def set_roles(self, uid: str, add: tuple[str, ...], remove: tuple[str, ...]) -> None:
        """Acts on the user's next request here, within 2 s in other processes."""
        check_roles(add)

        def roles(user: Document) -> Document:
            wanted = check_roles(tuple((set(user["roles"]) | set(add)) - set(remove)))
            return {"roles": list(wanted)}

        await self._change(uid, roles)

    async def set_disabled(self, uid: str, disabled: bool) -> None:
        """A disabled user cannot sign in, and all its sessions end."""
        change = self._step(uid, lambda _: {"disabled": disabled})
        await write(self._store, change, *([remove_owned(SESSIONS, uid)] if disabled else []))
        self._dropped(uid)

    async def set_password(self, uid: str, password: str) -> None:
        """Without the old one; ends every session."""
        await self._changes.set_password(uid, password)
        self._dropped(uid)

    async def delete(self, uid: str) -> None:
        await self._changes.delete(uid)
        self._dropped(uid)

    async def _change(self, uid: str, members: Callable[[Document], Document]) -> None:
        await write(self._store, self._step(uid, members))
        self._dropped(uid)

    def _step(self, uid: str, members: Callable[[Document], Document]) -> Change:
        def apply(user: Document | None, _: Lookups) -> Outcome:
            if user is None:
                raise not_found(f"There is no user {uid!r}.")
            return changed(user, self._clock.now_ms(), **members(user))

        return Change(collection=USERS, id=uid, apply=apply)

    async def _by_uid(self, uid: str) -> Document | None:
        stored = await resolve(self._store.get(USERS, uid)) if is_id(uid) else None
        return None if stored is None else decode(stored)

    async def _by_name(self, name: str) -> Document | None:
        try:
            id = name_identity(username_key(name))
        except Problem:
            return None
        stored = await resolve(self._store.get(IDENTITIES, id))
        return None if stored is None else await self._by_uid(decode(stored)["uid"])


def _search(text: str) -> Filter:
    if not text:
        return ALWAYS
    name = Field(_NAME, Regex(re.escape(text), "i"))
    return Or((Field(("_id",), Eq(text)), Field(("roles",), Eq(text)), name))


def _summary(user: Document) -> UserSummary:
    return UserSummary(
        uid=user["_id"],
        username=user["identities"].get("password", {}).get("username"),
        login_type=user["loginType"],
        roles=tuple(user["roles"]),
        disabled=user["disabled"],
        create_time=user["_createTime"],
    )
