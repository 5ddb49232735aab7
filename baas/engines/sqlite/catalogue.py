"""Which tables, indexes and multikey flags there are, as one connection's transaction sees them.

A collection's table is named `c<number>_<generation>`. Whatever makes a compiled statement wrong
(an index path met its first array, an index came or went) renames the table to the next
generation in the same transaction. So a statement compiled against an old catalogue, in this
process or another, fails with "no such table" instead of answering wrongly, and the engine
reloads and compiles again. Nothing has to be compared on the hot path.
"""

from __future__ import annotations

import re
import sys
from typing import Any, Final, TypeAlias

import apsw
import msgspec

from baas.engines.sqlite.keys import key_sql
from baas.errors import invalid
from baas.query.ast import Filter
from baas.schema.model import IndexSpec
from baas.schema.values import Document, Path

#: Paths that no write makes an array, whatever the rules say.
SCALAR_PATHS: Final[frozenset[Path]] = frozenset(
    {("_id",), ("_openid",), ("_createTime",), ("_updateTime",)}
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
#: Statement shapes remembered per collection; clients choose field names, so it is bounded.
_MAX_PLANS: Final = 500
#: Rules' filters whose statements are remembered per collection: about one per active caller.
_MAX_COMPILED: Final = 10_000


#: A statement and the parameters of its filter; what differs from call to call is bound behind.
Compiled: TypeAlias = tuple[str, tuple[Any, ...]]


def check_name(name: str) -> None:
    """INVALID_ARGUMENT for text that cannot name a collection. Reserved names pass."""
    if not _NAME.fullmatch(name):
        raise invalid("collection", "not the name of a collection")


class IndexInfo(msgspec.Struct, frozen=True):
    """An index that exists. `physical` is its name in SQLite."""

    physical: str
    spec: IndexSpec

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(key.path for key in self.spec.keys)


class Plan:
    """How one statement shape is run. `inline`: an index serves it, so the loop may."""

    __slots__ = ("details", "inline", "strikes")

    def __init__(self, inline: bool, details: tuple[str, ...]) -> None:
        self.inline = inline
        self.details = details
        self.strikes = 0


class CollectionInfo:
    """One generation of one collection; never changed, only replaced."""

    def __init__(
        self,
        number: int,
        name: str,
        generation: int,
        multikey: frozenset[Path],
        indexes: tuple[IndexInfo, ...],
    ) -> None:
        self.number = number
        self.name = name
        self.generation = generation
        self.table = f"c{number}_{generation}"
        self.multikey = multikey
        self.indexes = indexes
        #: The paths of ordinary indexes, which hold keys of values.
        self.indexed = indexed = frozenset(
            path for index in indexes if index.spec.kind == "plain" for path in index.paths
        )
        #: Paths on which no document has an array: their key is their only candidate.
        self.plain = indexed - multikey | SCALAR_PATHS
        #: The key expressions that an index can serve.
        self.index_keys = frozenset(key_sql(path) for path in indexed)
        #: Paths to look at on every write.
        self.tracked = tuple(sorted(indexed - multikey - SCALAR_PATHS))
        self.plans: dict[str, Plan] = {}
        self._compiled: dict[tuple[int, Any], tuple[Filter, Compiled]] = {}
        self.get_sql = f"SELECT CAST(doc AS BLOB) FROM {self.table} WHERE id=?"
        self.insert_sql = f"INSERT INTO {self.table}(id,doc) VALUES(?,?)"
        self.update_sql = f"UPDATE {self.table} SET doc=? WHERE id=?"
        self.delete_sql = f"DELETE FROM {self.table} WHERE id=?"

    def remember(self, sql: str, plan: Plan) -> None:
        if len(self.plans) >= _MAX_PLANS:
            self.plans.clear()
        self.plans[sql] = plan

    def compiled(self, filter: Filter, shape: Any) -> Compiled | None:
        """The statement of `shape` that was made of this very filter object, if there is one.

        The guard gives one caller the same object again and again; comparing filters by value
        would cost as much as compiling them.
        """
        known = self._compiled.get((id(filter), shape))
        return None if known is None else known[1]

    def keep_compiled(self, filter: Filter, shape: Any, statement: Compiled) -> None:
        """Remembers; holds on to the filter, so that its identity is not given to another."""
        if len(self._compiled) >= _MAX_COMPILED:
            self._compiled.clear()
        sql, params = statement
        self._compiled[id(filter), shape] = (filter, (sys.intern(sql), params))

    def new_arrays(self, document: Document) -> frozenset[Path]:
        """Tracked paths on which this document has an array."""
        return frozenset(path for path in self.tracked if has_array(document, path))


def has_array(document: Document, path: Path) -> bool:
    """Whether any value on the path, its end included, is an array."""
    value: Any = document
    for name in path:
        if type(value) is not dict:
            return type(value) is list
        value = value.get(name)
    return type(value) is list


class Catalogue:
    """All collections, as of one schema version."""

    def __init__(self, version: int, collections: dict[str, CollectionInfo]) -> None:
        self.version = version
        self.collections = collections
        self._folded = {name.lower(): name for name in collections}

    def get(self, name: str) -> CollectionInfo | None:
        return self.collections.get(name)

    def spelled_otherwise(self, name: str) -> str | None:
        """The name of an existing collection that differs from `name` in case alone."""
        other = self._folded.get(name.lower())
        return other if other != name else None


def schema_version(connection: apsw.Connection) -> int:
    """SQLite's counter of schema changes, by whichever process."""
    return int(connection.execute("PRAGMA schema_version").get)


def load(connection: apsw.Connection, old: Catalogue | None = None) -> Catalogue:
    """The catalogue as this connection sees it; collections that did not change are kept."""
    version = schema_version(connection)
    indexes: dict[int, list[IndexInfo]] = {}
    for number, physical, definition in connection.execute(
        "SELECT collection, physical, definition FROM baas_indexes ORDER BY physical"
    ):
        spec = msgspec.json.decode(definition, type=IndexSpec)
        indexes.setdefault(number, []).append(IndexInfo(physical, spec))
    collections = {}
    for number, name, generation, paths in connection.execute(
        "SELECT number, name, generation, multikey FROM baas_collections ORDER BY name"
    ):
        known = old.get(name) if old else None
        if known and known.number == number and known.generation == generation:
            collections[name] = known
            continue
        multikey = frozenset(msgspec.json.decode(paths, type=list[tuple[str, ...]]))
        found = tuple(indexes.get(number, ()))
        collections[name] = CollectionInfo(number, name, generation, multikey, found)
    return Catalogue(version, collections)
