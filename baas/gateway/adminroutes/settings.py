"""`/v1/admin/settings`, `/secrets` and `/keys`: what is set and where it comes from, values that
can be written and never read, and admin keys."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec

from baas import __version__
from baas.auth.admin_keys import MAX_NAME, AdminKey
from baas.auth.roles import require_at_least
from baas.auth.scopes import parse_scopes
from baas.errors import Code
from baas.functions.secrets import SecretInfo
from baas.gateway.adminroutes.settingsinfo import SettingInfo, settings_shown
from baas.gateway.adminroutes.table import Body, Done, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.schema.actor import Actor

_READ: Final = "settings:read"
_WRITE: Final = "settings:write"


class SettingList(msgspec.Struct, frozen=True, kw_only=True):
    version: str
    app: str
    settings: list[SettingInfo]


async def _settings(services: Services, actor: Actor, body: None) -> SettingList:
    shown = await asyncio.to_thread(settings_shown, services.panel.folder, services.settings)
    return SettingList(version=__version__, app=services.settings.app.name, settings=shown)


# -- secrets ---------------------------------------------------------------------------------------


class SecretList(msgspec.Struct, frozen=True):
    secrets: tuple[SecretInfo, ...]


class SecretBody(Body, frozen=True):
    name: str
    value: str


class NameBody(Body, frozen=True):
    name: str


async def _secrets(services: Services, actor: Actor, body: None) -> SecretList:
    return SecretList(await services.panel.vault.listed())


async def _set_secret(services: Services, actor: Actor, body: SecretBody) -> Done:
    await services.panel.vault.set(body.name, body.value)
    return Done()


async def _delete_secret(services: Services, actor: Actor, body: NameBody) -> Done:
    await services.panel.vault.delete(body.name)
    return Done()


# -- keys ------------------------------------------------------------------------------------------


class KeyList(msgspec.Struct, frozen=True):
    keys: tuple[AdminKey, ...]


class NewKey(Body, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    scopes: tuple[str, ...]


class MadeKey(msgspec.Struct, frozen=True):
    """`text` is shown this once."""

    key: AdminKey
    text: str


class KeyId(Body, frozen=True):
    id: str


class Rotate(Body, frozen=True):
    """`drop_old`: tokens of older keys are refused at once; clients refresh theirs."""

    drop_old: bool = False


class Rotated(msgspec.Struct, frozen=True):
    kid: str


async def _keys(services: Services, actor: Actor, body: None) -> KeyList:
    return KeyList(await services.auth.admin_keys.list())


async def _create_key(services: Services, actor: Actor, body: NewKey) -> MadeKey:
    """Nobody makes a key that may do more than they may themselves."""
    require_at_least(actor, parse_scopes(body.scopes))
    key, text = await services.auth.admin_keys.create(body.name, body.scopes)
    return MadeKey(key, text)


async def _revoke_key(services: Services, actor: Actor, body: KeyId) -> Done:
    require_at_least(actor, (await services.auth.admin_keys.find(body.id)).scopes)
    await services.auth.admin_keys.revoke(body.id)
    return Done()


async def _rotate(services: Services, actor: Actor, body: Rotate) -> Rotated:
    return Rotated(await services.auth.rotate_keys(drop_old=body.drop_old))


_MISSING: Final = Code.NOT_FOUND
ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "settings", "Every setting and where it comes from", _READ, _settings, None, SettingList
    ),
    admin_route("secrets", "Names of secrets", _READ, _secrets, None, SecretList),
    admin_route(
        "secrets/set",
        "Set a secret; nobody can read it back",
        _WRITE,
        _set_secret,
        SecretBody,
        Done,
        recorded=("name",),
    ),
    admin_route(
        "secrets/delete",
        "Remove a secret",
        _WRITE,
        _delete_secret,
        NameBody,
        Done,
        _MISSING,
        recorded=("name",),
    ),
    admin_route("keys", "Admin keys, without their secrets", _READ, _keys, None, KeyList),
    admin_route(
        "keys/create",
        "A new admin key, shown this once",
        _WRITE,
        _create_key,
        NewKey,
        MadeKey,
        recorded=("name", "scopes"),
    ),
    admin_route(
        "keys/revoke", "End a key", _WRITE, _revoke_key, KeyId, Done, _MISSING, recorded=("id",)
    ),
    admin_route(
        "keys/rotate-signing",
        "Sign access tokens with a new key",
        _WRITE,
        _rotate,
        Rotate,
        Rotated,
        recorded=("dropOld",),
    ),
)
