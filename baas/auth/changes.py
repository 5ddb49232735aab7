"""What an account's owner may change: ways to sign in, password, profile, and whether it exists."""

from __future__ import annotations

from typing import Final

from baas.auth.accounts import Accounts, Opened, living, taken_is_conflict, wrong_credentials
from baas.auth.bodies import ClientFacts
from baas.auth.collections import CREDENTIALS, IDENTITIES, SESSIONS, USERS
from baas.auth.passwords import Passwords, check_new_password
from baas.auth.steps import remove, remove_owned, write
from baas.auth.users import (
    changed,
    check_profile_size,
    claim_identity,
    password_entry,
    username_key,
    wechat_entry,
    wechat_identity,
)
from baas.auth.wechat import WechatIdentity
from baas.clock import Clock
from baas.errors import Code, Problem, invalid, not_found
from baas.ports.documents import Change, DocumentStore, Lookups, Outcome, Step
from baas.schema.values import Document, decode

#: The loginType of a session that a method opens.
LOGIN_TYPES: Final = {"password": "USERNAME", "wechat": "WECHAT"}


class AccountChanges:
    """Each change is one write that carries its own conditions, as in `Accounts`."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        passwords: Passwords,
        accounts: Accounts,
        password_min_length: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._accounts = accounts
        self._minimum = password_min_length

    async def link_password(
        self, uid: str, session: str | None, username: str, password: str, client: ClientFacts
    ) -> Opened:
        """CONFLICT where the name is another's, or the account has one already."""
        key = self._accounts.new_key(username, password, "password")
        await self._accounts.refuse_taken(key)
        steps = await self._accounts.password_steps(uid, key, password)
        entry = password_entry(username)
        return await self._link(uid, session, "password", entry, client, *steps)

    async def link_wechat(
        self, uid: str, session: str | None, who: WechatIdentity, client: ClientFacts
    ) -> Opened:
        """CONFLICT where this WeChat user belongs to another account, or this one has one."""
        claim = claim_identity(wechat_identity(who), uid, "wechat")
        return await self._link(uid, session, "wechat", wechat_entry(who), client, claim)

    async def unlink(self, uid: str, session: str | None, method: str) -> None:
        """Takes a way to sign in from the account, and ends the other sessions it opened.

        NOT_FOUND where the account has no such way, INVALID_ARGUMENT for its last.
        """

        def apply(user: Document | None, _: Lookups) -> Outcome:
            identities = dict(living(user)["identities"])
            if identities.pop(method, None) is None:
                raise not_found("The account has no such way to sign in.")
            if not identities:
                raise invalid("method", "is the last way to sign in to this account")
            return self._with_identities(living(user), identities)

        await write(
            self._store,
            Change(collection=USERS, id=uid, apply=apply),
            remove_owned(IDENTITIES, uid, field="method", value=method),
            *([remove(CREDENTIALS, uid)] if method == "password" else []),
            remove_owned(SESSIONS, uid, keep=session, field="loginType", value=LOGIN_TYPES[method]),
            actor=uid,
        )

    async def change_password(self, uid: str, session: str | None, old: str, new: str) -> None:
        """Ends every other session. INVALID_CREDENTIALS for a wrong old password."""
        user = await self._accounts.user(uid)
        entry = user["identities"].get("password")
        stored = await self._accounts.hash_of(uid)
        if entry is None or stored is None:
            raise not_found("The account has no password; link one.")
        check_new_password(new, username_key(entry["username"]), self._minimum, "newPassword")
        if not await self._passwords.verify(old, stored):
            raise wrong_credentials()
        await write(
            self._store,
            self._accounts.unchanged(uid, stored, await self._passwords.hash(new)),
            remove_owned(SESSIONS, uid, keep=session),
            actor=uid,
        )

    async def set_password(self, uid: str, password: str) -> None:
        """The operator's way: no old password; ends every session."""
        entry = (await self._accounts.user(uid))["identities"].get("password")
        if entry is None:
            raise not_found("The account has no user name; it signs in another way.")
        key = username_key(entry["username"])
        check_new_password(password, key, self._minimum, "password")
        document = {"_id": uid, "password": await self._passwords.hash(password)}
        step = Change(collection=CREDENTIALS, id=uid, apply=lambda *_: document)
        await write(self._store, step, remove_owned(SESSIONS, uid))

    async def update_profile(self, uid: str, given: Document) -> Document:
        """Sets the members given, takes away those given as null; the user as it is then."""

        def apply(user: Document | None, _: Lookups) -> Outcome:
            merged = {**living(user)["profile"], **given}
            profile = {name: value for name, value in merged.items() if value is not None}
            check_profile_size(profile)
            return changed(living(user), self._clock.now_ms(), profile=profile)

        step = Change(collection=USERS, id=uid, apply=apply)
        result = await write(self._store, step, actor=uid)
        after = result.results[0].written[0].after
        return living(None if after is None else decode(after))

    async def delete(self, uid: str) -> None:
        """The account, its sessions, names and password in one write. Documents that it owns in
        other collections stay: whether they go is the app's business."""
        await write(
            self._store,
            remove(USERS, uid),
            remove(CREDENTIALS, uid),
            remove_owned(IDENTITIES, uid),
            remove_owned(SESSIONS, uid),
            actor=uid,
        )

    async def _link(
        self,
        uid: str,
        session: str | None,
        method: str,
        entry: Document,
        client: ClientFacts,
        *steps: Step,
    ) -> Opened:
        """The session that asked is replaced: one stolen while the account was worth nothing
        must not live on in one that is worth something."""

        def apply(user: Document | None, _: Lookups) -> Outcome:
            identities = living(user)["identities"]
            if method in identities:
                raise Problem(Code.CONFLICT, "The account has such a way to sign in already.")
            return self._with_identities(living(user), {**identities, method: entry})

        join = Change(collection=USERS, id=uid, apply=apply)
        ended = [] if session is None else [remove(SESSIONS, session)]
        with taken_is_conflict():
            return await self._accounts.open(uid, LOGIN_TYPES[method], client, join, *steps, *ended)

    def _with_identities(self, user: Document, identities: Document) -> Document:
        """The account's own `loginType` is that of a way to sign in which it has."""
        own = user["loginType"]
        types = [LOGIN_TYPES[method] for method in identities]
        return changed(
            user,
            self._clock.now_ms(),
            identities=identities,
            loginType=own if own in types else types[0],
        )
