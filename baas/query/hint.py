"""Wording for a name that does not exist: the nearest one that does."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

#: A name longer than this is a mistake or an attack, not a typing error worth comparing.
_LONGEST: Final = 64


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """`unknown stage '$mach'; did you mean '$match'?`, shortened where the name is long."""
    shown = name if len(name) <= _LONGEST else name[:_LONGEST] + "…"
    near = get_close_matches(name, list(known), n=1) if len(name) <= _LONGEST else []
    return f"unknown {kind} '{shown}'" + (f"; did you mean '{near[0]}'?" if near else "")
