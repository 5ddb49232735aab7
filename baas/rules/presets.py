"""`acl:` presets: the four that cloud-dev users know, as the texts they stand for."""

from __future__ import annotations

from typing import Final

_OWNER: Final = "doc._openid == auth.uid"
_SIGNED_IN: Final = "auth != null"

#: Operation to rule text. What a preset does not name is denied.
PRESETS: Final[dict[str, dict[str, str]]] = {
    "READONLY": {"read": "true", "create": _SIGNED_IN, "update": _OWNER, "delete": _OWNER},
    "PRIVATE": {"read": _OWNER, "create": _SIGNED_IN, "update": _OWNER, "delete": _OWNER},
    "ADMINWRITE": {"read": "true"},
    "ADMINONLY": {},
}
