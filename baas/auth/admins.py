"""The people who run an app: their accounts, how they sign in, and how the first one comes to be.

They are apart from the app's users: another collection, other tokens, other sessions. A session is
an admin key that ends by itself: it has the scopes of its owner's role, and everything that takes
admin keys takes it. What becomes of an account ends its sessions in the same write.

The first account is made with a code that `baas serve` prints while there is none. It is derived
from the master secret, so every process knows it without telling, and it is worth nothing from the
moment that an account exists.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from baas.auth.admin_keys import ADMIN_MEMBER, key_text, new_key
from baas.auth.bodies import ClientFacts, Password, Username
from baas.auth.collections import ADMIN_KEYS, ADMINS
from baas.auth.passwords import Passwords, check_new_password
from baas.auth.roles import SCOPES_OF, Role
from baas.auth.steps import insert, write
from baas.auth.users import identity_id, username_key
from baas.clock import Clock
from baas.errors import Code, Problem, denied, not_found
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    ChangeMany,
    Check,
    DocumentStore,
    DuplicateKey,
    Find,
    Lookups,
    Outcome,
    Step,
    resolve,
)
from baas.query.ast import Eq, Field
from baas.schema.values import Document, date_from_ms, date_to_ms, decode
from baas.secret import MasterSecret

#: The document that says that there has been a first account.
_MARK: Final = "set-up"
_CODE_PURPOSE: Final = "admin set-up code"
_CODE_BYTES: Final = 24
_HOUR_MS: Final = 3_600_000
_MANY: Final = 100_000
#: Sessions and accounts shown, the newest.
MAX_LISTED: Final = 1_000


class _Body(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
): ...


class SetUp(_Body, frozen=True):
    """`code` as `baas serve` printed it."""

    code: Annotated[str, msgspec.Meta(max_length=200)]
    name: Username
    password: Password


class SignIn(_Body, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=1024)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]


class AdminPasswordChange(_Body, frozen=True):
    """Ends every other session of the account."""

    old_password: Annotated[str, msgspec.Meta(max_length=1024)]
    new_password: Password


class Admin(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An account as lists show it."""

    id: str
    name: str
    role: Role
    disabled: bool
    create_time: dict[str, str]
    last_sign_in: dict[str, str] | None = None


