"""What the makers of manifests have in common."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.functions.export.plan import Planned

ENTRY: Final = "baas_entry"
FOLDER: Final = "functions"
_GATEWAY: Final = ("BAAS_URL", "BAAS_KEY")


class Made(msgspec.Struct, frozen=True):
    """A manifest: its file's name and what stands in it. `extra` are files that go with it."""

    name: str
    document: dict[str, Any]
    extra: dict[str, str] = {}


def handler_of(one: Planned) -> str:
    """`module.attribute`, below `code_of`: of the entry file, or a handler of that cloud's own."""
    return one.handler if one.direct else f"{ENTRY}.{one.identifier}"


def code_of(one: Planned) -> str:
    """The folder of its code: of its own files, so that they import each other as they do here."""
    return f"./{FOLDER}" if one.direct else "."


def variables_of(one: Planned) -> list[str]:
    """Environment variables whose values are set there, never exported."""
    if one.direct:
        return []
    return [*_GATEWAY, *(f"BAAS_SECRET_{name}" for name in one.secrets)]
