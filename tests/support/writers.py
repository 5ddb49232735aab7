"""Writers that know what their own documents must be, whatever happens to the gateway meanwhile.

Each has documents of its own and one write under way at a time. So after a crash its documents are
what they were before that write or after it, to the letter, and nothing else is right.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

import httpx

from tests.support.gateway import Gateway

Json = dict[str, Any]
Documents = dict[str, Json]

#: `load` holds the writers' documents, found by their writer; `shared` one number for all.
LOAD_APP: Final = {
    "rules/load.yaml": (
        "collection: load\n"
        "rules: {read: auth != null, write: auth != null}\n"
        "indexes: [{fields: [w]}, {fields: [tags]}, {fields: [n, _id]}]\n"
    ),
    "rules/shared.yaml": ("collection: shared\nrules: {read: auth != null, write: auth != null}\n"),
}
#: What a load needs that is no test of limits.
UNLIMITED: Final = {"BAAS_LIMITS__RATE_WRITE": "off", "BAAS_LIMITS__RATE_READ": "off"}
MOST_DOCUMENTS: Final = 40
MOVES: Final = "moves"
WAIT_SECONDS: Final = 30.0
_SERVER_FIELDS: Final = ("_openid", "_createTime", "_updateTime")


@dataclass(frozen=True)
class Write:
    """A request and what it does to its writer's documents, which `apply` may change in place."""

    path: str
    body: Json
    apply: Callable[[Documents], object]
    key: str | None

    def send(self, client: httpx.Client) -> httpx.Response:
        headers = {} if self.key is None else {"idempotency-key": self.key}
        return client.post(self.path, json=self.body, headers=headers)

    def applied(self, documents: Documents) -> Documents:
        after = deepcopy(documents)
        self.apply(after)
        return after


