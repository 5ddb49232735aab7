"""What it costs to find documents by words and by places, with and without an index.

    python -m bench.searches [--documents 100000] [--repeats 20]

The store alone, without rules and HTTP. CPU is this process's, user and system, all its threads,
per find; documents are about 500 bytes, half Chinese, their places spread over a city of 50 km.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import Any, Final

from baas.engines.sqlite.store import SqliteStore
from baas.ports.documents import Find, Insert, WriteInfo, resolve
from baas.query.ast import Filter
from baas.query.limits import DEFAULT_LIMITS
from baas.query.near import default_sort, with_text_index
from baas.query.parse import parse_filter
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, encode
from baas.settings import DatabaseSettings

_BATCH: Final = 1000
_PAGE: Final = 21
#: Seconds; a gateway would give up reading through a collection on a busy machine.
_PATIENCE: Final = 120
_TEXT: Final = (("title",), ("text",))
_INDEXES: Final = (
    IndexSpec(name="words", keys=tuple(map(IndexKey, _TEXT)), kind="text"),
    IndexSpec(name="places", keys=(IndexKey(("at",)),), kind="geo"),
)
_CENTER: Final = {"type": "Point", "coordinates": [121.47, 31.23]}
_SQUARE: Final = [
    [121.46, 31.22],
    [121.48, 31.22],
    [121.48, 31.24],
    [121.46, 31.24],
    [121.46, 31.22],
]
#: One document in a thousand has "jasmine", one in ten "tea"; runs of characters are made up.
_FINDS: Final[dict[str, dict[str, Any]]] = {
    "$text, 1 in 1,000": {"$text": {"$search": "jasmine"}},
    "$text, 1 in 10": {"$text": {"$search": "tea"}},
    "$text, a phrase, 1 in 1,000 of 1 in 10": {"$text": {"$search": '"jasmine tea"'}},
    "$text, three characters": {"$text": {"$search": "茉莉花"}},
    "$near, the nearest 21": {"at": {"$near": {"$geometry": _CENTER}}},
    "$near, within 1 km": {"at": {"$near": {"$geometry": _CENTER, "$maxDistance": 1000}}},
    "$geoWithin, 2 km square": {
        "at": {"$geoWithin": {"$geometry": {"type": "Polygon", "coordinates": [_SQUARE]}}}
    },
}


def _document(number: int, dice: random.Random) -> Document:
    characters = "".join(chr(dice.randrange(0x4E00, 0x5200)) for _ in range(60))
    words = [f"w{dice.randrange(5000)}" for _ in range(20)]
    if number % 10 == 0:
        words[3:3] = ["jasmine", "tea"] if number % 1000 == 0 else ["green", "tea"]
    if number % 1000 == 1:
        characters = characters[:30] + "茉莉花茶" + characters[30:]
    return {
        "_id": f"d{number:06d}",
        "_openid": f"u{number % 1000}",
        "title": " ".join(words[:5]),
        "text": " ".join(words[5:]) + "。" + characters,
        "at": {
            "type": "Point",
            "coordinates": [121.47 + dice.gauss(0, 0.12), 31.23 + dice.gauss(0, 0.1)],
        },
    }


async def _fill(store: SqliteStore, collection: str, count: int) -> float:
    """CPU microseconds per insert."""
    dice = random.Random(7)
    documents = [_document(number, dice) for number in range(count)]
    began = time.process_time()
    for start in range(0, count, _BATCH):
        steps = tuple(
            Insert(collection=collection, id=one["_id"], document=one, body=encode(one))
            for one in documents[start : start + _BATCH]
        )
        await store.write(steps, WriteInfo())
    return (time.process_time() - began) / count * 1e6


async def _measure(store: SqliteStore, collection: str, filter: Filter, repeats: int) -> float:
    """CPU milliseconds per find of a page."""
    query = Find(collection=collection, filter=filter, sort=default_sort(filter), limit=_PAGE)
    await resolve(store.find(query))
    began = time.process_time()
    for _ in range(repeats):
        await resolve(store.find(query))
    return (time.process_time() - began) / repeats * 1e3


async def _main(documents: int, repeats: int) -> None:
    store = SqliteStore.memory(DatabaseSettings(read_timeout=_PATIENCE))
    await store.open()
    await store.declare({"indexed": CollectionSpec(name="indexed", indexes=_INDEXES)})
    for collection in ("bare", "indexed"):
        print(f"insert, {collection}: {await _fill(store, collection, documents):.0f} us")
    print("| find | indexed, ms | not, ms |\n|---|---|---|")
    for name, raw in _FINDS.items():
        filter = with_text_index(parse_filter(raw, DEFAULT_LIMITS, now_ms=0, whole=True), _TEXT)
        indexed = await _measure(store, "indexed", filter, repeats)
        bare = await _measure(store, "bare", filter, 1)
        print(f"| {name} | {indexed:.2f} | {bare:.0f} |")
    await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=20)
    asked = parser.parse_args()
    asyncio.run(_main(asked.documents, asked.repeats))
