"""What people at the admin panel may do: a role is a name for a set of scopes."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from baas.auth.scopes import SCOPES
from baas.errors import denied
from baas.schema.actor import Actor

Role: TypeAlias = Literal["owner", "developer", "viewer"]

#: A developer does everything but change who people are; a viewer changes nothing.
SCOPES_OF: Final[dict[Role, tuple[str, ...]]] = {
    "owner": tuple(sorted(SCOPES)),
    "developer": tuple(sorted(SCOPES - {"users:write"})),
    "viewer": tuple(sorted(scope for scope in SCOPES if scope.endswith(":read"))),
}


def require_at_least(actor: Actor, scopes: tuple[str, ...]) -> None:
    """PERMISSION_DENIED unless the caller's key has every one of `scopes`: nobody gives, takes or
    replaces rights that go beyond their own."""
    missing = sorted(set(scopes) - set(actor.scopes))
    if missing:
        raise denied(f"That goes beyond your own rights, which lack {', '.join(missing)}.")
