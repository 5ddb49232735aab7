"""The auth service: one method per route, and who calls.

Every route method takes `(body, actor, client)`, the decoded Struct of `bodies`, the verified
caller and where the request came from; `routes` is the table of them. The gateway knows no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from baas.auth import bodies
from baas.auth.accounts import Accounts, Opened
from baas.auth.admin_keys import AdminKeys
from baas.auth.admins import Admins
from baas.auth.authenticate import ActorCache, Authenticator, Identity
from baas.auth.bodies import ClientFacts
from baas.auth.changes import AccountChanges
from baas.auth.directory import UserDirectory
from baas.auth.keys import SigningKeys
from baas.auth.passwords import Passwords
from baas.auth.sessions import Sessions, revoked
from baas.auth.tokens import AccessTokens, RefreshTokens
from baas.auth.unused import UnusedAccounts
from baas.auth.users import admit_profile, shown
from baas.auth.wechat import Wechat
from baas.clock import Clock
from baas.errors import Code, Problem, denied, invalid
from baas.ports.documents import DocumentStore, MaybeAwaitable
from baas.schema.actor import Actor
from baas.schema.values import Path
from baas.secret import MasterSecret
from baas.settings import Settings


class AuthService:
    """Made once per process. `AUTH_COLLECTIONS` must be declared before `start`."""

    def __init__(
        self,
        store: DocumentStore,
        settings: Settings,
        clock: Clock,
        secret: MasterSecret,
        *,
        passwords: Passwords | None = None,
    ) -> None:
        """`passwords` with cheap parameters is for tests."""
        auth, app = settings.auth, settings.app.name
        self._settings = settings
        self._store = store
        self._clock = clock
        self._passwords = passwords or Passwords(auth.hash_workers)
        self._wechat = Wechat(auth)
        self._cache = ActorCache()
        self._sessions = Sessions(store, clock, RefreshTokens(secret), auth)
        minimum = auth.password_min_length
        self._accounts = Accounts(store, clock, self._passwords, self._sessions, minimum)
        self._changes = AccountChanges(store, clock, self._passwords, self._accounts, minimum)
        self.keys = SigningKeys(store, secret, clock, auth.access_token_seconds)
        self._tokens = AccessTokens(self.keys, clock, app, auth.access_token_seconds)
        self._callers = Authenticator(store, clock, self.keys, self._tokens, self._cache)
        self.admin_keys = AdminKeys(store, clock, dropped=self._cache.drop)
        self.admins = Admins(
            store,
            clock,
            self._passwords,
            secret,
            password_min_length=minimum,
            session_hours=settings.admin.session_hours,
            dropped=self._cache.drop,
        )
        self.users = UserDirectory(
            store,
            clock,
            self._accounts,
            self._changes,
            self._sessions,
            dropped=self._cache.drop,
        )

    async def start(self) -> None:
        """Loads the signing keys, or makes the first. ConfigurationError for a wrong secret."""
        await self.keys.start()

    async def close(self) -> None:
        """Waits for the hashes under way. Safe to call twice."""
        self._passwords.close()
        self._wechat.close()

    def unused_accounts(self, owners: Mapping[str, Path]) -> UnusedAccounts:
        """See `UnusedAccounts`; `owners` are reserved collections of other services."""
        days = self._settings.auth.anonymous_unused_days
        return UnusedAccounts(self._store, self._clock, days, owners, self._cache.drop)

    # -- who calls ---------------------------------------------------------------------------------

    def authenticate(self, header: str | None) -> MaybeAwaitable[Actor]:
        """See `Authenticator.authenticate`."""
        return self._callers.authenticate(header)

    def authenticate_as(self, header: str | None, uid: str) -> Awaitable[Actor]:
        """See `Authenticator.authenticate_as`: for `X-Baas-As`."""
        return self._callers.authenticate_as(header, uid)

    def actor_of(self, uid: str) -> Awaitable[Actor]:
        """See `Authenticator.actor_of`. It has no admin key's scopes: prefer authenticate_as."""
        return self._callers.actor_of(uid)

    def as_of_now(self, actor: Actor) -> Awaitable[Actor]:
        """See `Authenticator.as_of_now`: for what a caller asked to be done later."""
        return self._callers.as_of_now(actor)

    def identify(self, token: str | None) -> Awaitable[Identity]:
        """See `Authenticator.identify`: for connections that stay open."""
        return self._callers.identify(token)

    def identify_again(self, identity: Identity) -> Awaitable[Identity]:
        """See `Authenticator.identify_again`."""
        return self._callers.identify_again(identity)

    async def jwks(self) -> dict[str, list[dict[str, str]]]:
        """For `/.well-known/jwks.json`; may be cached for a minute."""
        await self.keys.refresh()
        return self.keys.jwks()

    async def rotate_keys(self, *, drop_old: bool = False) -> str:
        """A new signing key; its `kid`. Callers are verified anew at once."""
        kid = await self.keys.rotate(drop_old=drop_old)
        self._cache.clear()
        return kid

    # -- signing in --------------------------------------------------------------------------------

    async def sign_up(
        self, body: bodies.SignUp, actor: Actor, client: ClientFacts
    ) -> bodies.Session:
        """CONFLICT for a name that is taken; PERMISSION_DENIED where it is switched off."""
        if not self._settings.auth.sign_up:
            raise denied("This app does not let strangers sign up.")
        profile = self._profile(body.profile, "profile")
        return await self._session(
            await self._accounts.sign_up(body.username, body.password, profile, client)
        )

    async def sign_in_password(
        self, body: bodies.PasswordSignIn, actor: Actor, client: ClientFacts
    ) -> bodies.Session:
        """INVALID_CREDENTIALS for an unknown name and a wrong password alike."""
        return await self._session(
            await self._accounts.sign_in(body.username, body.password, client)
        )

    async def addresses_of(self, username: str) -> frozenset[str]:
        """Addresses at which the account of this name has a session; none for an unknown name."""
        return await self._accounts.addresses_of(username)

    async def sign_in_anonymous(
        self, body: bodies.Empty, actor: Actor, client: ClientFacts
    ) -> bodies.Session:
        """A new account each time; PERMISSION_DENIED where it is switched off."""
        if not self._settings.auth.anonymous:
            raise denied("This app does not let strangers in without an account.")
        return await self._session(await self._accounts.sign_in_anonymously(client))

    async def sign_in_wechat(
        self, body: bodies.WechatSignIn, actor: Actor, client: ClientFacts
    ) -> bodies.Session:
        """INVALID_CREDENTIALS for a code that WeChat refuses; NOT_SUPPORTED where not set up."""
        who = await self._wechat.exchange(body.code)
        return await self._session(await self._accounts.sign_in_with_wechat(who, client))

    async def refresh(
        self, body: bodies.Refresh, actor: Actor, client: ClientFacts
    ) -> bodies.Session:
        """The one successor of this refresh token. SESSION_REVOKED where the session ended."""
        renewed = await self._sessions.refresh(body.refresh_token, client)
        if renewed.token is None:
            self._cache.drop(renewed.uid)
            raise revoked()
        opened = Opened(renewed.uid, renewed.id, renewed.login_type)
        return await self._session(opened, renewed.token)

    async def sign_out(self, body: bodies.Empty, actor: Actor, client: ClientFacts) -> bodies.Empty:
        """Ends this session."""
        uid = _signed_in(actor)
        if actor.session is not None:
            await self._sessions.end(actor.session)
        self._cache.drop(uid)
        return bodies.Empty()

    # -- ways to sign in ---------------------------------------------------------------------------

    async def link(self, body: bodies.Link, actor: Actor, client: ClientFacts) -> bodies.Session:
        """The same account, one more way to sign in; a new session in place of this one."""
        uid = _signed_in(actor)
        if isinstance(body, bodies.LinkPassword):
            opened = await self._changes.link_password(
                uid, actor.session, body.username, body.password, client
            )
        else:
            who = await self._wechat.exchange(body.code)
            opened = await self._changes.link_wechat(uid, actor.session, who, client)
        self._cache.drop(uid)
        return await self._session(opened)

    async def unlink(self, body: bodies.Unlink, actor: Actor, client: ClientFacts) -> bodies.Empty:
        """Never the last way; the other sessions it opened end."""
        uid = _signed_in(actor)
        await self._changes.unlink(uid, actor.session, body.method)
        self._cache.drop(uid)
        return bodies.Empty()

    async def password_change(
        self, body: bodies.PasswordChange, actor: Actor, client: ClientFacts
    ) -> bodies.Empty:
        """Ends every other session of the account."""
        uid = _signed_in(actor)
        await self._changes.change_password(
            uid, actor.session, body.old_password, body.new_password
        )
        self._cache.drop(uid)
        return bodies.Empty()

    # -- sessions ----------------------------------------------------------------------------------

    async def sessions(
        self, body: bodies.Empty, actor: Actor, client: ClientFacts
    ) -> bodies.SessionList:
        uid = _signed_in(actor)
        return bodies.SessionList(sessions=await self._sessions.list(uid, actor.session))

    async def sessions_revoke(
        self, body: bodies.SessionsRevoke, actor: Actor, client: ClientFacts
    ) -> bodies.Revoked:
        """NOT_FOUND for a session that is not the caller's."""
        uid = _signed_in(actor)
        if (body.id is None) is not body.all:
            raise invalid("id", "give either id or all: true")
        if body.id is None:
            count = await self._sessions.end_all(uid)
        else:
            await self._sessions.end_one(uid, body.id)
            count = 1
        self._cache.drop(uid)
        return bodies.Revoked(revoked=count)

    # -- the account -------------------------------------------------------------------------------

    async def me(self, body: bodies.Empty, actor: Actor, client: ClientFacts) -> bodies.User:
        return shown(await self._accounts.user(_signed_in(actor)), actor.login_type or "")

    async def profile(
        self, body: dict[str, object], actor: Actor, client: ClientFacts
    ) -> bodies.User:
        """Sets the members given, takes away those given as null."""
        uid = _signed_in(actor)
        user = await self._changes.update_profile(uid, self._profile(body, ""))
        return shown(user, actor.login_type or "")

    async def delete(self, body: bodies.Empty, actor: Actor, client: ClientFacts) -> bodies.Empty:
        """The account, its sessions and names; not the documents it owns."""
        uid = _signed_in(actor)
        await self._changes.delete(uid)
        self._cache.drop(uid)
        return bodies.Empty()

    # -- parts -------------------------------------------------------------------------------------

    def _profile(self, raw: dict[str, object], path: str) -> dict[str, object]:
        return admit_profile(raw, self._settings.limits, self._clock.now_ms(), path)

    async def _session(self, opened: Opened, token: str | None = None) -> bodies.Session:
        """The answer for a session just opened or renewed, with its refresh token."""
        user = await self._accounts.find(opened.uid)
        if user is None or user["disabled"]:  # between the write and this
            raise revoked()
        await self.keys.refresh()
        return bodies.Session(
            access_token=self._tokens.mint(opened.uid, opened.session),
            refresh_token=token or self._sessions.first_token(opened.session),
            expires_in=self._tokens.seconds,
            user=shown(user, opened.login_type),
        )


def _signed_in(actor: Actor) -> str:
    """The caller's uid; UNAUTHENTICATED for nobody and for an admin key that acts as no one."""
    if actor.uid is None:
        raise Problem(Code.UNAUTHENTICATED, "Sign in first: this needs a user's access token.")
    return actor.uid
