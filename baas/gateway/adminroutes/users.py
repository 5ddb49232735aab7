"""`/v1/admin/users`: the app's users, as the operator sees and manages them."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from baas.auth.bodies import Password, SessionInfo, Username
from baas.auth.directory import MAX_PAGE, UserDetails, UserSummary
from baas.errors import Code
from baas.gateway.adminroutes.table import Body, Done, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.schema.actor import Actor

_READ: Final = "users:read"
_WRITE: Final = "users:write"
_Uid = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Roles = Annotated[tuple[str, ...], msgspec.Meta(max_length=64)]


class UserListBody(Body, frozen=True):
    """`text` is part of a name, or a whole uid or role; `after` the last uid of the page before."""

    text: Annotated[str, msgspec.Meta(max_length=100)] = ""
    after: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE)] = 100


class UserList(msgspec.Struct, frozen=True):
    """The newest first. `next` None: that was the last page."""

    users: tuple[UserSummary, ...]
    next: str | None


class UserBody(Body, frozen=True):
    uid: _Uid


class UserDetailsAnswer(msgspec.Struct, frozen=True):
    user: UserDetails
    sessions: tuple[SessionInfo, ...]


class UserCreateBody(Body, frozen=True):
    username: Username
    password: Password
    roles: _Roles = ()


class UserRolesBody(Body, frozen=True):
    uid: _Uid
    add: _Roles = ()
    remove: _Roles = ()


class UserDisabledBody(Body, frozen=True):
    uid: _Uid
    disabled: bool


class UserPasswordBody(Body, frozen=True):
    uid: _Uid
    password: Password


class SessionsEndBody(Body, frozen=True):
    """Without `id`: every session of the user."""

    uid: _Uid
    id: str | None = None


class Ended(msgspec.Struct, frozen=True):
    ended: int


async def _list(services: Services, actor: Actor, body: UserListBody) -> UserList:
    users = await services.auth.users.page(body.text, body.after, body.limit)
    return UserList(users, users[-1].uid if len(users) == body.limit else None)


async def _get(services: Services, actor: Actor, body: UserBody) -> UserDetailsAnswer:
    user = await services.auth.users.details(body.uid)
    return UserDetailsAnswer(user, await services.auth.users.sessions(body.uid))


async def _create(services: Services, actor: Actor, body: UserCreateBody) -> UserSummary:
    return await services.auth.users.create(body.username, body.password, body.roles)


async def _roles(services: Services, actor: Actor, body: UserRolesBody) -> UserSummary:
    await services.auth.users.set_roles(body.uid, body.add, body.remove)
    return await services.auth.users.find(body.uid)


async def _disable(services: Services, actor: Actor, body: UserDisabledBody) -> UserSummary:
    await services.auth.users.set_disabled(body.uid, body.disabled)
    return await services.auth.users.find(body.uid)


async def _password(services: Services, actor: Actor, body: UserPasswordBody) -> Done:
    await services.auth.users.set_password(body.uid, body.password)
    return Done()


async def _end(services: Services, actor: Actor, body: SessionsEndBody) -> Ended:
    return Ended(await services.auth.users.end_sessions(body.uid, body.id))


async def _delete(services: Services, actor: Actor, body: UserBody) -> Done:
    await services.auth.users.find(body.uid)
    await services.auth.users.delete(body.uid)
    return Done()


def _change(
    path: str, summary: str, work: Any, body: Any, answers: Any, *codes: Code, **more: Any
) -> Route:
    return admin_route(f"users/{path}", summary, _WRITE, work, body, answers, *codes, **more)


_MISSING: Final = Code.NOT_FOUND
ROUTES: Final[tuple[Route, ...]] = (
    admin_route("users/list", "Users, the newest first", _READ, _list, UserListBody, UserList),
    admin_route(
        "users/get", "One user and its sessions", _READ, _get, UserBody, UserDetailsAnswer, _MISSING
    ),
    _change(
        "create",
        "A new user with a password",
        _create,
        UserCreateBody,
        UserSummary,
        Code.CONFLICT,
        recorded=("username", "roles"),
    ),
    _change(
        "roles",
        "Give and take roles",
        _roles,
        UserRolesBody,
        UserSummary,
        _MISSING,
        recorded=("uid", "add", "remove"),
    ),
    _change(
        "disable",
        "Keep a user out and end its sessions, or let it in again",
        _disable,
        UserDisabledBody,
        UserSummary,
        _MISSING,
        recorded=("uid", "disabled"),
    ),
    _change(
        "password",
        "Set a password and end the user's sessions",
        _password,
        UserPasswordBody,
        Done,
        _MISSING,
        recorded=("uid",),
    ),
    _change(
        "sessions/end",
        "End one session of a user, or all",
        _end,
        SessionsEndBody,
        Ended,
        _MISSING,
        recorded=("uid", "id"),
    ),
    _change(
        "delete",
        "Delete an account; the documents that it owns stay",
        _delete,
        UserBody,
        Done,
        _MISSING,
        recorded=("uid",),
    ),
)
