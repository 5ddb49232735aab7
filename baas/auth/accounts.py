"""Accounts: made and signed in to. What becomes of them later is in `changes`.

Every change is one batch of the store that carries its own conditions (the name is free, the
account is there and not disabled, the password is still the one that was checked), so nothing can
come between a check and what relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from baas.auth.bodies import ClientFacts
from baas.auth.collections import CREDENTIALS, IDENTITIES, USERS
from baas.auth.passwords import Passwords, check_new_password
from baas.auth.sessions import Sessions
from baas.auth.steps import insert, write
from baas.auth.users import (
    account_disabled,
    account_gone,
    changed,
    claim_identity,
    name_identity,
    new_user,
    password_entry,
    username_key,
    wechat_entry,
    wechat_identity,
)
from baas.auth.wechat import WechatIdentity
from baas.clock import Clock
from baas.errors import Code, Problem
from baas.ids import new_id
from baas.ports.documents import (
    KEEP,
    Change,
    Check,
    DocumentStore,
    DuplicateKey,
    Insert,
    Lookups,
    Outcome,
    Step,
    resolve,
)
from baas.schema.values import Document, decode

#: Two first sign-ins of one WeChat user at once: the second finds what the first made.
_ATTEMPTS: Final = 4


class Opened(msgspec.Struct, frozen=True):
    """A session just opened."""

    uid: str
    session: str
    login_type: str


class Accounts:
    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        passwords: Passwords,
        sessions: Sessions,
        password_min_length: int,
    ) -> None:
        self._store = store
        self._clock = clock
        self._passwords = passwords
        self._sessions = sessions
        self._minimum = password_min_length

    # -- making and signing in ---------------------------------------------------------------------

    async def sign_up(
        self, username: str, password: str, profile: Document, client: ClientFacts
    ) -> Opened:
        """CONFLICT where the name is taken."""
        uid = new_id()
        steps = await self.new_steps(uid, username, password, profile=profile)
        with taken_is_conflict():
            return await self.open(uid, "USERNAME", client, *steps)

    async def new_steps(
        self,
        uid: str,
        username: str,
        password: str,
        *,
        profile: Document | None = None,
        roles: tuple[str, ...] = (),
    ) -> tuple[Step, ...]:
        """The steps that make an account with a password."""
        key = self.new_key(username, password, "password")
        await self.refuse_taken(key)
        identities = {"password": password_entry(username)}
        user = new_user(
            uid,
            "USERNAME",
            self._clock.now_ms(),
            identities=identities,
            profile=profile,
            roles=roles,
        )
        return insert(USERS, user), *await self.password_steps(uid, key, password)

    async def sign_in(self, username: str, password: str, client: ClientFacts) -> Opened:
        """INVALID_CREDENTIALS for an unknown name and a wrong password alike."""
        uid = await self._owner(username)
        stored = None if uid is None else await self.hash_of(uid)
        right = await self._passwords.verify(password, stored)
        if uid is None or stored is None or not right:
            raise wrong_credentials()
        renewed = None
        if self._passwords.outdated(stored):
            renewed = await self._passwords.hash(password)
        same = self.unchanged(uid, stored, renewed)
        return await self.open(uid, "USERNAME", client, same, self._alive(uid))

    async def addresses_of(self, username: str) -> frozenset[str]:
        """Addresses at which this name's account has a session; none for an unknown name."""
        uid = await self._owner(username)
        if uid is None:
            return frozenset()
        return frozenset(session.ip for session in await self._sessions.list(uid, None))

    async def sign_in_anonymously(self, client: ClientFacts) -> Opened:
        user = new_user(new_id(), "ANONYMOUS", self._clock.now_ms())
        return await self.open(user["_id"], "ANONYMOUS", client, insert(USERS, user))

    async def sign_in_with_wechat(self, who: WechatIdentity, client: ClientFacts) -> Opened:
        """The account that has this identity, else a new one whose uid is the openid."""
        id = wechat_identity(who)
        uid = who.openid
        for _ in range(_ATTEMPTS):
            known = await resolve(self._store.get(IDENTITIES, id))
            try:
                if known is not None:
                    owner = decode(known)["uid"]
                    return await self.open(owner, "WECHAT", client, self._meet(owner, who))
                return await self.open(uid, "WECHAT", client, *self._wechat_user(uid, who))
            except DuplicateKey as taken:
                # The account of that uid gave up WeChat and is its own now.
                uid = new_id() if taken.collection == USERS else uid
        raise Problem(Code.UNAVAILABLE, "Too many sign-ins of one user at once.", retry_after=1)

    # -- the account itself ------------------------------------------------------------------------

    async def user(self, uid: str) -> Document:
        """UNAUTHENTICATED where the account is gone."""
        return living(await self.find(uid))

    async def find(self, uid: str) -> Document | None:
        stored = await resolve(self._store.get(USERS, uid))
        return None if stored is None else decode(stored)

    # -- parts -------------------------------------------------------------------------------------

    def new_key(self, username: str, password: str, path: str) -> str:
        key = username_key(username)
        check_new_password(password, key, self._minimum, path)
        return key

    async def refuse_taken(self, key: str) -> None:
        """Saves the hash; the insert itself is what keeps names apart."""
        if await resolve(self._store.get(IDENTITIES, name_identity(key))) is not None:
            raise name_taken()

    async def password_steps(self, uid: str, key: str, password: str) -> tuple[Step, ...]:
        hashed = await self._passwords.hash(password)
        return (
            claim_identity(name_identity(key), uid, "password"),
            insert(CREDENTIALS, {"_id": uid, "password": hashed}),
        )

    async def _owner(self, username: str) -> str | None:
        try:
            id = name_identity(username_key(username))
        except Problem:  # not a possible name: unknown, like any other
            return None
        stored = await resolve(self._store.get(IDENTITIES, id))
        return None if stored is None else str(decode(stored)["uid"])

    async def hash_of(self, uid: str) -> str | None:
        stored = await resolve(self._store.get(CREDENTIALS, uid))
        return None if stored is None else str(decode(stored)["password"])

    def unchanged(self, uid: str, known: str, renewed: str | None) -> Change:
        """The password is still the one that was checked; `renewed` takes its place."""

        def apply(credential: Document | None, _: Lookups) -> Outcome:
            if credential is None or credential["password"] != known:
                raise wrong_credentials()
            return KEEP if renewed is None else {**credential, "password": renewed}

        return Change(collection=CREDENTIALS, id=uid, apply=apply)

    def _alive(self, uid: str) -> Check:
        def verify(user: Document | None, _: Lookups) -> None:
            _may_sign_in(user)

        return Check(collection=USERS, id=uid, verify=verify)

    def _wechat_user(self, uid: str, who: WechatIdentity) -> tuple[Insert, Insert]:
        entry = {"wechat": wechat_entry(who)}
        user = new_user(uid, "WECHAT", self._clock.now_ms(), identities=entry)
        return insert(USERS, user), claim_identity(wechat_identity(who), uid, "wechat")

    def _meet(self, uid: str, who: WechatIdentity) -> Change:
        """The account may sign in; a unionid that WeChat tells only now is kept."""

        def apply(user: Document | None, _: Lookups) -> Outcome:
            user = _may_sign_in(user)
            known = user["identities"].get("wechat", {})
            if who.unionid is None or known.get("unionid") == who.unionid:
                return KEEP
            identities = {**user["identities"], "wechat": wechat_entry(who)}
            return changed(user, self._clock.now_ms(), identities=identities)

        return Change(collection=USERS, id=uid, apply=apply)

    async def open(self, uid: str, login_type: str, client: ClientFacts, *steps: Step) -> Opened:
        """Runs the steps and opens a session in one write. DuplicateKey where a step met one."""
        session, opening = self._sessions.new(uid, login_type, client)
        await write(self._store, *steps, opening, actor=uid)
        return Opened(uid, session, login_type)


@contextmanager
def taken_is_conflict() -> Iterator[None]:
    try:
        yield
    except DuplicateKey:
        raise name_taken() from None


def living(user: Document | None) -> Document:
    """The account of a caller; UNAUTHENTICATED where it was deleted or disabled meanwhile."""
    if user is None or user["disabled"]:
        raise account_gone()
    return user


def _may_sign_in(user: Document | None) -> Document:
    """For someone who has just proved who they are, so it may be told that it is disabled."""
    if user is None:
        raise wrong_credentials()
    if user["disabled"]:
        raise account_disabled()
    return user


def wrong_credentials() -> Problem:
    return Problem(Code.INVALID_CREDENTIALS, "The name or the password is wrong.")


def name_taken() -> Problem:
    return Problem(Code.CONFLICT, "This name or identity belongs to an account already.")
