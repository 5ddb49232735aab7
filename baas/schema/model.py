"""Collections as declared by their rule files, as far as engines and validation need them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from baas.schema.values import Path


class IndexKey(msgspec.Struct, frozen=True):
    path: Path
    descending: bool = False


class IndexSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An index. A unique one applies to documents that have every one of its fields (null counts
    as having it). `text` serves `$text` and says what it looks at: one per collection; `geo` has
    one key, and serves `$near`, `$geoWithin` and `$geoIntersects` there."""

    name: str
    keys: tuple[IndexKey, ...]
    unique: bool = False
    kind: Literal["plain", "text", "geo"] = "plain"


class CollectionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule file says of a collection apart from its rules.

    `schema` is JSON Schema 2020-12 with the kit's types `date` and `geo`, or None. `ttl` is the
    path of a date field: a document is removed once that date has passed.
    """

    name: str
    schema: dict[str, Any] | None = None
    indexes: tuple[IndexSpec, ...] = ()
    ttl: Path | None = None