class Writer:
    """Writes one random thing after the other until the gateway goes away or `halt` is set."""

    def __init__(self, number: int, seed: int, url: str, token: str) -> None:
        self.number = number
        self.tally = f"tally-{number}"
        self.documents: Documents = {self.tally: {"_id": self.tally, "n": 0}}
        #: What they were from the beginning, the present ones at last.
        self.history: list[Documents] = [self.documents]
        self.pending: Write | None = None
        self.answered: tuple[Write, bytes] | None = None
        self.acknowledged = 0
        self.fault: str | None = None
        self._random = random.Random(f"{seed}/{number}")
        self._made = 0
        self.connect(url, token)

    def connect(self, url: str, token: str) -> None:
        headers = {"authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=url, headers=headers, timeout=20, trust_env=False)

    def run(self, progress: Callable[[], None], halt: threading.Event) -> None:
        try:
            while not halt.is_set() and self.fault is None:
                self._write(self._next())
                progress()
        except httpx.TransportError:
            return
        except Exception as fault:
            self.fault = repr(fault)
        finally:
            self.client.close()

    def _write(self, write: Write) -> None:
        self.pending = write
        answer = write.send(self.client)
        if answer.status_code != 200:
            self.fault = f"{write.path}: {answer.status_code} {answer.text}"
            return
        self.documents = write.applied(self.documents)
        self.history.append(self.documents)
        self.pending = None
        self.acknowledged += 1
        if write.key is not None:
            self.answered = (write, answer.content)

    # -- what it may do next -----------------------------------------------------------------------

    def _next(self) -> Write:
        full, empty = len(self.documents) >= MOST_DOCUMENTS, len(self.documents) < 5
        kinds = [self._insert, self._insert_three, self._upsert_new] if empty else self._kinds(full)
        path, body, apply = self._random.choice(kinds)()
        key = self._new_id("k") if self._random.random() < 0.5 else None
        return Write(f"/v1/database/{path}", body, apply, key)

    def _kinds(self, full: bool) -> list[Callable[[], tuple[str, Json, Any]]]:
        more = [self._insert, self._insert_three, self._upsert_new]
        less = [self._delete, self._delete_three]
        change = [self._increase, self._increase_all, self._upsert_old, self._replace, self._move]
        return change * 2 + [self._push] + less + ([] if full else more)

    def _new_id(self, prefix: str = "d") -> str:
        self._made += 1
        return f"{prefix}{self.number}-{self._made}"

    def _some(self, count: int) -> list[str]:
        return self._random.sample(sorted(self.documents.keys() - {self.tally}), count)

    def _new(self) -> Json:
        return {"_id": self._new_id(), "w": self.number, "n": self._random.randrange(100)}

    def _insert(self) -> tuple[str, Json, Any]:
        new = self._new()
        return "load/insert", {"document": new}, lambda all: all.update({new["_id"]: new})

    def _insert_three(self) -> tuple[str, Json, Any]:
        new = [self._new() for _ in range(3)]
        by_id = {one["_id"]: one for one in new}
        return "load/insert", {"documents": new}, lambda all: all.update(deepcopy(by_id))

    def _upsert_new(self) -> tuple[str, Json, Any]:
        new = self._new()
        rest = {name: value for name, value in new.items() if name != "_id"}
        body = {"id": new["_id"], "update": {"$set": rest}, "upsert": True}
        return "load/update", body, lambda all: all.update({new["_id"]: dict(new)})

    def _upsert_old(self) -> tuple[str, Json, Any]:
        [id] = self._some(1)
        update = {"$inc": {"n": 1}, "$setOnInsert": {"w": -1}}
        body = {"filter": {"_id": id, "w": self.number}, "update": update, "upsert": True}
        return "load/update", body, lambda all: _add(all[id], 1)

    def _increase(self) -> tuple[str, Json, Any]:
        [id] = self._some(1)
        return "load/update", {"id": id, "update": {"$inc": {"n": 1}}}, lambda all: _add(all[id], 1)

    def _increase_all(self) -> tuple[str, Json, Any]:
        body = {"filter": {"w": self.number}, "update": {"$inc": {"n": 1}}, "multi": True}
        return "load/update", body, lambda all: [_add(one, 1) for one in all.values() if "w" in one]

    def _push(self) -> tuple[str, Json, Any]:
        """The first of these gives the collection another shape: an array under an index."""
        [id], tag = self._some(1), self._new_id("t")
        body = {"id": id, "update": {"$push": {"tags": {"$each": [tag], "$slice": -3}}}}
        return "load/update", body, lambda all: _push(all[id], tag)

    def _replace(self) -> tuple[str, Json, Any]:
        [id] = self._some(1)
        new = {**self._new(), "_id": id}
        body = {"id": id, "document": new}
        return "load/replace", body, lambda all: all.update({id: dict(new)})

    def _delete(self) -> tuple[str, Json, Any]:
        [id] = self._some(1)
        return "load/delete", {"id": id}, lambda all: all.pop(id)

    def _delete_three(self) -> tuple[str, Json, Any]:
        ids = self._some(3)
        body = {"filter": {"_id": {"$in": ids}}, "multi": True}
        return "load/delete", body, lambda all: [all.pop(id) for id in ids]

    def _move(self) -> tuple[str, Json, Any]:
        """From one to another, a new one beside them; counted by itself and by all writers."""
        (source, target), new = self._some(2), self._new()
        operations = [
            _increase("load", source, -1),
            _increase("load", target, 1),
            {"collection": "load", "verb": "insert", "document": new},
            _increase("load", self.tally, 1),
            _increase("shared", MOVES, 1),
        ]

        def apply(all: Documents) -> None:
            for id, amount in ((source, -1), (target, 1), (self.tally, 1)):
                _add(all[id], amount)
            all[new["_id"]] = dict(new)

        return "transaction", {"operations": operations}, apply

    # -- what is there -----------------------------------------------------------------------------

    def found(self) -> Documents:
        """Its documents as the gateway has them, without what the server adds."""
        filter = {"$or": [{"w": self.number}, {"_id": self.tally}]}
        answer = self.client.post("/v1/database/load/find", json={"filter": filter, "limit": 1000})
        assert answer.status_code == 200, answer.text
        return {one["_id"]: without_server_fields(one) for one in answer.json()["documents"]}


def without_server_fields(document: Json) -> Json:
    return {name: value for name, value in document.items() if name not in _SERVER_FIELDS}


def _increase(collection: str, id: str, amount: int) -> Json:
    update = {"$inc": {"n": amount}}
    return {"collection": collection, "verb": "update", "id": id, "update": update}


def _add(document: Json, amount: int) -> None:
    document["n"] += amount


def _push(document: Json, tag: str) -> None:
    document["tags"] = [*document.get("tags", []), tag][-3:]


class Load:
    """Several writers at once."""

    def __init__(self, gateway: Gateway, token: str, seed: int, count: int = 6) -> None:
        self.token = token
        self.writers = [Writer(number, seed, gateway.url, token) for number in range(count)]
        self.halt = threading.Event()
        self._progress = threading.Condition()
        self._threads: list[threading.Thread] = []
        tallies = [writer.documents[writer.tally] for writer in self.writers]
        self._make(gateway, "load", tallies)
        self._make(gateway, "shared", [{"_id": MOVES, "n": 0}])

    def _make(self, gateway: Gateway, collection: str, documents: list[Json]) -> None:
        path = f"/v1/database/{collection}/insert"
        made = gateway.post(path, {"documents": documents}, token=self.token)
        assert made.status_code == 200, made.text

    @property
    def acknowledged(self) -> int:
        return sum(writer.acknowledged for writer in self.writers)

    @property
    def tallies(self) -> int:
        return sum(writer.documents[writer.tally]["n"] for writer in self.writers)

    def start(self, *gateways: Gateway) -> None:
        """Each writer at one of the gateways, in turn."""
        self.halt.clear()
        for number, writer in enumerate(self.writers):
            writer.connect(gateways[number % len(gateways)].url, self.token)
        self._threads = [
            threading.Thread(target=writer.run, args=(self._tell, self.halt))
            for writer in self.writers
        ]
        for thread in self._threads:
            thread.start()

    def _tell(self) -> None:
        with self._progress:
            self._progress.notify_all()

    def wait_for(self, acknowledged: int) -> None:
        """Until so many more writes have been acknowledged; fails where none come any more."""
        goal = self.acknowledged + acknowledged
        with self._progress:
            arrived = self._progress.wait_for(lambda: self.acknowledged >= goal, WAIT_SECONDS)
        assert arrived, [writer.fault for writer in self.writers]

    def join(self) -> None:
        """Until every writer has ended, by `halt` or because the line is dead."""
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
            assert not thread.is_alive()
        assert [writer.fault for writer in self.writers] == [None] * len(self.writers)
