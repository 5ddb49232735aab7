"""From an Authorization header to a verified caller, remembered for a moment.

Verifying a signature costs a hundred times more than a dictionary look-up, so callers are
remembered by their raw header. Every `RECHECK_SECONDS` the documents behind one are read again
(a few microseconds where the store answers at once): that is how revocations, role changes and key
rotations made by another process act within 2 s, without anything that could fall behind. Those
made by this process drop the entry at once.
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec

from baas.auth.admin_keys import PREFIX, actor_of_key, bad_key, ends_ms, read_key
from baas.auth.collections import ADMIN_KEYS, SESSIONS, USERS
from baas.auth.keys import SigningKeys
from baas.auth.sessions import expired
from baas.auth.tokens import AccessClaims, AccessTokens, bad_token
from baas.auth.users import actor_of, bereft
from baas.clock import Clock
from baas.errors import Code, Problem, denied, not_found
from baas.ids import is_id
from baas.ports.documents import DocumentStore, MaybeAwaitable, resolve
from baas.schema.actor import NOBODY, Actor
from baas.schema.values import decode

RECHECK_SECONDS: Final = 1.0
#: Callers remembered; the longest-known is forgotten first. About 2 KiB each.
CACHE_ENTRIES: Final = 20_000
#: Longest header that is looked at.
MAX_HEADER: Final = 4096


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who is behind an open connection, and until when (seconds since 1970; None: for ever).

    `behind` are the documents it rests on, as (collection, id): when one changes, ask
    `identify_again`.
    """

    actor: Actor
    expires: float | None = None
    behind: tuple[tuple[str, str], ...] = ()
    _token: str = ""
    _claims: AccessClaims | None = None
    _kid: str = ""


class _Entry:
    """A caller. `owner` is a uid or an admin key's id; `behind` the documents it was made of."""

    __slots__ = ("actor", "behind", "claims", "ends", "good_until", "kid", "owner")

    def __init__(self, actor: Actor, owner: str, behind: tuple[bytes, ...]) -> None:
        self.actor = actor
        self.owner = owner
        self.behind = behind
        self.good_until = 0.0
        #: When a person's session ends, in seconds since 1970; None for other keys.
        self.ends: float | None = None
        self.claims: AccessClaims | None = None
        self.kid = ""


class ActorCache:
    """Entries by raw header, bounded, dropped by owner."""

    def __init__(self, size: int = CACHE_ENTRIES) -> None:
        self._size = size
        self._entries: dict[str, _Entry] = {}
        self._headers: dict[str, set[str]] = {}
        #: Grows with every drop: what was read before one must not be remembered after it.
        self.drops = 0
        self.get = self._entries.get

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, header: str, entry: _Entry) -> None:
        self.forget(header)
        if len(self._entries) >= self._size:
            self.forget(next(iter(self._entries)))
        self._entries[header] = entry
        self._headers.setdefault(entry.owner, set()).add(header)

    def forget(self, header: str) -> None:
        entry = self._entries.pop(header, None)
        if entry is None:
            return
        headers = self._headers[entry.owner]
        headers.discard(header)
        if not headers:
            del self._headers[entry.owner]

    def drop(self, owner: str) -> None:
        self.drops += 1
        for header in self._headers.pop(owner, ()):
            del self._entries[header]

    def clear(self) -> None:
        self.drops += 1
        self._entries.clear()
        self._headers.clear()


