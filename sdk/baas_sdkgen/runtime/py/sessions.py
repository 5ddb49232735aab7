"""Who is signed in, and where that is kept."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias, cast

from .values import decode

LoginType: TypeAlias = Literal[
    "ANONYMOUS", "USERNAME", "EMAIL", "PHONE", "WECHAT", "OIDC", "CUSTOM"
]
#: Refreshed this long before its end, for clocks and ways that are not exact. Seconds.
_EARLY: Final = 30.0


@dataclass(frozen=True, slots=True)
class UserInfo:
    """`raw`: all that the gateway said, in its own names."""

    uid: str
    login_type: LoginType
    roles: tuple[str, ...]
    username: str | None
    profile: dict[str, Any]
    identities: dict[str, Any]
    create_time: datetime | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SessionInfo:
    id: str
    create_time: datetime
    last_used: datetime
    ip: str
    user_agent: str
    login_type: LoginType
    current: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives the program. `expires`: seconds since 1970, by this machine's clock; `user`
    as it came."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires: float
    user: Any

    def is_fresh(self, now: float) -> bool:
        return self.expires - _EARLY > now

    def of_user(self, user: Any) -> Kept:
        return replace(self, user=user)


class SessionStore(Protocol):
    """Keeps one small text."""

    def load(self) -> str | None: ...

    def save(self, text: str | None) -> None:
        """None: there is nothing to keep any more."""


class MemoryStore:
    """Until the program ends."""

    def __init__(self) -> None:
        self._text: str | None = None

    def load(self) -> str | None:
        return self._text

    def save(self, text: str | None) -> None:
        self._text = text


class FileStore:
    """In a file that its owner alone can read. Programs that share it share the session."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> str | None:
        try:
            return self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def save(self, text: str | None) -> None:
        if text is None:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Made by mkstemp: for its owner alone from the first byte on.
        handle, draft = tempfile.mkstemp(dir=self._path.parent, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(draft, self._path)
        except BaseException:
            os.unlink(draft)
            raise


def kept_of(session: Any, now: float) -> Kept:
    """Of a session as the gateway answers it."""
    return Kept(
        access_token=session["accessToken"],
        refresh_token=session["refreshToken"],
        expires=now + session["expiresIn"],
        user=session["user"],
    )


def to_text(kept: Kept) -> str:
    return json.dumps(
        {
            "accessToken": kept.access_token,
            "refreshToken": kept.refresh_token,
            "expires": kept.expires,
            "user": kept.user,
        }
    )


def from_text(text: str | None) -> Kept | None:
    """None also for what is no session: a file that was cut off, for one."""
    try:
        found = json.loads(text) if text else None
        if found is None:
            return None
        access, refresh = str(found["accessToken"]), str(found["refreshToken"])
        return Kept(access, refresh, float(found["expires"]), found["user"])
    except (ValueError, TypeError, KeyError):
        return None


def user_of(wire: Any) -> UserInfo:
    raw = decode(wire)
    return UserInfo(
        uid=raw["uid"],
        login_type=raw["loginType"],
        roles=tuple(raw.get("roles", ())),
        username=raw.get("username"),
        profile=raw.get("profile") or {},
        identities=raw.get("identities") or {},
        create_time=raw.get("createTime"),
        raw=raw,
    )


def session_of(wire: Any) -> SessionInfo:
    raw = decode(wire)
    return SessionInfo(
        id=raw["id"],
        create_time=raw["createTime"],
        last_used=raw["lastUsed"],
        ip=raw["ip"],
        user_agent=raw["userAgent"],
        login_type=cast(LoginType, raw["loginType"]),
        current=raw["current"],
    )
