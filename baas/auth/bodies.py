"""Bodies and answers of the auth routes: the gateway decodes and documents exactly these.

On the wire names are in camelCase; a field that is not here is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

MAX_USERNAME: Final = 64
MAX_PASSWORD: Final = 256
MAX_TOKEN: Final = 512

#: A name to sign in with. Compared after NFKC and case folding, kept as it was given.
Username: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_USERNAME)]
#: The least length is a setting, `auth.password_min_length`.
Password: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_PASSWORD)]
WechatCode: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]

LoginType: TypeAlias = Literal[
    "ANONYMOUS", "USERNAME", "EMAIL", "PHONE", "WECHAT", "OIDC", "CUSTOM"
]
#: A way to sign in that an account can be given or lose.
Method: TypeAlias = Literal["password", "wechat"]


class ClientFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Where a request came from, as shown in the list of sessions."""

    ip: str = ""
    user_agent: str = ""


class _Body(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
): ...


class Empty(_Body, frozen=True):
    """`{}`"""


class SignUp(_Body, frozen=True):
    """A new account with a name and a password."""

    username: Username
    password: Password
    profile: dict[str, Any] = {}


class PasswordSignIn(_Body, frozen=True):
    username: Annotated[str, msgspec.Meta(max_length=1024)]
    password: Annotated[str, msgspec.Meta(max_length=1024)]


class WechatSignIn(_Body, frozen=True):
    """`code` of `wx.login`: usable once, for five minutes."""

    code: WechatCode


class Refresh(_Body, frozen=True):
    refresh_token: Annotated[str, msgspec.Meta(max_length=MAX_TOKEN)]


class LinkPassword(_Body, frozen=True, tag="password", tag_field="method"):
    """Gives the account a name and a password."""

    username: Username
    password: Password


class LinkWechat(_Body, frozen=True, tag="wechat", tag_field="method"):
    code: WechatCode


Link: TypeAlias = LinkPassword | LinkWechat


class Unlink(_Body, frozen=True):
    method: Method


class PasswordChange(_Body, frozen=True):
    """Ends every other session of the account."""

    old_password: Annotated[str, msgspec.Meta(max_length=1024)]
    new_password: Password


class SessionsRevoke(_Body, frozen=True):
    """Either one session by `id` or, with `all`, every one, this one too."""

    id: str | None = None
    all: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An account as its owner sees it. `identities` has one member per way to sign in."""

    uid: str
    login_type: str
    roles: tuple[str, ...]
    profile: dict[str, Any]
    identities: dict[str, Any]
    create_time: dict[str, str]
    username: str | None = None


class Session(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every sign-in answers. `expires_in`: seconds until the access token ends."""

    access_token: str
    refresh_token: str
    expires_in: int
    user: User


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    id: str
    create_time: dict[str, str]
    last_used: dict[str, str]
    ip: str
    user_agent: str
    login_type: str
    current: bool


class SessionList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The newest first."""

    sessions: tuple[SessionInfo, ...]


class Revoked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    revoked: int
