"""Who is calling: the verified identity behind a request, as rules and functions see it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.schema.values import Value


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """A caller.

    `uid` is None when nobody is signed in. `trusted` callers (functions, admin keys with the
    scope for it) bypass rules; `key` is the id of the admin key. `claims` is what `auth.claims`
    shows to rules. `cache_key` names everything a rule could see of this caller: two actors
    with one cache_key may share a reduced rule. `scopes` are an admin key's; `operator` is the
    name of the person whose session that key is, None for a key of a server.
    """

    uid: str | None = None
    login_type: str | None = None
    openid: str | None = None
    unionid: str | None = None
    appid: str | None = None
    roles: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    identities: dict[str, Any] = {}
    session: str | None = None
    trusted: bool = False
    key: str | None = None
    scopes: tuple[str, ...] = ()
    operator: str | None = None
    cache_key: str = ""

    def as_rule_value(self) -> Value:
        """`auth` in rules: None, or an object with the members of rules.md.

        A member without a value is left out (undefined in rules), not null.
        """
        if self.uid is None:
            return None
        members: dict[str, Any] = {
            "uid": self.uid,
            "openid": self.uid,
            "loginType": self.login_type,
            "unionid": self.unionid,
            "appid": self.appid,
            "roles": list(self.roles),
            "claims": self.claims,
            "identities": self.identities,
        }
        return {name: value for name, value in members.items() if value is not None}


NOBODY: Final = Actor(cache_key="-")
SERVER: Final = Actor(trusted=True, cache_key="!")
