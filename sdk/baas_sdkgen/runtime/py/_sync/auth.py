"""Accounts and sessions: signing in, staying signed in, signing out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from ..command import given
from ..errors import BaasError
from ..policy import is_over
from ..sessions import (
    Kept,
    SessionInfo,
    SessionStore,
    UserInfo,
    from_text,
    kept_of,
    session_of,
    to_text,
    user_of,
)
from ..values import decode, encode
from .blocks import Lock
from .http import Http

AuthListener: TypeAlias = Callable[[UserInfo | None], None]


class Auth:
    """Also the source of tokens of every other call."""

    def __init__(self, http: Http, store: SessionStore) -> None:
        self._http = http
        # Calls that carry their own proof, or none: never refreshed behind their backs.
        self._bare = http.bare()
        self._store = store
        self._kept: Kept | None = from_text(store.load())
        self._lock = Lock()
        self._listeners: list[AuthListener] = []
        self._token_listeners: list[Callable[[], None]] = []
        http.tokens = self

    @property
    def current_user(self) -> UserInfo | None:
        """Who is signed in here, as last heard; None for nobody."""
        return None if self._kept is None else user_of(self._kept.user)

    def on_auth_state_change(self, listener: AuthListener) -> Callable[[], None]:
        """Calls back with the user now and at every change; returns how to stop that."""
        self._listeners.append(listener)
        listener(self.current_user)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def on_token(self, listener: Callable[[], None]) -> None:
        """Calls back whenever the access token has changed."""
        self._token_listeners.append(listener)

    # -- signing in --------------------------------------------------------------------------------

    def sign_up(
        self, username: str, password: str, profile: Mapping[str, Any] | None = None
    ) -> UserInfo:
        body = {"username": username, "password": password, "profile": profile}
        return self._begin(self._bare, "sign-up", given(body))

    def sign_in_with_password(self, username: str, password: str) -> UserInfo:
        body = {"username": username, "password": password}
        return self._begin(self._bare, "sign-in/password", body)

    def sign_in_anonymously(self) -> UserInfo:
        """A new account without a name. Does nothing where somebody is signed in."""
        return self.current_user or self._begin(self._bare, "sign-in/anonymous", {})

    def sign_in_with_wechat(self, code: str) -> UserInfo:
        """`code` of `wx.login`."""
        return self._begin(self._bare, "sign-in/wechat", {"code": code})

    def sign_in_with_ticket(self, ticket: str) -> UserInfo:
        """A ticket that your own server signed."""
        return self._begin(self._bare, "sign-in/ticket", {"ticket": ticket})

    def send_code(self, *, email: str | None = None, phone: str | None = None) -> Any:
        """Sends a code to an e-mail address or a telephone."""
        body = given({"email": email, "phone": phone})
        return decode(self._http.post("/v1/auth/code", body, "once"))

    def sign_in_with_code(
        self, code: str, *, email: str | None = None, phone: str | None = None
    ) -> UserInfo:
        body = given({"code": code, "email": email, "phone": phone})
        return self._begin(self._bare, "sign-in/code", body)

    def sign_in_with_oidc(self, provider: str, body: Mapping[str, Any]) -> UserInfo:
        path = f"sign-in/oidc/{quote(provider, safe='')}"
        return self._begin(self._bare, path, body)

    def sign_out(self) -> None:
        """Ends the session here and on the server; here even where the server is not there."""
        kept = self._kept
        if kept is None:
            return
        try:
            self._http.post("/v1/auth/sign-out", {}, "once")
        except BaasError:
            pass
        finally:
            if self._kept is kept or self._kept is None:
                self._keep(None)

    # -- the account -------------------------------------------------------------------------------

    def link(self, method: str, **more: Any) -> UserInfo:
        """One more way to sign in to this account: `link("password", username=.., password=..)`."""
        return self._begin(self._http, "link", {"method": method, **more})

    def unlink(self, method: str) -> UserInfo:
        self._call("unlink", {"method": method})
        return self.me()

    def me(self) -> UserInfo:
        user = self._http.get("/v1/auth/me")
        if self._kept is not None and self._kept.user["uid"] == user["uid"]:
            self._keep(self._kept.of_user(user))
        return user_of(user)

    def update_profile(self, profile: Mapping[str, Any]) -> UserInfo:
        """Sets members of the profile; None takes one away."""
        self._call("profile", profile)
        return self.me()

    def change_password(self, old_password: str, new_password: str) -> None:
        body = {"oldPassword": old_password, "newPassword": new_password}
        self._call("password/change", body)

    def reset_password(self, body: Mapping[str, Any]) -> Any:
        return decode(self._http.post("/v1/auth/password/reset", encode(body), "once"))

    def sessions(self) -> list[SessionInfo]:
        found = self._call("sessions", {})
        return [session_of(one) for one in found["sessions"]]

    def revoke_session(self, id: str) -> None:
        self._call("sessions/revoke", {"id": id})

    def revoke_all_sessions(self) -> None:
        """This one too."""
        self._call("sessions/revoke", {"all": True})
        self._keep(None)

    def delete_account(self) -> None:
        """The account itself. Documents that it made stay."""
        self._call("delete", {})
        self._keep(None)

    # -- tokens ------------------------------------------------------------------------------------

    def token(self) -> str | None:
        """One that is good for a while, or None for nobody."""
        kept = self._kept
        if kept is None or kept.is_fresh(time.time()):
            return None if kept is None else kept.access_token
        return self.renew(kept.access_token)

    def renew(self, refused: str) -> str | None:
        """Once for however many ask."""
        with self._lock:
            kept = self._kept
            if kept is None:
                return None
            if kept.access_token != refused:
                return kept.access_token
            return self._refresh(kept)

    def _refresh(self, kept: Kept) -> str | None:
        shared = from_text(self._store.load())
        if shared is not None and shared.access_token != kept.access_token:
            # Another program that shares the store has done it; an old token would end it for both.
            if shared.is_fresh(time.time()):
                self._keep(shared)
                return shared.access_token
            kept = self._kept = shared
        try:
            # An old token yields the same successor again until that is used: safe to repeat.
            body = {"refreshToken": kept.refresh_token}
            session = self._bare.post("/v1/auth/refresh", body, "read")
        except BaasError as fault:
            if not is_over(fault):
                raise
            if self._kept is kept:
                self._keep(None)
            fault.detail = "The session has ended; sign in again."
            raise
        if self._kept is kept:
            self._keep(kept_of(session, time.time()))
        return str(session["accessToken"])

    def _begin(self, http: Http, path: str, body: Mapping[str, Any]) -> UserInfo:
        session = http.post(f"/v1/auth/{path}", encode(body), "once")
        self._keep(kept_of(session, time.time()))
        return user_of(session["user"])

    def _call(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._http.post(f"/v1/auth/{path}", encode(body), "once")

    # -- what is kept ------------------------------------------------------------------------------

    def _keep(self, kept: Kept | None) -> None:
        before, self._kept = self._kept, kept
        self._store.save(None if kept is None else to_text(kept))
        if _token(before) != _token(kept):
            for tell in list(self._token_listeners):
                tell()
        if (before and before.user) != (kept and kept.user):
            for listener in list(self._listeners):
                listener(self.current_user)


class Key:
    """An admin key (`bak_...`) in the place of somebody who is signed in."""

    def __init__(self, key: str) -> None:
        self._key = key

    def token(self) -> str | None:
        return self._key

    def renew(self, refused: str) -> str | None:
        """Keys are not renewed."""
        return None


def _token(kept: Kept | None) -> str | None:
    return None if kept is None else kept.access_token