class Authenticator:
    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        keys: SigningKeys,
        tokens: AccessTokens,
        cache: ActorCache,
    ) -> None:
        self._store = store
        self._clock = clock
        self._keys = keys
        self._tokens = tokens
        self._cache = cache
        # Not the wall clock: were that set back, a revoked caller would be remembered for longer.
        self._seconds = clock.monotonic
        self._known = cache.get

    def authenticate(self, header: str | None) -> MaybeAwaitable[Actor]:
        """The caller, at once where it is remembered; NOBODY without a header.

        A header that is sent must be good: UNAUTHENTICATED, TOKEN_EXPIRED otherwise.
        """
        if header is None:
            return NOBODY
        entry = self._known(header)
        if entry is not None and self._seconds() < entry.good_until:
            return entry.actor
        return self._identify(header)

    async def authenticate_as(self, header: str | None, uid: str) -> Actor:
        """`X-Baas-As`: the user `uid`, for an admin key, still held by the key's scopes.

        PERMISSION_DENIED without an admin key, NOT_FOUND for a user who is not there.
        """
        key = await resolve(self.authenticate(header))
        if key.key is None:
            raise denied("X-Baas-As is for admin keys.")
        actor = await self.actor_of(uid)
        return msgspec.structs.replace(actor, key=key.key, scopes=key.scopes, operator=key.operator)

    async def actor_of(self, uid: str) -> Actor:
        """A user as rules see it outside any session; NOT_FOUND for none or a disabled one."""
        stored = await resolve(self._store.get(USERS, uid)) if is_id(uid) else None
        user = None if stored is None else decode(stored)
        if user is None or user["disabled"]:
            raise not_found("There is no such user.")
        return actor_of(user, user["loginType"], None)

    async def as_of_now(self, actor: Actor) -> Actor:
        """A user who called some time ago, with the roles and claims that the account has now; none
        where it is gone or disabled. Anybody else as he was."""
        if actor.uid is None or actor.key is not None or not is_id(actor.uid):
            return actor
        stored = await resolve(self._store.get(USERS, actor.uid))
        user = None if stored is None else decode(stored)
        if user is None or user["disabled"]:
            return bereft(actor)
        return actor_of(user, actor.login_type or "", actor.session)

    async def identify(self, token: str | None) -> Identity:
        """For a connection that stays open: as `authenticate`, of the token alone, and nothing is
        remembered here."""
        if token is None:
            return Identity(actor=NOBODY)
        token = _bearer(f"Bearer {token}")
        if token.startswith(PREFIX):
            entry = await self._admin_key(token, None)
            return Identity(
                actor=entry.actor,
                expires=entry.ends,
                behind=((ADMIN_KEYS, entry.owner),),
                _token=token,
            )
        await self._keys.refresh()
        claims, kid = self._tokens.verify(token)
        entry = self._user_entry(claims, await self._documents(claims))
        behind = ((SESSIONS, claims.sid), (USERS, claims.sub))
        return Identity(
            actor=entry.actor, expires=claims.exp, behind=behind, _claims=claims, _kid=kid
        )

    async def identify_again(self, identity: Identity) -> Identity:
        """The same token, with what its documents say now; whether it has expired is the caller's
        to see. UNAUTHENTICATED where session, account or key are gone."""
        claims = identity._claims
        if claims is None:
            return await self.identify(identity._token) if identity._token else identity
        await self._keys.refresh()
        if not self._keys.accepts(identity._kid):
            raise bad_token()
        entry = self._user_entry(claims, await self._documents(claims))
        if entry.actor == identity.actor:
            return identity
        return msgspec.structs.replace(identity, actor=entry.actor)

    async def _identify(self, header: str) -> Actor:
        token = _bearer(header)
        entry = self._known(header)
        drops = self._cache.drops
        try:
            if token.startswith(PREFIX):
                fresh = await self._admin_key(token, entry)
            else:
                fresh = await self._access_token(token, entry)
        except Problem:
            self._cache.forget(header)
            raise
        if drops == self._cache.drops and fresh is not entry:
            self._cache.put(header, fresh)
        return fresh.actor

    async def _access_token(self, token: str, entry: _Entry | None) -> _Entry:
        await self._keys.refresh()
        if entry is not None and entry.claims and self._keys.accepts(entry.kid):
            claims, kid = entry.claims, entry.kid
            self._tokens.check_times(claims)
        else:
            claims, kid = self._tokens.verify(token)
        looked = self._seconds()
        behind = await self._documents(claims)
        if entry is None or entry.behind != behind:
            entry = self._user_entry(claims, behind)
            entry.claims, entry.kid = claims, kid
        left = claims.exp - self._clock.now_ms() / 1000
        entry.good_until = looked + min(RECHECK_SECONDS, left)
        return entry

    async def _documents(self, claims: AccessClaims) -> tuple[bytes, ...]:
        session = await resolve(self._store.get(SESSIONS, claims.sid))
        user = await resolve(self._store.get(USERS, claims.sub))
        if session is None or user is None:
            raise _ended()
        return session, user

    def _user_entry(self, claims: AccessClaims, behind: tuple[bytes, ...]) -> _Entry:
        session, user = (decode(body) for body in behind)
        if session["uid"] != claims.sub:
            raise bad_token()
        if user["disabled"] or expired(session, self._clock.now_ms()):
            raise _ended()
        return _Entry(actor_of(user, session["loginType"], claims.sid), claims.sub, behind)

    async def _admin_key(self, token: str, entry: _Entry | None) -> _Entry:
        id, secret = read_key(token)
        looked = self._seconds()
        stored = await resolve(self._store.get(ADMIN_KEYS, id))
        if stored is None:
            raise bad_key()
        now_ms = self._clock.now_ms()
        if entry is None or entry.behind != (stored,) or entry.ends is not None:
            key = decode(stored)
            entry = _Entry(actor_of_key(key, secret, now_ms), id, (stored,))
            ends = ends_ms(key) / 1000
            entry.ends = None if ends == inf else ends
        left = RECHECK_SECONDS if entry.ends is None else entry.ends - now_ms / 1000
        entry.good_until = looked + min(RECHECK_SECONDS, left)
        return entry


def _bearer(header: str) -> str:
    """The token of `Bearer {token}` (RFC 6750); UNAUTHENTICATED for anything else."""
    scheme, _, token = header.partition(" ")
    if len(header) > MAX_HEADER or scheme.lower() != "bearer" or not token:
        raise Problem(Code.UNAUTHENTICATED, "The Authorization header must be: Bearer <token>.")
    return token


def _ended() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "This session has ended; sign in again.")
