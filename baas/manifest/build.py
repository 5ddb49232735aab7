"""The manifest of an app, put together from its rules and its functions."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas import __version__
from baas.functions.model import Release
from baas.manifest.audiences import Access, Audience, access_of, audiences
from baas.manifest.functions import Function, functions_of
from baas.rules.channelsfile import ChannelOperation, ChannelRules
from baas.rules.model import CollectionRules, RuleBook
from baas.rules.storagefile import FileOperation, StorageRules

#: Grows when a reader of the older form would misread the newer.
MANIFEST_VERSION: Final = 1


class Collection(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`schema` is the collection's JSON Schema (kinds `date` and `geo` beside the standard's), or
    None: anything. `access` by audience."""

    schema: dict[str, Any] | None = None
    access: dict[str, Access]


class Bucket(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Files whose paths fit `path` (`{name}` one segment, `{name...}` the rest)."""

    path: str
    operations: tuple[str, ...]


class Channel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Channels whose names fit `channel` (`{name}` captures)."""

    channel: str
    operations: tuple[str, ...]
    history: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`schemas` are those that functions refer to. Equal apps give equal texts."""

    manifest: int = MANIFEST_VERSION
    kit: str = __version__
    app: str
    audiences: tuple[str, ...]
    collections: dict[str, Collection]
    functions: dict[str, Function]
    schemas: dict[str, Any]
    storage: tuple[Bucket, ...]
    channels: tuple[Channel, ...]


def build_manifest(
    app: str,
    book: RuleBook,
    storage: StorageRules,
    channels: ChannelRules,
    release: Release | None,
) -> Manifest:
    """`release` None: an app without functions."""
    kinds = audiences(book)
    functions, schemas = ({}, {}) if release is None else functions_of(release)
    return Manifest(
        app=app,
        audiences=tuple(kinds),
        collections={
            name: _collection(rules, kinds) for name, rules in sorted(book.collections.items())
        },
        functions=dict(sorted(functions.items())),
        schemas=dict(sorted(schemas.items())),
        storage=tuple(
            Bucket(
                path=entry.path,
                operations=tuple(one.value for one in FileOperation if one in entry.rules),
            )
            for entry in storage.entries
        ),
        channels=tuple(
            Channel(
                channel=entry.channel,
                operations=tuple(one.value for one in ChannelOperation if one in entry.rules),
                history=entry.history is not None,
            )
            for entry in channels.entries
        ),
    )


def _collection(rules: CollectionRules, kinds: dict[str, Audience]) -> Collection:
    return Collection(
        schema=rules.spec.schema,
        access={name: access_of(rules, audience) for name, audience in kinds.items()},
    )
