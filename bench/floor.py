"""The floor: what the hot verbs cost with no kit around them, on the same server and SQLite.

One plain ASGI dispatcher on uvicorn (httptools, uvloop), as in the third row of the design's
performance page. It does what no honest gateway can leave out: bodies are decoded and checked
for form, the bearer token is looked up, a compiled owner rule becomes part of the SQL, and a
write is durable (WAL, synchronous FULL, group commit, a savepoint and a change feed row each)
before it is answered. It has no schemas, masks, cursors, limits, logs or metrics: the difference
to the gateway's cost is what those are paid with.

    python -m bench.floor --data FOLDER --documents 100000 --tokens FILE [--port 0]

`FILE` maps bearer token to uid (JSON). Prints one JSON line, {"port": ..., "pid": ...}, when it
listens. The documents are made by `bench.documents`, those of the gateway too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import apsw
import msgspec
import uvicorn
import uvloop

from baas.clock import SystemClock
from baas.ids import new_id
from baas.schema.values import date_from_ms
from bench.documents import documents

COLLECTION: Final = "notes"
OWNER: Final = "json_extract(doc, '$._openid')"
CREATED: Final = "json_extract(doc, '$._createTime')"
GET: Final = f"SELECT doc FROM {COLLECTION} WHERE id = ? AND {OWNER} = ?"
#: A blob spares decoding text that is joined and sent as bytes.
LIST: Final = (
    f"SELECT CAST(doc AS BLOB) FROM {COLLECTION} WHERE {OWNER} = ? "
    f"ORDER BY {CREATED} DESC, id LIMIT ?"
)
INSERT: Final = f"INSERT INTO {COLLECTION} (id, doc) VALUES (?, ?)"
UPDATE: Final = f"UPDATE {COLLECTION} SET doc = ? WHERE id = ?"
FEED: Final = (
    "INSERT INTO feed (batch, time, collection, op, id, before, after, actor) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SCHEMA: Final = f"""
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 0;
CREATE TABLE {COLLECTION} (id TEXT PRIMARY KEY, doc TEXT NOT NULL);
CREATE INDEX owner ON {COLLECTION} ({OWNER}, {CREATED} DESC, id);
CREATE TABLE feed (seq INTEGER PRIMARY KEY, batch INTEGER, time INTEGER, collection TEXT, op TEXT,
                   id TEXT, before TEXT, after TEXT, actor TEXT);
