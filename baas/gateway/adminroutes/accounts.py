"""`/v1/admin/auth`: people at the panel. Set-up, sign-in, their sessions, and who they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec

from baas.auth.admins import (
    Admin,
    AdminPasswordChange,
    AdminSession,
    AdminSessionInfo,
    SetUp,
    SignIn,
    require_person,
)
from baas.auth.bodies import ClientFacts, Password, Username
from baas.auth.roles import SCOPES_OF, Role, require_at_least
from baas.database.bodies import BodyDecoder
from baas.errors import Code, Problem
from baas.gateway.adminroutes.table import (
    Body,
    Done,
    Nothing,
    admin_actor,
    admin_route,
    answer,
    decoded,
    own_route,
)
from baas.gateway.body import AUTH_BODY_BYTES
from baas.gateway.exchange import Answer
from baas.gateway.guesses import guarded
from baas.gateway.route import Call, Endpoint, Route
from baas.gateway.services import Services
from baas.schema.actor import Actor

_MAX_USER_AGENT: Final = 256
_ACCOUNT_ID: Final = msgspec.Meta(min_length=1, max_length=64)


class AdminList(msgspec.Struct, frozen=True):
    admins: tuple[Admin, ...]


class AdminSessions(msgspec.Struct, frozen=True):
    sessions: tuple[AdminSessionInfo, ...]


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """`admin` None: a key that is nobody's session."""

    admin: Admin | None
    scopes: tuple[str, ...]


class Renewed(msgspec.Struct, frozen=True):
    expires: dict[str, str]


class SessionId(Body, frozen=True):
    id: str


class AdminBody(Body, frozen=True):
    id: Annotated[str, _ACCOUNT_ID]


class NewAccount(Body, frozen=True):
    name: Username
    password: Password
    role: Role


class AdminRoleBody(Body, frozen=True):
    id: Annotated[str, _ACCOUNT_ID]
    role: Role


class AdminDisabledBody(Body, frozen=True):
    id: Annotated[str, _ACCOUNT_ID]
    disabled: bool


class AdminPasswordBody(Body, frozen=True):
    id: Annotated[str, _ACCOUNT_ID]
    password: Password


# -- becoming somebody -----------------------------------------------------------------------------


def _client(call: Call) -> ClientFacts:
    agent = call.exchange.text(b"user-agent") or ""
    return ClientFacts(ip=call.exchange.ip, user_agent=agent[:_MAX_USER_AGENT])


def _entrance(body_type: Any, enter: Callable[[Call, Any], Awaitable[AdminSession]]) -> Endpoint:
    """An endpoint for strangers, counted by address. Recorded are those who came in, and wrong
    passwords of accounts that are there, of which `rate_password` lets few through: what strangers
    make up would fill the disk."""
    decode: BodyDecoder[Any] = BodyDecoder(body_type)

    async def endpoint(call: Call) -> Answer:
        call.services.limits.take_auth(call.exchange.ip)
        body = await decoded(call, decode, AUTH_BODY_BYTES)
        try:
            session = await enter(call, body)
        except Problem as problem:
            if problem.code is Code.INVALID_CREDENTIALS:
                await _refused(call, body.name)
            raise
        await _entered(call, session.admin.name, "200")
        return answer(session)

    return endpoint


async def _refused(call: Call, name: str) -> None:
    try:
        known = await call.services.auth.admins.named(name)
    except Problem:
        return
    await _entered(call, known.name, "401", Code.INVALID_CREDENTIALS.name)


async def _entered(call: Call, who: str, outcome: str, code: str | None = None) -> None:
    audit, exchange = call.services.panel.audit, call.exchange
    id = await audit.begin(exchange.route, exchange, who, "")
    await audit.end(id, outcome, code, None)


async def _set_up(call: Call, body: SetUp) -> AdminSession:
    return await call.services.auth.admins.set_up(body, _client(call))


async def _sign_in(call: Call, body: SignIn) -> AdminSession:
    admins, limit = call.services.auth.admins, call.services.limits.password
    return await guarded(
        limit, f"admin/{body.name.casefold()}", lambda: admins.sign_in(body, _client(call))
    )


# -- being somebody --------------------------------------------------------------------------------


async def _person(call: Call) -> tuple[Admin, str]:
    """Who is signed in, and the session's id; PERMISSION_DENIED for a key."""
    actor = admin_actor(call)
    session = actor.key or ""
    return require_person(await call.services.auth.admins.whose(session)), session


async def _me(call: Call) -> Answer:
    actor = admin_actor(call)
    admin = await call.services.auth.admins.whose(actor.key or "")
    return answer(Me(admin=admin, scopes=actor.scopes))


async def _renew(call: Call) -> Answer:
    _, session = await _person(call)
    return answer(Renewed(await call.services.auth.admins.renew(session)))


async def _sign_out(call: Call) -> Answer:
    admin, session = await _person(call)
    await call.services.auth.admins.end_session(admin.id, session)
    return answer(Done())


async def _sessions(call: Call) -> Answer:
    admin, session = await _person(call)
    return answer(AdminSessions(await call.services.auth.admins.sessions(admin.id, session)))


async def _end_session(call: Call) -> Answer:
    admin, _ = await _person(call)
    body: SessionId = await decoded(call, _SESSION_ID, AUTH_BODY_BYTES)
    await call.services.auth.admins.end_session(admin.id, body.id)
    return answer(Done())


