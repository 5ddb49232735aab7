"""Indexes made to fit what rule files declare, while everybody goes on writing.

A unique index is a key in the row (`values.unique_key`) under a sparse unique index of the server,
a text index a list of words. Writers keep both from the moment the catalogue names the index; then
the documents that were there before are gone through, some at a time, each time in a turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from baas.engines.mongo.catalogue import Catalogue, CollectionInfo, IndexInfo, wanted_indexes
from baas.engines.mongo.driver import Driver, Fault, PyMongoError, Row, UpdateOne, fault_of
from baas.engines.mongo.steps import Steps
from baas.engines.mongo.turns import Turn
from baas.engines.mongo.values import DERIVED, ID, JSON
from baas.engines.mongo.writer import Writer
from baas.errors import ConfigurationError
from baas.schema.model import CollectionSpec
from baas.schema.values import decode

#: Rows that get what is derived for an index in one turn, and that lose it.
_BATCH: Final = 200
_CLEARED: Final = 1000
Wanted = dict[str, dict[str, IndexInfo]]


class Indexes:
    def __init__(self, driver: Driver, writer: Writer) -> None:
        self._driver = driver
        self._writer = writer

    async def fit(self, collections: Mapping[str, CollectionSpec]) -> None:
        """ConfigurationError naming a unique index that meets duplicates; then nothing changed."""
        wanted = {name: wanted_indexes(spec) for name, spec in collections.items()}
        catalogue = await self._current()
        begun: list[tuple[str, IndexInfo]] = []
        try:
            for name, indexes in wanted.items():
                for index in _missing_derived(catalogue.get(name), indexes):
                    begun.append((name, index))
                    await self._add_derived(name, index)
        except BaseException:
            for name, index in begun:
                await self._remove_derived(name, index, name in catalogue.collections)
            raise
        for name, indexes in wanted.items():
            await self._fit_plain(name, indexes)

    async def _current(self) -> Catalogue:
        """As of a turn, whatever other gateways did meanwhile."""
        seen: list[Catalogue] = []

        async def look(turn: Turn, steps: Steps) -> None:
            seen.append(steps.catalogue.copy())

        await self._writer.exclusive(look)
        return seen[-1]

    # -- derived -----------------------------------------------------------------------------------

    async def _add_derived(self, name: str, index: IndexInfo) -> None:
        async def announce(turn: Turn, steps: Steps) -> None:
            info = steps.catalogue.get(name) or CollectionInfo(name)
            if index.physical not in {one.physical for one in info.indexes}:
                unready = msgspec.structs.replace(index, ready=False)
                steps.put_info(info.with_indexes((*info.indexes, unready)))

        await self._writer.exclusive(announce)
        last: str | None = ""
        while last is not None:
            last = await self._fill(name, index, last)
        await self._build(name, index)
        await self._writer.exclusive(_replacing(name, index))

    async def _fill(self, name: str, index: IndexInfo, after: str) -> str | None:
        """Gives some rows what is derived; the last id, or None where there are no more."""
        last: list[str | None] = []

        async def work(turn: Turn, steps: Steps) -> None:
            rows = await turn.driver.find(
                name, {ID: {"$gt": after}}, {JSON: 1}, session=turn.session,
                sort=[(ID, 1)], limit=_BATCH,
            )  # fmt: skip
            last.append(rows[-1][ID] if rows else None)
            keys = {row[ID]: index.derive(decode(bytes(row[JSON]))) for row in rows}
            if index.spec.unique:
                await self._refuse_duplicates(turn, name, index, keys)
            sets = [
                UpdateOne({ID: id}, {"$set": {index.field: key}}) for id, key in keys.items() if key
            ]
            await turn.driver.bulk(name, sets, session=turn.session)
            steps.aside |= bool(sets)

        await self._writer.exclusive(work)
        return last[-1]

    async def _refuse_duplicates(
        self, turn: Turn, name: str, index: IndexInfo, keys: Mapping[str, Any]
    ) -> None:
        wanted = [key for key in keys.values() if key is not None]
        found: list[Row] = []
        if wanted:
            found = await turn.driver.find(
                name, {index.field: {"$in": wanted}}, {DERIVED: 1}, session=turn.session
            )
        others = {bytes(row[DERIVED][index.physical]): row[ID] for row in found}
        taken: dict[bytes, str] = {}
        for id, key in keys.items():
            if key is not None and (
                taken.setdefault(bytes(key), id) != id or others.get(bytes(key), id) != id
            ):
                raise ConfigurationError(
                    f"{name}: the unique index {index.spec.name!r} meets documents that share a key"
                )

    async def _remove_derived(self, name: str, index: IndexInfo, existed: bool) -> None:
        """Unless another gateway, that declares the same, has finished it meanwhile."""

        async def work(turn: Turn, steps: Steps) -> None:
            info = steps.catalogue.get(name)
            if info is None or index in info.indexes:
                return
            rest = [one for one in info.indexes if one.physical != index.physical]
            empty = (
                not rest
                and not existed
                and not await turn.driver.find_one(
                    name, {}, projection={ID: 1}, session=turn.session
                )
            )
            if empty:
                steps.drop_info(name)
            else:
                steps.put_info(info.with_indexes(rest))

        await self._writer.exclusive(work)
        await self._clear(name, index)

    async def _clear(self, name: str, index: IndexInfo) -> None:
        """Rows lose what was derived for an index that is no more; all stays where another gateway
        has declared it again, which only a turn can tell."""
        while await self._clear_some(name, index):
            pass
        if not _names(self._writer.catalogue.get(name), index):
            await self._driver.drop_index(name, index.physical)

    async def _clear_some(self, name: str, index: IndexInfo) -> bool:
        """Whether there may be more."""
        cleared: list[Row] = []

        async def work(turn: Turn, steps: Steps) -> None:
            cleared.clear()
            if _names(steps.catalogue.get(name), index):
                return
            has: Row = {index.field: {"$exists": True}}
            cleared.extend(
                await turn.driver.find(name, has, {ID: 1}, session=turn.session, limit=_CLEARED)
            )
            some: Row = {ID: {"$in": [row[ID] for row in cleared]}}
            unset: Row = {"$unset": {index.field: ""}}
            await turn.driver.update_many(name, some, unset, session=turn.session)
            steps.aside |= bool(cleared)

        await self._writer.exclusive(work)
        return bool(cleared)

    # -- the rest ----------------------------------------------------------------------------------

    async def _fit_plain(self, name: str, wanted: dict[str, IndexInfo]) -> None:
        """Builds what is missing on the server, tells the catalogue, then drops what is left."""
        info = self._writer.catalogue.get(name)
        if not wanted and (info is None or not info.indexes):
            return
        known = {} if info is None else {index.physical: index for index in info.indexes}
        have = set(await self._driver.indexes(name))
        built = []
        for physical, index in wanted.items():
            index = known.get(physical, index)
            built.append(index if physical in have else await self._build(name, index))
        if info is None or set(info.indexes) != set(built):
            await self._writer.exclusive(_declaring(name, built))
        for physical, index in known.items():
            if index.is_derived and physical not in wanted:
                await self._clear(name, index)
        for physical in have - wanted.keys():
            await self._driver.drop_index(name, physical)

    async def _build(self, name: str, index: IndexInfo) -> IndexInfo:
        more: Row = {"sparse": True} if index.is_derived else {}
        if index.spec.unique:
            more["unique"] = True
        try:
            await self._driver.create_index(name, index.keys(), name=index.physical, **more)
        except PyMongoError as error:
            if fault_of(error) is not Fault.PARALLEL or index.single:
                raise
            return await self._build(name, msgspec.structs.replace(index, single=True))
        return index

    async def narrow(self, name: str, index: IndexInfo) -> None:
        """Builds the index on its first key alone, since two of its fields have arrays."""
        await self._driver.drop_index(name, index.physical)
        single = msgspec.structs.replace(index, single=True)
        await self._driver.create_index(name, single.keys(), name=index.physical)


def _names(info: CollectionInfo | None, index: IndexInfo) -> bool:
    """Whether the catalogue has it, finished or not."""
    return info is not None and any(one.physical == index.physical for one in info.indexes)


def _missing_derived(info: CollectionInfo | None, wanted: dict[str, IndexInfo]) -> list[IndexInfo]:
    have = {} if info is None else {index.physical: index for index in info.indexes}
    return [
        index
        for physical, index in wanted.items()
        if index.is_derived and (physical not in have or not have[physical].ready)
    ]


def _replacing(name: str, index: IndexInfo) -> Any:
    async def work(turn: Turn, steps: Steps) -> None:
        info = steps.catalogue.collections[name]
        rest = [one for one in info.indexes if one.physical != index.physical]
        steps.put_info(info.with_indexes((*rest, index)))

    return work


def _declaring(name: str, built: list[IndexInfo]) -> Any:
    async def work(turn: Turn, steps: Steps) -> None:
        info = steps.catalogue.get(name) or CollectionInfo(name)
        single = {index.physical for index in info.indexes if index.single}
        found = info.with_indexes(built)
        for physical in single:
            found = found.with_single(physical)
        steps.put_info(found)

    return work
