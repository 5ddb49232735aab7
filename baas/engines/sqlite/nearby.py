"""Text and geo indexes: candidates for what a filter asks exactly.

A text index is an FTS5 table of the tokens of `baas.query.text`, a geo index an R*Tree of boxes in
space around geometries; their rows have the numbers of the documents' rows. Both only narrow down:
each candidate is asked again by the evaluator. Only where every word searched for is a token as it
is does the text index decide by itself.

Triggers keep them in the transaction of the write, whoever writes. Both tables have names that
begin with `c`, as those of collections: where one is gone, a statement made before is known to be
stale (`connection.is_stale`).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

from baas.engines.sqlite.keys import json_path, quote
from baas.query import ast, geo, shapes, sphere, text
from baas.query.evaluate import candidates, texts_of
from baas.schema.values import Path, decode, encode

if TYPE_CHECKING:
    from baas.engines.sqlite.catalogue import IndexInfo
    from baas.engines.sqlite.compile import Compiler

#: SQL functions: `baas_tokens(json, paths)`, tokens with spaces between; `baas_box(json, path)`,
#: a JSON list of six bounds, or of none where there is nothing to be found.
TOKENS: Final = "baas_tokens"
BOX: Final = "baas_box"
_BOUNDS: Final = ("x0", "x1", "y0", "y1", "z0", "z1")
_MATCH: Final = " MATCH "
#: Tokens of one phrase that candidates are looked up by; more would narrow them down no further.
_MOST_TOKENS: Final = 8
#: Words are cut and folded before, so that the tokenizer has only spaces to find.
_TABLES: Final = {
    "text": "CREATE VIRTUAL TABLE {} USING fts5(words, content='', contentless_delete=1,"
    " detail=none, tokenize='ascii')",
    "geo": f"CREATE VIRTUAL TABLE {{}} USING rtree(id, {', '.join(_BOUNDS)})",
}


def document_tokens(json: str, paths: str) -> str:
    where = tuple(tuple(path) for path in decode(paths.encode()))
    return " ".join(sorted(text.tokens(texts_of(decode(json), where))))


def document_box(json: str, path: str) -> str:
    values = candidates(decode(json), tuple(decode(path.encode())))
    found = (shapes.shape_of(value) for value in values)
    boxes = [box for shape in found if shape is not None and (box := shapes.box_of(shape))]
    return encode(list(sphere.union(boxes)) if boxes else []).decode()


# -- tables ----------------------------------------------------------------------------------------


def table_of(index: IndexInfo) -> str:
    return f"c{index.physical}"


def creation(table: str, index: IndexInfo) -> list[str]:
    """The statements that make an index of the documents that there are, and triggers that carry
    it on. An update that leaves the indexed fields as they are does not touch it."""
    own = table_of(index)
    tops = dict.fromkeys(json_path(path[:1]) for path in index.paths)
    changed = " OR ".join(
        f"json_extract(old.doc,{top}) IS NOT json_extract(new.doc,{top})" for top in tops
    )
    fill, added = (_texts if index.spec.kind == "text" else _boxes)(table, index)
    gone = f"DELETE FROM {own} WHERE rowid=old.rowid"
    return [
        _TABLES[index.spec.kind].format(own),
        fill,
        f"CREATE TRIGGER {own}_i AFTER INSERT ON {table} BEGIN {added}; END",
        f"CREATE TRIGGER {own}_d AFTER DELETE ON {table} BEGIN {gone}; END",
        f"CREATE TRIGGER {own}_u AFTER UPDATE ON {table} WHEN {changed} BEGIN {gone}; {added}; END",
    ]


def removal(index: IndexInfo) -> list[str]:
    own = table_of(index)
    triggers = [f"DROP TRIGGER IF EXISTS {own}_{event}" for event in "idu"]
    return [*triggers, f"DROP TABLE IF EXISTS {own}"]


def _texts(table: str, index: IndexInfo) -> tuple[str, str]:
    """Filling from all documents, and from one that is new."""
    insert = f"INSERT INTO {table_of(index)}(rowid,words) SELECT"
    paths = quote(encode([list(path) for path in index.paths]).decode())
    return (
        f"{insert} rowid,{TOKENS}(doc,{paths}) FROM {table}",
        f"{insert} new.rowid,{TOKENS}(new.doc,{paths})",
    )


def _boxes(table: str, index: IndexInfo) -> tuple[str, str]:
    # One call gives all six: as an aggregate it cannot be flattened into six calls.
    bounds = ",".join(f"max(CASE b.key WHEN {at} THEN b.value END)" for at in range(len(_BOUNDS)))
    insert = f"INSERT INTO {table_of(index)} SELECT"
    path = quote(encode(list(index.paths[0])).decode())
    return (
        f"{insert} {table}.rowid,{bounds} FROM {table}, json_each({BOX}(doc,{path})) b "
        f"GROUP BY {table}.rowid",
        f"{insert} new.rowid,{bounds} FROM json_each({BOX}(new.doc,{path})) b "
        f"HAVING count(*)={len(_BOUNDS)}",
    )


# -- candidates ------------------------------------------------------------------------------------


def text_candidates(to: Compiler, node: ast.TextSearch) -> list[str]:
    """A condition that every document fulfils that the search finds; none without an index."""
    for index in to.collection.indexes:
        if index.spec.kind == "text" and index.paths == node.paths:
            own = table_of(index)
            rows = f"SELECT rowid FROM {own} WHERE {own}{_MATCH}{to.bind(_match(node))}"
            return [f"{to.collection.table}.rowid IN ({rows})"]
    return []


def is_search(sql: str) -> bool:
    """Whether a statement asks a text index. That may join long lists at one step, which no budget
    stops: 60 ms for a character that 100,000 documents have. So it is never run on the event loop.
    """
    return _MATCH in sql


def is_exact(node: ast.TextSearch) -> bool:
    """Whether the candidates are what is found: no phrase, no run of three, nothing excluded."""
    needles = (*node.some, *node.every)
    return bool(needles) and not node.none and all(map(text.is_token, needles))


def _match(node: ast.TextSearch) -> str:
    """FTS5's own query language; tokens are letters and digits alone."""
    parts = [_tokens_match(needle) for needle in node.every]
    if node.some:
        parts.append(f"({' OR '.join(map(_tokens_match, node.some))})")
    return " AND ".join(parts) or '""'


def _tokens_match(needle: str) -> str:
    wanted = islice(text.wanted_tokens(needle), _MOST_TOKENS)
    return "(" + " AND ".join(f'"{token}"{" *" * start}' for token, start in wanted) + ")"


def geo_candidates(to: Compiler, path: Path, region: geo.Region) -> list[str]:
    for index in to.collection.indexes:
        if index.spec.kind == "geo" and index.paths == (path,):
            box = geo.search_box(region)
            return [] if box is None else [_overlapping(to, table_of(index), box)]
    return []


def _overlapping(to: Compiler, own: str, box: sphere.Box) -> str:
    tests = []
    for low in range(0, len(_BOUNDS), 2):
        tests.append(f"{_BOUNDS[low]}<={to.bind(box[low + 1])}")
        tests.append(f"{_BOUNDS[low + 1]}>={to.bind(box[low])}")
    return f"{to.collection.table}.rowid IN (SELECT id FROM {own} WHERE {' AND '.join(tests)})"