async def _change_password(call: Call) -> Answer:
    admin, session = await _person(call)
    body: AdminPasswordChange = await decoded(call, _PASSWORD_CHANGE, AUTH_BODY_BYTES)
    admins = call.services.auth.admins
    await guarded(
        call.services.limits.password,
        f"admin/{admin.name.casefold()}",
        lambda: admins.change_password(admin.id, session, body),
    )
    return answer(Done())


_SESSION_ID: Final = BodyDecoder(SessionId)
_PASSWORD_CHANGE: Final = BodyDecoder(AdminPasswordChange)


# -- accounts of others ----------------------------------------------------------------------------


async def _list(services: Services, actor: Actor, body: None) -> AdminList:
    return AdminList(await services.auth.admins.list())


async def _create(services: Services, actor: Actor, body: NewAccount) -> Admin:
    require_at_least(actor, SCOPES_OF[body.role])
    return await services.auth.admins.create(body.name, body.password, body.role)


async def _within_own(services: Services, actor: Actor, id: str) -> None:
    """Nobody changes an account that may do more than they may themselves."""
    found = await services.auth.admins.find(id)
    require_at_least(actor, SCOPES_OF[found.role])


async def _set_role(services: Services, actor: Actor, body: AdminRoleBody) -> Done:
    await _within_own(services, actor, body.id)
    require_at_least(actor, SCOPES_OF[body.role])
    await services.auth.admins.set_role(body.id, body.role)
    return Done()


async def _set_disabled(services: Services, actor: Actor, body: AdminDisabledBody) -> Done:
    await _within_own(services, actor, body.id)
    await services.auth.admins.set_disabled(body.id, body.disabled)
    return Done()


async def _set_password(services: Services, actor: Actor, body: AdminPasswordBody) -> Done:
    await _within_own(services, actor, body.id)
    await services.auth.admins.set_password(body.id, body.password)
    return Done()


async def _delete(services: Services, actor: Actor, body: AdminBody) -> Done:
    await _within_own(services, actor, body.id)
    await services.auth.admins.delete(body.id)
    return Done()


_READ: Final = "settings:read"
_WRITE: Final = "settings:write"
_SIGN_IN_CODES: Final = (Code.INVALID_CREDENTIALS,)

#: Served without a token, or with an admin key's; any other token is refused.
ENTRANCES: Final[tuple[Route, ...]] = (
    own_route(
        "auth/set-up",
        "Make the first account, with the code that `baas serve` printed",
        _entrance(SetUp, _set_up),
        access="anyone",
        body=SetUp,
        answers=AdminSession,
        codes=_SIGN_IN_CODES,
    ),
    own_route(
        "auth/sign-in",
        "Sign in to the panel",
        _entrance(SignIn, _sign_in),
        access="anyone",
        body=SignIn,
        answers=AdminSession,
        codes=_SIGN_IN_CODES,
    ),
)

#: Of whoever is signed in; they need no scope.
PERSONAL: Final[tuple[Route, ...]] = (
    own_route("auth/me", "Who is signed in", _me, method="GET", answers=Me),
    own_route(
        "auth/renew",
        "Stay signed in",
        _renew,
        body=Nothing,
        answers=Renewed,
        scope="own:read",
    ),
    own_route("auth/sign-out", "End this session", _sign_out, body=Nothing),
    own_route("auth/sessions", "Own sessions", _sessions, method="GET", answers=AdminSessions),
    own_route(
        "auth/sessions/end",
        "End one of one's own sessions",
        _end_session,
        body=SessionId,
        codes=(Code.NOT_FOUND,),
        recorded=("id",),
    ),
    own_route(
        "auth/password",
        "Change one's own password",
        _change_password,
        body=AdminPasswordChange,
        codes=_SIGN_IN_CODES,
    ),
)

ROUTES: Final[tuple[Route, ...]] = (
    *ENTRANCES,
    *PERSONAL,
    admin_route("auth/admins", "Everybody who may sign in", _READ, _list, None, AdminList),
    admin_route(
        "auth/admins/create",
        "A new account",
        _WRITE,
        _create,
        NewAccount,
        Admin,
        Code.CONFLICT,
        recorded=("name", "role"),
    ),
    admin_route(
        "auth/admins/role",
        "Another role; ends the account's sessions",
        _WRITE,
        _set_role,
        AdminRoleBody,
        Done,
        Code.NOT_FOUND,
        Code.CONFLICT,
        recorded=("id", "role"),
    ),
    admin_route(
        "auth/admins/disable",
        "Keep somebody out, or let them in again",
        _WRITE,
        _set_disabled,
        AdminDisabledBody,
        Done,
        Code.NOT_FOUND,
        Code.CONFLICT,
        recorded=("id", "disabled"),
    ),
    admin_route(
        "auth/admins/password",
        "Set somebody's password; ends the account's sessions",
        _WRITE,
        _set_password,
        AdminPasswordBody,
        Done,
        Code.NOT_FOUND,
        recorded=("id",),
    ),
    admin_route(
        "auth/admins/delete",
        "Remove an account",
        _WRITE,
        _delete,
        AdminBody,
        Done,
        Code.NOT_FOUND,
        Code.CONFLICT,
        recorded=("id",),
    ),
)
