"""`/v1/admin/collections`: what collections there are, with counts and indexes."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from baas.errors import Code, Problem
from baas.gateway.adminroutes.table import admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.ports.documents import resolve
from baas.rules.model import CollectionRules
from baas.schema.actor import Actor
from baas.schema.model import IndexSpec


class IndexInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`keys` as in a rule file: `{"author.name": 1}`."""

    name: str
    keys: dict[str, int]
    unique: bool = False
    kind: str = "plain"


class CollectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`file` is the rule file's name, None for a collection that none names any more: its
    documents are there, and nobody but admin keys reaches them. `documents` None: counting took
    too long."""

    name: str
    documents: int | None
    indexes: list[IndexInfo]
    file: str | None = None
    schema: dict[str, Any] | None = None
    ttl: str | None = None


class CollectionList(msgspec.Struct, frozen=True):
    collections: list[CollectionInfo]


async def _list(services: Services, actor: Actor, body: None) -> CollectionList:
    book = services.guard.book
    stored = await resolve(services.panel.store.names())
    names = {name for name in stored if not name.startswith("_")} | set(book.collections)
    return CollectionList([await _info(services, name) for name in sorted(names)])


async def _info(services: Services, name: str) -> CollectionInfo:
    rules = services.guard.book.collections.get(name)
    documents = await _count(services, name)
    if rules is None:
        return CollectionInfo(name=name, documents=documents, indexes=[])
    return described(rules, documents)


def described(rules: CollectionRules, documents: int | None) -> CollectionInfo:
    spec = rules.spec
    return CollectionInfo(
        name=spec.name,
        documents=documents,
        indexes=[_index(index) for index in spec.indexes],
        file=rules.file,
        schema=spec.schema,
        ttl=None if spec.ttl is None else ".".join(spec.ttl),
    )


def _index(index: IndexSpec) -> IndexInfo:
    keys = {".".join(key.path): -1 if key.descending else 1 for key in index.keys}
    return IndexInfo(name=index.name, keys=keys, unique=index.unique, kind=index.kind)


async def _count(services: Services, name: str) -> int | None:
    try:
        return await resolve(services.panel.store.count(name))
    except Problem as problem:
        if problem.code is not Code.QUERY_TIMEOUT:
            raise
        return None


ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "collections",
        "Collections, with how many documents they have and their indexes",
        "database:read",
        _list,
        None,
        CollectionList,
    ),
)
