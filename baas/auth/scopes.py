"""What an admin key may do: scopes such as `database:read`, or `*` for everything."""

from __future__ import annotations

from typing import Final

from baas.errors import denied, invalid
from baas.schema.actor import Actor

AREAS: Final = ("database", "storage", "users", "functions", "push", "settings")
EVERYTHING: Final = "*"
SCOPES: Final = frozenset(f"{area}:{level}" for area in AREAS for level in ("read", "write"))


def parse_scopes(given: tuple[str, ...]) -> tuple[str, ...]:
    """Sorted, without repeats, `*` spelt out; INVALID_ARGUMENT for an unknown one or none."""
    if not given:
        raise invalid("scopes", "at least one is needed")
    for scope in given:
        if scope != EVERYTHING and scope not in SCOPES:
            known = ", ".join(AREAS)
            raise invalid("scopes", f"no scope {scope!r}; use '*', or :read or :write of {known}")
    return tuple(sorted(SCOPES if EVERYTHING in given else set(given)))


def require_scope(actor: Actor, scope: str) -> None:
    """PERMISSION_DENIED for an admin key without `scope`; `:write` does not stand for `:read`.

    Callers without an admin key pass: rules hold them, not scopes. A key that acts as a user is
    held by both.
    """
    if actor.key is not None and scope not in actor.scopes:
        raise denied(f"The admin key lacks the scope {scope}.")
