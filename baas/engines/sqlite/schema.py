"""The tables of the data folder, and the changes to them. All run on the writer's connection,
inside its transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import apsw
import msgspec

from baas.engines.sqlite import nearby
from baas.engines.sqlite.catalogue import CollectionInfo, IndexInfo, check_name
from baas.engines.sqlite.jobtables import create_job_tables
from baas.engines.sqlite.keys import json_path, key_sql
from baas.errors import ConfigurationError, invalid
from baas.ids import new_id
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Path

#: Tells a file of this kit from any other ("baas" in ASCII); PRAGMA application_id.
APPLICATION_ID: Final = 0x62616173

# baas_feed.offset: bytes of images in all rows before, as in a stream. So how much is held from
# any row on is a subtraction.
_TABLES: Final = """
CREATE TABLE baas_meta(key TEXT PRIMARY KEY NOT NULL, value NOT NULL) WITHOUT ROWID;
CREATE TABLE baas_collections(
  number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE,
  generation INTEGER NOT NULL DEFAULT 1, multikey TEXT NOT NULL DEFAULT '[]');
CREATE TABLE baas_indexes(
  physical TEXT PRIMARY KEY NOT NULL, collection INTEGER NOT NULL, definition TEXT NOT NULL);
CREATE TABLE baas_feed(
  seq INTEGER PRIMARY KEY, tx INTEGER, time INTEGER NOT NULL, offset INTEGER NOT NULL,
  collection TEXT NOT NULL, id TEXT NOT NULL, before BLOB, after BLOB, actor TEXT,
  depth INTEGER NOT NULL);
CREATE TABLE baas_once(
  key TEXT PRIMARY KEY NOT NULL, fingerprint BLOB NOT NULL, answer BLOB NOT NULL,
  expires INTEGER NOT NULL);
