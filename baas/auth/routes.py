"""The auth routes, as data: the gateway makes its handlers and OpenAPI from this table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias

import msgspec

from baas.auth import bodies
from baas.auth.service import AuthService

#: `(service, body, actor, client) -> answer`
Call: TypeAlias = Callable[..., Awaitable[Any]]


class AuthRoute(msgspec.Struct, frozen=True, kw_only=True):
    """`path` below `/v1/auth/`. `body` None: it takes none. `signed_in`: needs a user's token."""

    path: str
    call: Call
    body: Any
    answer: Any
    summary: str
    signed_in: bool = False
    method: Literal["GET", "POST"] = "POST"


AUTH_ROUTES: Final[tuple[AuthRoute, ...]] = (
    AuthRoute(
        path="sign-up",
        call=AuthService.sign_up,
        body=bodies.SignUp,
        answer=bodies.Session,
        summary="Make an account with a name and a password",
    ),
    AuthRoute(
        path="sign-in/password",
        call=AuthService.sign_in_password,
        body=bodies.PasswordSignIn,
        answer=bodies.Session,
        summary="Sign in with a name and a password",
    ),
    AuthRoute(
        path="sign-in/anonymous",
        call=AuthService.sign_in_anonymous,
        body=bodies.Empty,
        answer=bodies.Session,
        summary="Sign in without an account; link one later",
    ),
    AuthRoute(
        path="sign-in/wechat",
        call=AuthService.sign_in_wechat,
        body=bodies.WechatSignIn,
        answer=bodies.Session,
        summary="Sign in with the code of wx.login",
    ),
    AuthRoute(
        path="refresh",
        call=AuthService.refresh,
        body=bodies.Refresh,
        answer=bodies.Session,
        summary="Trade a refresh token for its successor and a new access token",
    ),
    AuthRoute(
        path="sign-out",
        call=AuthService.sign_out,
        body=bodies.Empty,
        answer=bodies.Empty,
        summary="End this session",
        signed_in=True,
    ),
    AuthRoute(
        path="link",
        call=AuthService.link,
        body=bodies.Link,
        answer=bodies.Session,
        summary="Give this account one more way to sign in",
        signed_in=True,
    ),
    AuthRoute(
        path="unlink",
        call=AuthService.unlink,
        body=bodies.Unlink,
        answer=bodies.Empty,
        summary="Take a way to sign in from this account, never the last",
        signed_in=True,
    ),
    AuthRoute(
        path="password/change",
        call=AuthService.password_change,
        body=bodies.PasswordChange,
        answer=bodies.Empty,
        summary="Change the password and end the other sessions",
        signed_in=True,
    ),
    AuthRoute(
        path="sessions",
        call=AuthService.sessions,
        body=bodies.Empty,
        answer=bodies.SessionList,
        summary="List this account's sessions",
        signed_in=True,
    ),
    AuthRoute(
        path="sessions/revoke",
        call=AuthService.sessions_revoke,
        body=bodies.SessionsRevoke,
        answer=bodies.Revoked,
        summary="End one session or all of them",
        signed_in=True,
    ),
    AuthRoute(
        path="me",
        call=AuthService.me,
        body=None,
        answer=bodies.User,
        summary="The signed-in user",
        signed_in=True,
        method="GET",
    ),
    AuthRoute(
        path="profile",
        call=AuthService.profile,
        body=dict[str, Any],
        answer=bodies.User,
        summary="Set members of the profile; null takes one away",
        signed_in=True,
    ),
    AuthRoute(
        path="delete",
        call=AuthService.delete,
        body=bodies.Empty,
        answer=bodies.Empty,
        summary="Delete this account",
        signed_in=True,
    ),
)

#: Named by the protocol, not there yet: the gateway answers NOT_SUPPORTED.
AUTH_ROUTES_NOT_YET: Final = (
    "sign-in/ticket",
    "sign-in/code",
    "code",
    "sign-in/oidc/{provider}",
    "password/reset",
    "mfa/{step}",
)
