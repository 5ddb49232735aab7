"""What an account is: its document, its names, and how it looks to rules and to its owner."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from typing import Any, Final

import msgspec

from baas.auth.bodies import User
from baas.auth.collections import IDENTITIES
from baas.auth.steps import insert
from baas.auth.wechat import WechatIdentity
from baas.errors import Code, Problem, invalid
from baas.ports.documents import Insert
from baas.schema.actor import Actor
from baas.schema.admit import DepthLimit, admit_document
from baas.schema.values import Document, date_from_ms, encode

MAX_PROFILE_BYTES: Final = 16 * 1024
MAX_ROLES: Final = 64
MAX_USER_AGENT: Final = 256
_ROLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}", re.ASCII)
#: Whitespace, control and unassigned characters make names that look alike.
_REFUSED_CATEGORIES: Final = ("C", "Z")
#: Default_Ignorable_Code_Point, as far as the categories do not refuse them: fillers and variation
#: selectors, with which a second `ann` would look like the first.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def username_key(name: str, path: str = "username") -> str:
    """The form in which names are compared: NFKC, case folded, without what is not shown (Unicode
    15, 3.13: NFKC_Casefold).

    INVALID_ARGUMENT for whitespace and control characters. Letters of different scripts that
    look alike stay different names.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    key = unicodedata.normalize("NFKC", _UNSEEN.sub("", unicodedata.normalize("NFKC", folded)))
    if not key or any(unicodedata.category(c)[0] in _REFUSED_CATEGORIES for c in name + key):
        raise invalid(path, "must not be empty or hold spaces or control characters")
    return key


def identity_id(kind: str, subject: str) -> str:
    """The id under which a way to sign in is kept: unique for (kind, subject) by construction."""
    digest = hashlib.sha256(f"{kind}\0{subject}".encode()).digest()
    return f"{kind}-{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def name_identity(key: str) -> str:
    return identity_id("username", key)


def wechat_identity(who: WechatIdentity) -> str:
    return identity_id("wechat", f"{who.appid}\0{who.openid}")


def claim_identity(id: str, uid: str, method: str) -> Insert:
    """DuplicateKey where it belongs to someone already."""
    return insert(IDENTITIES, {"_id": id, "uid": uid, "method": method})


def password_entry(username: str) -> Document:
    """The member `password` of a user's `identities`."""
    return {"username": username}


def wechat_entry(who: WechatIdentity) -> Document:
    """The member `wechat` of a user's `identities`."""
    unionid = {"unionid": who.unionid} if who.unionid else {}
    return {"openid": who.openid, "appid": who.appid, **unionid}


def new_user(
    uid: str,
    login_type: str,
    now_ms: int,
    *,
    identities: Document | None = None,
    profile: Document | None = None,
    roles: tuple[str, ...] = (),
) -> Document:
    """`loginType` is that of the account itself; each session has its own."""
    now = date_from_ms(now_ms)
    return {
        "_id": uid,
        "loginType": login_type,
        "roles": list(roles),
        "disabled": False,
        "identities": identities or {},
        "profile": profile or {},
        "claims": {},
        "_createTime": now,
        "_updateTime": now,
    }


def changed(user: Document, now_ms: int, **members: Any) -> Document:
    return {**user, **members, "_updateTime": date_from_ms(now_ms)}


def admit_profile(raw: Document, limits: DepthLimit, now_ms: int, path: str) -> Document:
    """A profile in the kit's value model; INVALID_ARGUMENT or LIMIT_EXCEEDED otherwise."""
    profile = admit_document(raw, limits, now_ms=now_ms, path=path)
    check_profile_size(profile)
    return profile


def check_profile_size(profile: Document) -> None:
    if len(encode(profile)) > MAX_PROFILE_BYTES:
        raise Problem(Code.LIMIT_EXCEEDED, f"A profile may have {MAX_PROFILE_BYTES} bytes.")


def check_roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, without repeats; INVALID_ARGUMENT for what cannot be a role."""
    for role in roles:
        if not _ROLE.fullmatch(role):
            raise invalid("roles", f"{role!r} is not 1 to 64 letters, digits and _ . : -")
    if len(set(roles)) > MAX_ROLES:
        raise invalid("roles", f"at most {MAX_ROLES}")
    return tuple(sorted(set(roles)))


def shown(user: Document, login_type: str) -> User:
    """The user as its owner sees it; `login_type` is the session's."""
    return User(
        uid=user["_id"],
        login_type=login_type,
        roles=tuple(user["roles"]),
        profile=user["profile"],
        identities=user["identities"],
        create_time=user["_createTime"],
        username=user["identities"].get("password", {}).get("username"),
    )


def actor_of(user: Document, login_type: str, session: str | None) -> Actor:
    """The caller as rules see it. Its `cache_key` is a digest of exactly that."""
    wechat = user["identities"].get("wechat", {})
    actor = Actor(
        uid=user["_id"],
        openid=user["_id"],
        login_type=login_type,
        unionid=wechat.get("unionid"),
        appid=wechat.get("appid"),
        roles=tuple(user["roles"]),
        claims=user["claims"],
        identities=user["identities"],
        session=session,
    )
    return _keyed(actor)


def _keyed(actor: Actor) -> Actor:
    seen = hashlib.blake2b(encode(actor.as_rule_value()), digest_size=16).hexdigest()
    return msgspec.structs.replace(actor, cache_key=seen)


def bereft(actor: Actor) -> Actor:
    """The caller without what an account gives: it is no longer there, or disabled."""
    return _keyed(msgspec.structs.replace(actor, roles=(), claims={}, identities={}))


def account_gone() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "This account is no longer there.")


def account_disabled() -> Problem:
    return Problem(Code.PERMISSION_DENIED, "This account is disabled.")