CREATE INDEX baas_once_expires ON baas_once(expires);
"""


def create_tables(connection: apsw.Connection) -> None:
    connection.execute(_TABLES)
    create_job_tables(connection)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    new_epoch(connection)


def new_epoch(connection: apsw.Connection) -> None:
    """Makes every cursor into the feed given out so far too old."""
    connection.execute("INSERT OR REPLACE INTO baas_meta VALUES('feed_epoch',?)", (new_id(),))


def create_collection(connection: apsw.Connection, name: str, other: str | None) -> None:
    """An empty collection. INVALID_ARGUMENT where `other` has the name but for its case."""
    check_name(name)
    if other is not None:
        raise invalid("collection", f"{other} exists, and names differ by more than their case")
    connection.execute("INSERT INTO baas_collections(name) VALUES(?)", (name,))
    number = connection.last_insert_rowid()
    connection.execute(f"CREATE TABLE c{number}_1(id TEXT PRIMARY KEY NOT NULL, doc TEXT NOT NULL)")


def next_generation(
    connection: apsw.Connection, info: CollectionInfo, multikey: Iterable[Path]
) -> None:
    """Renames the table, so that nothing compiled before can run, and keeps the flags."""
    after = info.generation + 1
    connection.execute(f"ALTER TABLE {info.table} RENAME TO c{info.number}_{after}")
    connection.execute(
        "UPDATE baas_collections SET generation=?, multikey=? WHERE number=?",
        (after, msgspec.json.encode(sorted(multikey)).decode(), info.number),
    )


# -- indexes ---------------------------------------------------------------------------------------


def wanted_indexes(spec: CollectionSpec) -> dict[str, IndexSpec]:
    """What the declaration asks for, by physical name: a digest, so any change is another index."""
    specs = list(spec.indexes)
    plain = [index for index in specs if index.kind == "plain"]
    if spec.ttl and not any(index.keys[0].path == spec.ttl for index in plain):
        specs.append(IndexSpec(name="ttl", keys=(IndexKey(spec.ttl),)))
    return {_physical(spec.name, index): index for index in specs}


def _physical(collection: str, spec: IndexSpec) -> str:
    text = collection.lower().encode() + b"\0" + msgspec.json.encode(spec)
    return "i" + hashlib.blake2b(text, digest_size=12).hexdigest()


def fit_indexes(
    connection: apsw.Connection, info: CollectionInfo, wanted: dict[str, IndexSpec]
) -> bool:
    """Drops and builds until the collection has the wanted indexes; whether anything changed."""
    have = {index.physical: index for index in info.indexes}
    for physical in have.keys() - wanted.keys():
        _drop(connection, have[physical])
    for physical, spec in wanted.items():
        if physical not in have:
            _build(connection, info, IndexInfo(physical, spec))
    if have.keys() == wanted.keys():
        return False
    paths = {key.path for spec in wanted.values() if spec.kind == "plain" for key in spec.keys}
    fresh = paths - info.indexed
    kept = (info.multikey & paths) - fresh
    arrays = {path for path in fresh if _any_array(connection, info.table, path)}
    next_generation(connection, info, kept | arrays)
    return True


def _drop(connection: apsw.Connection, index: IndexInfo) -> None:
    for statement in _removal(index):
        connection.execute(statement)
    connection.execute("DELETE FROM baas_indexes WHERE physical=?", (index.physical,))


def _removal(index: IndexInfo) -> list[str]:
    if index.spec.kind != "plain":
        return nearby.removal(index)
    return [f"DROP INDEX IF EXISTS {index.physical}{part}" for part in ("", "n")]


def _build(connection: apsw.Connection, info: CollectionInfo, index: IndexInfo) -> None:
    try:
        for statement in index_ddl(info.table, index):
            connection.execute(statement)
    except apsw.ConstraintError:
        raise ConfigurationError(
            f"{info.name}: the unique index {index.spec.name!r} meets documents that share a key"
        ) from None
    definition = msgspec.json.encode(index.spec).decode()
    connection.execute(
        "INSERT INTO baas_indexes VALUES(?,?,?)", (index.physical, info.number, definition)
    )


def index_ddl(table: str, index: IndexInfo) -> list[str]:
    """The statements that make an index.

    A unique one leaves out documents that lack a field, and counts null as a value. In SQL's
    unique indexes NULLs, which are the keys of both, differ from each other; so a small partial
    index beside it holds the documents with a null, and in it a null has a key of its own.
    """
    if index.spec.kind != "plain":
        return nearby.creation(table, index)
    columns = [_column(key) for key in index.spec.keys]
    if not index.spec.unique:
        return [f"CREATE INDEX {index.physical} ON {table}({','.join([*columns, 'id'])})"]
    some_null = " OR ".join(f"{_json_type(key)}='null'" for key in index.spec.keys)
    nulls = ",".join(
        f"CASE {_json_type(key)} WHEN 'null' THEN x'01' ELSE {key_sql(key.path)} END"
        for key in index.spec.keys
    )
    return [
        f"CREATE UNIQUE INDEX {index.physical} ON {table}({','.join(columns)})",
        f"CREATE UNIQUE INDEX {index.physical}n ON {table}({nulls}) WHERE {some_null}",
    ]


def _column(key: IndexKey) -> str:
    column = "id" if key.path == ("_id",) else key_sql(key.path)
    return f"{column} DESC" if key.descending else column


def _json_type(key: IndexKey) -> str:
    return f"json_type(doc,{json_path(key.path)})"


def _any_array(connection: apsw.Connection, table: str, path: Path) -> bool:
    test = array_test(path)
    return bool(connection.execute(f"SELECT EXISTS(SELECT 1 FROM {table} WHERE {test})").get)


def array_test(path: Path, json: str = "doc") -> str:
    """SQL: whether any value on the path, its end included, is an array."""
    prefixes = (path[: end + 1] for end in range(len(path)))
    return " OR ".join(f"json_type({json},{json_path(prefix)})='array'" for prefix in prefixes)
