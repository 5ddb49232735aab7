"""The documents of every measurement: the same for the floor and for the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from baas.schema.values import date_from_ms

#: Documents of one owner, so that a list of 20 is a part of what its owner has.
PER_OWNER: Final = 100
_START_MS: Final = 1_790_000_000_000
_WORDS: Final = "a note about nothing in particular, long enough to weigh what notes weigh "


def owner_of(position: int, owners: list[str], number: int) -> str:
    """The callers' uids first, then invented ones: each owns `PER_OWNER` documents, spread out."""
    owner = position % max(1, number // PER_OWNER)
    return owners[owner] if owner < len(owners) else f"somebody{owner:08d}"


def document_id(position: int) -> str:
    return f"n{position:09d}"


def document(position: int, owner: str) -> dict[str, Any]:
    """About 360 bytes of JSON."""
    time = date_from_ms(_START_MS + position * 1000)
    return {
        "_id": document_id(position),
        "_openid": owner,
        **content(position),
        "_createTime": time,
        "_updateTime": time,
    }


def content(position: int) -> dict[str, Any]:
    """What a client sends of it."""
    return {
        "title": f"note number {position}",
        "text": _WORDS * 2,
        "tags": ["one", "two"],
        "stars": position % 5,
        "done": position % 3 == 0,
    }


def documents(number: int, owners: list[str]) -> Iterator[dict[str, Any]]:
    for position in range(number):
        yield document(position, owner_of(position, owners, number))


def positions_of(owner: int, number: int) -> range:
    """Where the documents of the `owner`th caller stand."""
    return range(owner, number, max(1, number // PER_OWNER))
