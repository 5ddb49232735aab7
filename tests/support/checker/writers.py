"""Those who write: documents at random, messages by number, letters into inboxes."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any, Final

from tests.support.checker.targets import Caller

#: Documents that there are about so many of.
POOL: Final = 40
_TAGS: Final = ("a", "b", "c")
_FAT: Final = 20_000


class Items:
    """The ids that are thought to be there: shared by all writers, right or not."""

    def __init__(self, random: Random, name: str) -> None:
        self.random = random
        self._name = name
        self._count = 0
        self.ids: list[str] = []

    def fresh(self) -> str:
        """An id that is never used again, so that a document's `v` only grows."""
        self._count += 1
        id = f"{self._name}-{self._count}"
        self.ids.append(id)
        return id

    def some(self) -> str:
        return self.random.choice(self.ids)


class Writer:
    def __init__(self, caller: Caller, items: Items, random: Random, pause: float) -> None:
        self._caller = caller
        self._items = items
        self._random = random
        self._pause = pause
        self.writes = 0

    async def run(self) -> None:
        while True:
            path, body = self._transaction() if self._random.random() < 0.15 else self._write()
            answer = await self._caller.do(path, body)
            if answer is None:
                await asyncio.sleep(0.1)
            elif answer.status_code == 200:
                self.writes += 1
            elif answer.status_code not in (403, 404, 409, 503):
                raise AssertionError(f"{path} {body}: {answer.status_code} {answer.text}")
            await asyncio.sleep(self._random.random() * self._pause)

    def _transaction(self) -> tuple[str, Any]:
        operations = []
        for _ in range(self._random.randint(2, 5)):
            path, body = self._write()
            operations.append({"collection": "items", "verb": path.rpartition("/")[2], **body})
        return "/v1/database/transaction", {"operations": operations}

    def _write(self) -> tuple[str, Any]:
        items, random = self._items, self._random
        few = len(items.ids) < POOL
        if few or random.random() < 0.1:
            return "/v1/database/items/insert", {
                "document": {"_id": items.fresh(), **self._fields()}
            }
        id = items.some()
        if random.random() < 0.12:
            items.ids.remove(id)
            return "/v1/database/items/delete", {"filter": {"_id": id}}
        update = {"$inc": {"v": 1}, "$set": self._some_fields()}
        if random.random() < 0.1:
            update["$unset"] = {"tags": ""}
            update["$set"].pop("tags", None)
        body: dict[str, Any] = {"update": update}
        if random.random() < 0.05:
            body |= {"filter": {"n": random.randint(0, 9)}, "multi": True}
        else:
            body["filter"] = {"_id": id}
        return "/v1/database/items/update", body

    def _some_fields(self) -> dict[str, Any]:
        fields = self._fields()
        del fields["v"]
        keep = self._random.sample(sorted(fields), self._random.randint(1, len(fields)))
        return {name: fields[name] for name in keep}

    def _fields(self) -> dict[str, Any]:
        random = self._random
        text = "x" * (_FAT if random.random() < 0.08 else random.randint(0, 20))
        return {
            "v": 0,
            "n": random.randint(0, 9),
            "open": random.random() < 0.7,
            "tag": random.choice(_TAGS),
            "tags": random.sample(_TAGS, random.randint(0, 3)),
            "secret": random.randint(0, 5),
            "text": text,
        }


class Letters:
    """Numbered messages into one user's inbox; `confirmed` are those that were durable."""

    def __init__(self, caller: Caller, uid: str, random: Random, pause: float) -> None:
        self._caller = caller
        self._uid = uid
        self._random = random
        self._pause = pause
        self._count = 0
        self.confirmed: set[int] = set()

    async def run(self) -> None:
        while True:
            self._count += 1
            order = {"user": self._uid, "event": "letter", "data": self._count}
            key = self._caller.target.key
            answer = await self._caller.ask("/v1/admin/push/send", order, key)
            if answer is None:
                await asyncio.sleep(1)  # it may be on its way, and the next is not to overtake it
            elif answer.status_code == 200:
                self.confirmed.add(self._count)
            await asyncio.sleep(self._random.random() * self._pause)