class AdminSession(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`token` goes into the Authorization header like an admin key, until `expires`."""

    token: str
    expires: dict[str, str]
    admin: Admin
    scopes: tuple[str, ...]


class AdminSessionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    create_time: dict[str, str]
    expires: dict[str, str]
    ip: str
    user_agent: str
    current: bool


class Admins:
    """`dropped` is told the id of every session that ends, so that it is forgotten at once."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        passwords: Passwords,
        secret: MasterSecret,
        *,
        password_min_length: int,
        session_hours: float,
        dropped: Callable[[str], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._secret = secret
        self._minimum = password_min_length
        self._session_ms = int(session_hours * _HOUR_MS)
        self._dropped = dropped

    # -- the first account -------------------------------------------------------------------------

    async def set_up_code(self) -> str | None:
        """What makes the first account; None where there is or was one."""
        if await resolve(self._store.get(ADMINS, _MARK)) is not None:
            return None
        return self._code()

    def _code(self) -> str:
        key = self._secret.derive(_CODE_PURPOSE)[:_CODE_BYTES]
        return base64.urlsafe_b64encode(key).rstrip(b"=").decode()

    async def set_up(self, body: SetUp, client: ClientFacts) -> AdminSession:
        """The first account, an owner, and its session. INVALID_CREDENTIALS for a wrong code, and
        for any once there is an account."""
        right = hmac.compare_digest(body.code.encode(), self._code().encode())
        if not right or await self.set_up_code() is None:
            raise _bad_code()
        account, steps = await self._new(body.name, body.password, "owner")
        try:
            await write(self._store, insert(ADMINS, {"_id": _MARK}), *steps)
        except DuplicateKey:
            raise _bad_code() from None
        return await self._open(account, client)

    # -- signing in --------------------------------------------------------------------------------

    async def sign_in(self, body: SignIn, client: ClientFacts) -> AdminSession:
        """INVALID_CREDENTIALS for an unknown name, a wrong password and a disabled account alike,
        after the same work."""
        account = await self._by_name(body.name)
        stored = None if account is None else account["password"]
        right = await self._passwords.verify(body.password, stored)
        if account is None or not right or account["disabled"]:
            raise _wrong_credentials()
        return await self._open(account, client)

    async def _open(self, account: Document, client: ClientFacts) -> AdminSession:
        """A session, if the account still is as it was when it was looked at."""
        now_ms = self._clock.now_ms()
        scopes = SCOPES_OF[account["role"]]
        key, secret = new_key(account["name"], scopes, now_ms)
        key |= {
            ADMIN_MEMBER: account["_id"],
            "expires": date_from_ms(now_ms + self._session_ms),
            "ip": client.ip,
            "userAgent": "".join(c for c in client.user_agent if c.isprintable()),
        }

        def sign(current: Document | None, _: Lookups) -> Outcome:
            if current is None or _rights(current) != _rights(account):
                raise _wrong_credentials()
            return {**current, "lastSignIn": date_from_ms(now_ms)}

        step = Change(collection=ADMINS, id=account["_id"], apply=sign)
        await write(self._store, step, insert(ADMIN_KEYS, key))
        return AdminSession(
            token=key_text(key["_id"], secret),
            expires=key["expires"],
            admin=_described(account),
            scopes=scopes,
        )

    async def renew(self, session: str) -> dict[str, str]:
        """When the session ends from now on. UNAUTHENTICATED where it is gone."""
        expires = date_from_ms(self._clock.now_ms() + self._session_ms)

        def later(key: Document | None, _: Lookups) -> Outcome:
            if key is None or key.get(ADMIN_MEMBER) is None:
                raise _ended()
            return {**key, "expires": expires}

        await write(self._store, Change(collection=ADMIN_KEYS, id=session, apply=later))
        return expires

    async def whose(self, session: str) -> Admin | None:
        """The account behind a session; None for an admin key that is nobody's session."""
        key = await resolve(self._store.get(ADMIN_KEYS, session))
        owner = None if key is None else decode(key).get(ADMIN_MEMBER)
        if owner is None:
            return None
        return _described(await self._account(owner))

    async def sessions(self, id: str, current: str) -> tuple[AdminSessionInfo, ...]:
        """The newest first, without those whose time is over."""
        query = Find(collection=ADMIN_KEYS, filter=_owned(id), limit=MAX_LISTED)
        keys = [decode(body) for body in await resolve(self._store.find(query))]
        now_ms = self._clock.now_ms()
        alive = [key for key in keys if date_to_ms(key["expires"]) > now_ms]
        return tuple(_session(key, current) for key in reversed(alive))

    async def end_session(self, owner: str, id: str) -> None:
        """NOT_FOUND unless it is one of this account's."""

        def end(key: Document | None, _: Lookups) -> Outcome:
            if key is None or key.get(ADMIN_MEMBER) != owner:
                raise not_found("There is no such session.")
            return DELETE

        await write(self._store, Change(collection=ADMIN_KEYS, id=id, apply=end))
        self._dropped(id)

    # -- accounts ----------------------------------------------------------------------------------

    async def list(self) -> tuple[Admin, ...]:
        """By the time they were made."""
        found = await resolve(self._store.find(Find(collection=ADMINS, limit=MAX_LISTED)))
        accounts = [document for document in map(decode, found) if document["_id"] != _MARK]
        accounts.sort(key=lambda account: date_to_ms(account["_createTime"]))
        return tuple(_described(account) for account in accounts)

    async def find(self, id: str) -> Admin:
        return _described(await self._account(id))

    async def named(self, name: str) -> Admin:
        """By name; NOT_FOUND."""
        account = await self._by_name(name)
        if account is None:
            raise not_found(f"There is no account {name!r}.")
        return _described(account)

    async def create(self, name: str, password: str, role: Role) -> Admin:
        """CONFLICT for a name that is taken."""
        account, steps = await self._new(name, password, role)
        try:
            await write(self._store, _mark(), *steps)
        except DuplicateKey:
            raise Problem(Code.CONFLICT, "There is an account of this name already.") from None
        return _described(account)

    async def set_role(self, id: str, role: Role) -> None:
        """Ends the account's sessions. CONFLICT for the last owner."""
        await self._change(id, {"role": role}, lasting=role == "owner")

    async def set_disabled(self, id: str, disabled: bool) -> None:
        """Ends the account's sessions. CONFLICT for the last owner."""
        await self._change(id, {"disabled": disabled}, lasting=not disabled)

    async def set_password(self, id: str, password: str) -> None:
        """Without the old one; ends the account's sessions."""
        account = await self._account(id)
        check_new_password(password, username_key(account["name"]), self._minimum, "password")
        hashed = await self._passwords.hash(password)
        await self._change(id, {"password": hashed}, lasting=True)

    async def change_password(self, id: str, current: str, body: AdminPasswordChange) -> None:
        """INVALID_CREDENTIALS for a wrong old one; ends every session but `current`."""
        account = await self._account(id)
        if not await self._passwords.verify(body.old_password, account["password"]):
            raise Problem(Code.INVALID_CREDENTIALS, "The old password is wrong.")
        name = username_key(account["name"])
        check_new_password(body.new_password, name, self._minimum, "newPassword")
        hashed = await self._passwords.hash(body.new_password)
        await self._change(id, {"password": hashed}, lasting=True, keep=current)

    async def delete(self, id: str) -> None:
        """With its sessions. CONFLICT for the last owner."""
        await self._change(id, None, lasting=False)

    # -- parts -------------------------------------------------------------------------------------

    async def _new(self, name: str, password: str, role: Role) -> tuple[Document, tuple[Step, ...]]:
        key = username_key(name, "name")
        check_new_password(password, key, self._minimum, "password")
        account: Document = {
            "_id": identity_id("admin", key),
            "name": name,
            "role": role,
            "disabled": False,
            "password": await self._passwords.hash(password),
            "_createTime": date_from_ms(self._clock.now_ms()),
        }
        return account, (insert(ADMINS, account),)

    async def _change(
        self, id: str, members: Document | None, *, lasting: bool, keep: str | None = None
    ) -> None:
        """Sets members, or removes the account (None), and ends its sessions, in one write.

        Unless `lasting`, another owner who can sign in has to be there: looked at in the write
        itself, so that two owners cannot remove each other at once.
        """
        others = () if lasting else await self._other_owner(id)

        def apply(account: Document | None, _: Lookups) -> Outcome:
            if account is None or id == _MARK:
                raise not_found("There is no such account.")
            return DELETE if members is None else {**account, **members}

        def end(key: Document | None, _: Lookups) -> Outcome:
            return KEEP if key is None or key["_id"] == keep else DELETE

        ending = ChangeMany(
            collection=ADMIN_KEYS, filter=_owned(id), apply=end, multi=True, limit=_MANY
        )
        change = Change(collection=ADMINS, id=id, apply=apply)
        result = await write(self._store, *others, change, ending)
        for written in result.results[-1].written:
            self._dropped(written.id)

    async def _other_owner(self, id: str) -> tuple[Check, ...]:
        account = await self._account(id)
        if not _is_owner(account):
            return ()
        for other in await self.list():
            if other.id != id and other.role == "owner" and not other.disabled:
                return (Check(collection=ADMINS, id=other.id, verify=_still_owner),)
        raise _last_owner()

    async def _account(self, id: str) -> Document:
        stored = None if id == _MARK else await resolve(self._store.get(ADMINS, id))
        if stored is None:
            raise not_found("There is no such account.")
        account: Document = decode(stored)
        return account

    async def _by_name(self, name: str) -> Document | None:
        try:
            id = identity_id("admin", username_key(name))
        except Problem:  # not a possible name: unknown, like any other
            return None
        stored = await resolve(self._store.get(ADMINS, id))
        return None if stored is None else decode(stored)


def _mark() -> Change:
    """There has been an account, whoever made it."""

    def apply(mark: Document | None, _: Lookups) -> Outcome:
        return KEEP if mark is not None else {"_id": _MARK}

    return Change(collection=ADMINS, id=_MARK, apply=apply)


def _owned(id: str) -> Field:
    return Field((ADMIN_MEMBER,), Eq(id))


def _rights(account: Document) -> tuple[Any, ...]:
    """What a session rests on."""
    password = hashlib.sha256(account["password"].encode()).digest()
    return password, account["role"], account["disabled"]


def _is_owner(account: Document) -> bool:
    return account["role"] == "owner" and not account["disabled"]


def _still_owner(account: Document | None, _: Lookups) -> None:
    if account is None or not _is_owner(account):
        raise _last_owner()


def _last_owner() -> Problem:
    return Problem(Code.CONFLICT, "This is the last owner: make another one first.")


def _bad_code() -> Problem:
    return Problem(
        Code.INVALID_CREDENTIALS,
        "This set-up link is not valid: `baas serve` prints the right one.",
    )


def _wrong_credentials() -> Problem:
    return Problem(Code.INVALID_CREDENTIALS, "The name or the password is wrong.")


def _ended() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "This session has ended; sign in again.")


def require_person(admin: Admin | None) -> Admin:
    """PERMISSION_DENIED for an admin key that is nobody's session."""
    if admin is None:
        raise denied("This is for people who are signed in to the panel, not for admin keys.")
    return admin


def _described(account: Document) -> Admin:
    return Admin(
        id=account["_id"],
        name=account["name"],
        role=account["role"],
        disabled=account["disabled"],
        create_time=account["_createTime"],
        last_sign_in=account.get("lastSignIn"),
    )


def _session(key: Document, current: str) -> AdminSessionInfo:
    return AdminSessionInfo(
        id=key["_id"],
        create_time=key["_createTime"],
        expires=key["expires"],
        ip=key["ip"],
        user_agent=key["userAgent"],
        current=key["_id"] == current,
    )