"""
CHECKPOINT_SECONDS: Final = 0.5
#: A WAL longer than this is emptied between two groups, so that it starts over: 32 MiB.
WAL_PAGES: Final = 8192

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Verb = Callable[[bytes, str], "bytes | Awaitable[bytes]"]
Write = Callable[[apsw.Connection, int, int], bytes]


class GetBody(msgspec.Struct, forbid_unknown_fields=True):
    id: str


class FindBody(msgspec.Struct, forbid_unknown_fields=True):
    filter: dict[str, Any] = {}
    sort: dict[str, int] = {}
    limit: int = 100


class InsertBody(msgspec.Struct, forbid_unknown_fields=True):
    document: dict[str, Any]


class UpdateBody(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    update: dict[str, dict[str, Any]]


class Writer:
    """Group commit: statements run in the loop, COMMIT in a thread, no lingering.

    While one group is being committed the next one gathers; a write is answered once the group
    that holds it is on the disk.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Write, asyncio.Future[bytes]]] = []
        self._thread = ThreadPoolExecutor(1)
        self._busy = False
        self._batch = 0
        self._wal_pages = 0
        connection.set_wal_hook(self._note_wal)

    def submit(self, write: Write) -> asyncio.Future[bytes]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if not self._busy:
            self._begin()
        return future

    def _begin(self) -> None:
        group, self._waiting = self._waiting, []
        self._busy = True
        self._batch += 1
        time = SystemClock().now_ms()
        self._connection.execute("BEGIN IMMEDIATE")
        done = [(future, self._one(write, time)) for write, future in group]
        loop = asyncio.get_running_loop()
        commit = loop.run_in_executor(self._thread, self._commit)
        commit.add_done_callback(lambda outcome: self._end(outcome, done))

    def _commit(self) -> None:
        self._connection.execute("COMMIT")
        if self._wal_pages > WAL_PAGES:
            _checkpoint(self._connection)

    def _note_wal(self, _connection: object, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _one(self, write: Write, time: int) -> bytes | Exception:
        self._connection.execute("SAVEPOINT one")
        try:
            answer: bytes | Exception = write(self._connection, self._batch, time)
        except (apsw.Error, LookupError) as fault:
            self._connection.execute("ROLLBACK TO one")
            answer = fault
        self._connection.execute("RELEASE one")
        return answer

    def _end(
        self,
        outcome: asyncio.Future[Any],
        done: list[tuple[asyncio.Future[bytes], bytes | Exception]],
    ) -> None:
        failure = outcome.exception()
        for future, answer in done:
            if failure or isinstance(answer, Exception):
                future.set_exception(failure or answer)  # type: ignore[arg-type]
            else:
                future.set_result(answer)
        self._busy = False
        if self._waiting:
            self._begin()


class Floor:
    """The ASGI app."""

    def __init__(self, file: Path, tokens: dict[str, str]) -> None:
        self.reader = _connect(file)
        self.writer = Writer(_connect(file))
        self.callers = {b"Bearer " + token.encode(): uid for token, uid in tokens.items()}
        self.verbs: dict[str, Verb] = {
            f"/v1/database/{COLLECTION}/{name}": verb
            for name, verb in (
                ("get", self.get),
                ("find", self.find),
                ("insert", self.insert),
                ("update", self.update),
            )
        }
        self._get = msgspec.json.Decoder(GetBody)
        self._find = msgspec.json.Decoder(FindBody)
        self._insert = msgspec.json.Decoder(InsertBody)
        self._update = msgspec.json.Decoder(UpdateBody)
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder().decode

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        verb = self.verbs.get(scope["path"])
        caller = self._caller(scope["headers"])
        if verb is None or scope["method"] != "POST":
            status, answer = 404, b"{}"
        elif caller is None:
            status, answer = 401, b"{}"
        else:
            message = await receive()
            body = message["body"]
            while message["more_body"]:
                message = await receive()
                body += message["body"]
            status, answer = await _outcome(verb, body, caller)
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", str(len(answer)).encode()),
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    def _caller(self, headers: list[tuple[bytes, bytes]]) -> str | None:
        for name, value in headers:
            if name == b"authorization":
                return self.callers.get(value)
        return None

    def get(self, body: bytes, caller: str) -> bytes:
        row = self.reader.execute(GET, (self._get.decode(body).id, caller)).get
        if row is None:
            raise LookupError
        return row.encode()  # type: ignore[no-any-return]

    def find(self, body: bytes, caller: str) -> bytes:
        asked = self._find.decode(body)
        if asked.sort != {"_createTime": -1} or asked.filter:
            raise ValueError("the floor knows one query")
        rows = [row for (row,) in self.reader.execute(LIST, (caller, asked.limit))]
        return b'{"documents":[' + b",".join(rows) + b'],"next":null}'

    def insert(self, body: bytes, caller: str) -> Awaitable[bytes]:
        document = self._insert.decode(body).document
        id = new_id()
        time = date_from_ms(SystemClock().now_ms())
        stored = {
            "_id": id,
            "_openid": caller,
            **document,
            "_createTime": time,
            "_updateTime": time,
        }
        text = self._encode(stored).decode()
        answer = self._encode({"ids": [id]})

        def write(connection: apsw.Connection, batch: int, now: int) -> bytes:
            connection.execute(INSERT, (id, text))
            connection.execute(FEED, (batch, now, COLLECTION, "insert", id, None, text, caller))
            return answer

        return self.writer.submit(write)

    def update(self, body: bytes, caller: str) -> Awaitable[bytes]:
        asked = self._update.decode(body)
        changes = asked.update["$set"]

        def write(connection: apsw.Connection, batch: int, now: int) -> bytes:
            before = connection.execute(GET, (asked.id, caller)).get
            if before is None:
                raise LookupError
            document = self._decode(before)
            document.update(changes, _updateTime=date_from_ms(now))
            after = self._encode(document).decode()
            connection.execute(UPDATE, (after, asked.id))
            connection.execute(
                FEED, (batch, now, COLLECTION, "update", asked.id, before, after, caller)
            )
            return b'{"matched":1,"modified":1,"upsertedId":null}'

        return self.writer.submit(write)


async def _outcome(verb: Verb, body: bytes, caller: str) -> tuple[int, bytes]:
    try:
        answer = verb(body, caller)
        return 200, answer if isinstance(answer, bytes) else await answer
    except LookupError:
        return 404, b"{}"
    except (msgspec.MsgspecError, ValueError):
        return 400, b"{}"


def _connect(file: Path) -> apsw.Connection:
    connection = apsw.Connection(str(file))
    connection.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0").fetchall()
    # A connection that has not read yet does not know of the WAL: its checkpoints do nothing.
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    return connection


def fill(file: Path, number: int, owners: list[str]) -> None:
    """Makes the database with `number` documents."""
    connection = apsw.Connection(str(file))
    connection.execute(SCHEMA).fetchall()
    rows = ((d["_id"], msgspec.json.encode(d).decode()) for d in documents(number, owners))
    with connection:
        connection.executemany(INSERT, rows)
    connection.execute("ANALYZE")
    connection.close()


def _checkpoint(connection: apsw.Connection) -> None:
    with suppress(apsw.BusyError):  # the other of the two is at it
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


def _checkpoint_forever(file: Path, stop: threading.Event) -> None:
    connection = _connect(file)
    while not stop.wait(CHECKPOINT_SECONDS):
        _checkpoint(connection)


async def _serve(app: Floor, listener: socket.socket, file: Path) -> None:
    config = uvicorn.Config(
        app,
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, setattr, server, "should_exit", True)
    stop = threading.Event()
    checkpointer = threading.Thread(target=_checkpoint_forever, args=(file, stop))
    checkpointer.start()
    print(json.dumps({"port": listener.getsockname()[1], "pid": os.getpid()}), flush=True)
    await server._serve([listener])
    stop.set()
    checkpointer.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--tokens", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    file = options.data / "floor.db"
    tokens: dict[str, str] = json.loads(options.tokens.read_text())
    if not file.exists():
        fill(file, options.documents, list(tokens.values()))
    listener = socket.create_server(("127.0.0.1", options.port), backlog=2048)
    app = Floor(file, tokens)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, listener, file))


if __name__ == "__main__":
    main()
