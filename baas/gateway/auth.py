"""Auth routes: from `baas.auth.routes`, whose table says body, answer and who may call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from baas.auth.bodies import ClientFacts, PasswordChange, PasswordSignIn
from baas.auth.routes import AUTH_ROUTES, AUTH_ROUTES_NOT_YET, AuthRoute
from baas.auth.scopes import require_scope
from baas.database.bodies import BodyDecoder
from baas.errors import Code, Problem
from baas.gateway.actor import settle
from baas.gateway.body import AUTH_BODY_BYTES, check_json_type, read_body
from baas.gateway.exchange import JSON, NO_STORE, Answer, Exchange
from baas.gateway.guesses import guarded, guarded_sign_in
from baas.gateway.route import Call, Endpoint, Route, not_yet
from baas.gateway.services import Services
from baas.schema.actor import NOBODY, Actor
from baas.settings import AuthSettings

#: Their own body proves who calls. A client that comes with an expired access token is here to mend
#: just that, so the token is not looked at.
_TOKEN_IGNORED: Final = frozenset({"refresh"})

#: Signing in and what else costs a password hash or lets secrets be guessed: counted by address.
#: Not `refresh`: its tokens cannot be guessed, and a whole office behind one address refreshes.
_GUARDED: Final = frozenset({"sign-up", "link", "password/change"})
_GUARDED_PREFIX: Final = "sign-in/"

_MAX_USER_AGENT: Final = 256

_encoder: Final = msgspec.json.Encoder()


def auth_routes(settings: AuthSettings) -> list[Route]:
    """All of them; one that is not set up answers NOT_SUPPORTED and is not described."""
    off = set() if settings.wechat_appid else {"sign-in/wechat"}
    return [
        *(_route(declared, documented=declared.path not in off) for declared in AUTH_ROUTES),
        *(_future(path) for path in AUTH_ROUTES_NOT_YET),
    ]


def _route(declared: AuthRoute, *, documented: bool) -> Route:
    codes: tuple[Code, ...] = (Code.NOT_SUPPORTED, Code.CONFLICT, Code.NOT_FOUND)
    if not declared.signed_in:
        codes += (Code.INVALID_CREDENTIALS,)
    return Route(
        method=declared.method,
        path=f"/v1/auth/{declared.path}",
        name=_name(declared.path),
        endpoint=_endpoint(declared),
        access="user" if declared.signed_in else "anyone",
        summary=declared.summary,
        description=(declared.call.__doc__ or "").strip(),
        tag="auth",
        body=declared.body,
        answer=declared.answer,
        codes=codes,
        documented=documented,
    )


def _future(path: str) -> Route:
    return Route(
        method="POST",
        path="/v1/auth/" + path.replace("}", ":str}"),
        name=_name(path),
        endpoint=not_yet(f"auth/{path}"),
        access="anyone",
        summary="Not there yet",
        tag="auth",
        documented=False,
    )


def _name(path: str) -> str:
    return "auth." + path.replace("/", ".").replace("{", "").replace("}", "")


def _endpoint(declared: AuthRoute) -> Endpoint:
    path = declared.path
    guarded = path in _GUARDED or path.startswith(_GUARDED_PREFIX)

    async def endpoint(call: Call) -> Answer:
        services, exchange = call.services, call.exchange
        if guarded:
            services.limits.take_auth(exchange.ip)
        actor = await _caller(services, exchange, declared)
        body = await _body(call, declared)
        answer = await _answer(services, exchange, declared, body, actor)
        return Answer(_encoder.encode(answer), 200, (JSON, NO_STORE))

    return endpoint


async def _answer(
    services: Services, exchange: Exchange, declared: AuthRoute, body: Any, actor: Actor
) -> Any:
    def call() -> Any:
        return declared.call(services.auth, body, actor, _client(exchange))

    limit = services.limits.password
    if isinstance(body, PasswordSignIn):
        return await guarded_sign_in(limit, services.auth, body.username, exchange.ip, call)
    if isinstance(body, PasswordChange) and actor.uid is not None:
        return await guarded(limit, actor.uid, call)
    return await call()


async def _caller(services: Services, exchange: Exchange, declared: AuthRoute) -> Actor:
    if declared.path in _TOKEN_IGNORED:
        services.limits.take_write(NOBODY, exchange.ip)
        return NOBODY
    actor = exchange.actor = await settle(services.callers.actor(exchange))
    reads = declared.method == "GET"
    require_scope(actor, "users:read" if reads else "users:write")
    if declared.signed_in:
        if actor.uid is None:
            raise Problem(Code.UNAUTHENTICATED, "Sign in first: this needs a user's access token.")
        take = services.limits.take_read if reads else services.limits.take_write
        take(actor, exchange.ip)
    return actor


async def _body(call: Call, declared: AuthRoute) -> Any:
    """The decoded body; an empty one is `{}`, since `sign-out` and its kind have nothing to say."""
    if declared.body is None:
        return None
    check_json_type(call.exchange)
    limit = min(AUTH_BODY_BYTES, call.services.settings.limits.body_bytes)
    body = await read_body(call.exchange, call.receive, limit)
    return _decoder(declared.path)(body or b"{}")


_BODIES: Final = {declared.path: declared.body for declared in AUTH_ROUTES}


@lru_cache(64)
def _decoder(path: str) -> BodyDecoder[Any]:
    return BodyDecoder(_BODIES[path])


def _client(exchange: Exchange) -> ClientFacts:
    agent = exchange.text(b"user-agent") or ""
    return ClientFacts(ip=exchange.ip, user_agent=agent[:_MAX_USER_AGENT])
