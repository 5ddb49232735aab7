"""`cloud.database()`: collections, queries, documents, transactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Generic, Literal, NoReturn, TypeAlias, TypeVar, Unpack
from urllib.parse import quote

from ..answers import (
    Added,
    AddedMany,
    AggregateAnswer,
    DocumentAnswer,
    QueryAnswer,
    Removed,
    Stats,
    Total,
    stats_of,
)
from ..command import Command, Condition, command, given, to_filter, to_update
from ..errors import ABORTED, BaasError
from ..ids import new_id
from ..options import CallOptions
from ..policy import Safety, pause_of
from ..values import Geo, RegExp, ServerDate, decode, encode
from .blocks import Run, pause
from .http import Http, parsed
from .live import Live, OnChange, OnError, Watch

Direction: TypeAlias = Literal["asc", "desc"]

R = TypeVar("R")
#: A document as it is read, as it is created, what may be changed of it, what may be asked of it,
#: and the dotted paths of its fields.
D = TypeVar("D")
C = TypeVar("C")
U = TypeVar("U")
W = TypeVar("W")
F = TypeVar("F", bound=str)

#: A transaction is tried so often.
TIMES: Final = 3


class BaseDatabase:
    """What every app's database has; the generated classes know its collections besides."""

    command: Final[Command] = command
    Geo: Final = Geo

    def __init__(self, http: Http, live: Live) -> None:
        self._http = http
        self._live = live

    @staticmethod
    def server_date(offset: int = 0) -> ServerDate:
        """The server's time at the write, plus milliseconds."""
        return ServerDate(offset)

    @staticmethod
    def RegExp(regexp: str, options: str = "") -> RegExp:
        """For filters; a pattern of `re.compile` does as well."""
        return RegExp(regexp, options)

    def _collection(self, name: str) -> Collection[Any, Any, Any, Any, Any]:
        return Collection(self._http, self._live, name)

    def _transact(self, kind: type[TX], run: Run[TX, R], times: int, options: CallOptions) -> R:
        tried = 0
        while True:
            tried += 1
            transaction = kind(self._http, options)
            result = run(transaction)
            try:
                transaction.commit()
            except BaasError as fault:
                if fault.code != "TRANSACTION_CONFLICT" or tried >= times:
                    raise
                pause(pause_of(None, tried))
            else:
                return result


class Database(BaseDatabase):
    """Of an app of which nothing is known."""

    def collection(self, name: str) -> Collection[Any, Any, Any, Any, Any]:
        return self._collection(name)

    def run_transaction(
        self, run: Run[Transaction, R], times: int = TIMES, **options: Unpack[CallOptions]
    ) -> R:
        """Reads, then writes all together or not at all. What was read must be unchanged when it is
        written: else the whole is run again, `times` times in all. `run` should do nothing else."""
        return self._transact(Transaction, run, times, options)


class Query(Generic[D, U, W, F]):
    """What is asked; every method that narrows it gives a new one."""

    def __init__(
        self,
        http: Http,
        live: Live,
        name: str,
        asked: Mapping[str, Any] | None = None,
    ) -> None:
        self._http = http
        self._live = live
        self._name = name
        self._asked: Mapping[str, Any] = asked or {}

    def where(self, condition: W | Condition) -> Query[D, U, W, F]:
        """A second `where` narrows the first."""
        found, before = to_filter(condition), self._asked.get("filter")
        return self._with(filter=found if before is None else {"$and": [before, found]})

    def order_by(self, field: F, direction: Direction = "asc") -> Query[D, U, W, F]:
        step = [field, -1 if direction == "desc" else 1]
        return self._with(sort=[*self._asked.get("sort", ()), step])

    def limit(self, most: int) -> Query[D, U, W, F]:
        return self._with(limit=most)

    def skip(self, documents: int) -> Query[D, U, W, F]:
        return self._with(skip=documents)

    def after(self, next: str) -> Query[D, U, W, F]:
        """The page behind `next` of an answer to the same query."""
        return self._with(after=next)

    def field(self, fields: Mapping[F, bool | Literal[0, 1]]) -> Query[D, U, W, F]:
        """Which members to fetch: all true, or all false."""
        return self._with(fields=_projection(fields))

    def with_total(self) -> Query[D, U, W, F]:
        """`get` also tells how many match in all."""
        return self._with(count=True)

    def get(self, **options: Unpack[CallOptions]) -> QueryAnswer[D]:
        found = self._call("find", dict(self._asked), "read", options)
        return QueryAnswer(decode(found["documents"]), found["next"], found.get("total"))

    def all(self, **options: Unpack[CallOptions]) -> Iterator[D]:
        """Every document, page by page."""
        query: Query[D, U, W, F] = self
        while True:
            page = query.get(**options)
            for document in page.data:
                yield document
            if page.next is None:
                return
            query = self.after(page.next)

    def count(self, **options: Unpack[CallOptions]) -> Total:
        body = given({"filter": self._asked.get("filter")})
        return Total((self._call("count", body, "read", options))["total"])

    def update(self, data: U, **options: Unpack[CallOptions]) -> Stats:
        """Changes every document that matches; `limit`, `skip` and `after` are refused."""
        self._refuse("update", "limit", "skip", "after")
        body = {"filter": self._filter(), "update": _update(data), "multi": True}
        return stats_of(self._call("update", body, "key", options))

    def remove(self, **options: Unpack[CallOptions]) -> Removed:
        """Removes every document that matches; `limit`, `skip` and `after` are refused."""
        self._refuse("remove", "limit", "skip", "after")
        body = {"filter": self._filter(), "multi": True}
        return Removed((self._call("delete", body, "key", options))["deleted"])

    def watch(
        self, on_change: OnChange[D] | None = None, on_error: OnError | None = None
    ) -> Watch[D]:
        """The result now, and whenever it changes: given to `on_change`, or taken by iterating.
        Takes no `skip` and no `after`."""
        self._refuse("watch", "skip", "after")
        asked = {name: self._asked.get(name) for name in ("filter", "sort", "limit", "fields")}
        return self._live.watch({"collection": self._name, **given(asked)}, on_change, on_error)

    def _refuse(self, call: str, *names: str) -> None:
        """What would go unheard, and mean more documents than were meant."""
        for name in names:
            if name in self._asked:
                raise BaasError("INVALID_ARGUMENT", f"{call} takes no {name}")

    def _filter(self) -> Any:
        return self._asked.get("filter", {})

    def _with(self, **more: Any) -> Query[D, U, W, F]:
        return Query(self._http, self._live, self._name, {**self._asked, **more})

    def _call(self, verb: str, body: Any, safety: Safety, options: CallOptions) -> Any:
        return self._http.post(_path(self._name, verb), body, safety, **options)


class Collection(Query[D, U, W, F], Generic[D, C, U, W, F]):
    def doc(self, id: str) -> DocumentReference[D, C, U, F]:
        return DocumentReference(self._http, self._live, self._name, id)

    def add(self, document: C, **options: Unpack[CallOptions]) -> Added:
        """A new document; its `_id` is made here where it has none, so that a repeat changes
        nothing."""
        named = _named(document)
        self._call("insert", {"document": named}, "key", options)
        return Added(named["_id"])

    def add_many(self, documents: Sequence[C], **options: Unpack[CallOptions]) -> AddedMany:
        """All of them or none."""
        named = [_named(document) for document in documents]
        self._call("insert", {"documents": named}, "key", options)
        return AddedMany([document["_id"] for document in named])

    def aggregate(self) -> Aggregate:
        return Aggregate(self._http, self._name, ())


class DocumentReference(Generic[D, C, U, F]):
    def __init__(
        self,
        http: Http,
        live: Live,
        name: str,
        id: str,
        fields: dict[str, int] | None = None,
    ) -> None:
        self._http = http
        self._live = live
        self._name = name
        self.id = id
        self._fields = fields

    def field(self, fields: Mapping[F, bool | Literal[0, 1]]) -> DocumentReference[D, C, U, F]:
        """Which members `get` fetches: all true, or all false."""
        return DocumentReference(self._http, self._live, self._name, self.id, _projection(fields))

    def get(self, **options: Unpack[CallOptions]) -> DocumentAnswer[D]:
        """NOT_FOUND where it is not there, or not for this caller."""
        body = given({"id": self.id, "fields": self._fields})
        found = self._http.post(_path(self._name, "get"), body, "read", **options)
        return DocumentAnswer(decode(found))

    def update(self, data: U, **options: Unpack[CallOptions]) -> Stats:
        body = {"id": self.id, "update": _update(data)}
        return stats_of(self._call("update", body, options))

    def set(self, document: C, **options: Unpack[CallOptions]) -> Stats:
        """Replaces it whole, or makes it."""
        body = {"id": self.id, "document": encode(document), "upsert": True}
        return stats_of(self._call("replace", body, options))

    def remove(self, **options: Unpack[CallOptions]) -> Removed:
        return Removed((self._call("delete", {"id": self.id}, options))["deleted"])

    def watch(
        self, on_change: OnChange[D] | None = None, on_error: OnError | None = None
    ) -> Watch[D]:
        query = {"collection": self._name, "filter": {"_id": self.id}}
        return self._live.watch(query, on_change, on_error)

    def _call(self, verb: str, body: Any, options: CallOptions) -> Any:
        return self._http.post(_path(self._name, verb), body, "key", **options)


class Aggregate:
    """A pipeline. Stages that are not here: `stage({"$facet": ...})`."""

    def __init__(self, http: Http, name: str, stages: tuple[Any, ...]) -> None:
        self._http = http
        self._name = name
        self._stages = stages

    def stage(self, stage: Mapping[str, Any]) -> Aggregate:
        return Aggregate(self._http, self._name, (*self._stages, encode(stage)))

    def match(self, condition: Any) -> Aggregate:
        return self.stage({"$match": to_filter(condition)})

    def project(self, fields: Mapping[str, Any]) -> Aggregate:
        return self.stage({"$project": fields})

    def add_fields(self, fields: Mapping[str, Any]) -> Aggregate:
        return self.stage({"$addFields": fields})

    def group(self, groups: Mapping[str, Any]) -> Aggregate:
        return self.stage({"$group": groups})

    def sort(self, fields: Mapping[str, Literal[1, -1]]) -> Aggregate:
        return self.stage({"$sort": fields})

    def limit(self, most: int) -> Aggregate:
        return self.stage({"$limit": most})

    def skip(self, documents: int) -> Aggregate:
        return self.stage({"$skip": documents})

    def unwind(self, path: str | Mapping[str, Any]) -> Aggregate:
        return self.stage({"$unwind": path})

    def count(self, name: str) -> Aggregate:
        return self.stage({"$count": name})

    def sort_by_count(self, expression: Any) -> Aggregate:
        return self.stage({"$sortByCount": expression})

    def lookup(self, options: Mapping[str, Any]) -> Aggregate:
        return self.stage({"$lookup": options})

    def replace_root(self, new_root: Any) -> Aggregate:
        return self.stage({"$replaceRoot": {"newRoot": new_root}})

    def sample(self, size: int) -> Aggregate:
        return self.stage({"$sample": {"size": size}})

    def bucket(self, options: Mapping[str, Any]) -> Aggregate:
        return self.stage({"$bucket": options})

    def end(self, **options: Unpack[CallOptions]) -> AggregateAnswer:
        body = {"pipeline": list(self._stages)}
        path = _path(self._name, "aggregate")
        found = self._http.post(path, body, "read", **options)
        return AggregateAnswer(decode(found["documents"]))


# -- transactions ----------------------------------------------------------------------------------


class BaseTransaction:
    """Reads at once, keeps writes until `commit`. A document is read before it is written."""

    def __init__(self, http: Http, options: CallOptions) -> None:
        self._http = http
        self._options = options
        self._operations: list[dict[str, Any]] = []
        self._expected: dict[tuple[str, str], str | None] = {}

    def _collection(self, name: str) -> TransactionCollection[Any, Any, Any]:
        return TransactionCollection(self, name)

    def rollback(self, reason: BaseException | None = None) -> NoReturn:
        """Ends the transaction without writing."""
        raise reason or BaasError(ABORTED, "The transaction was rolled back.")

    def commit(self) -> None:
        """Called by `run_transaction`."""
        if not self._operations:
            return
        body: dict[str, Any] = {"operations": self._operations}
        if self._expected:
            body["expect"] = [
                {"collection": name, "id": id, "etag": etag}
                for (name, id), etag in self._expected.items()
            ]
        self._http.post("/v1/database/transaction", body, "key", **self._options)

    def read(self, name: str, id: str) -> Any:
        """Called by documents. None where there is no such document."""
        if self._operations:
            raise BaasError("INVALID_ARGUMENT", "A transaction reads before it writes.")
        path = f"/v1/database/{quote(name, safe='')}/documents/{quote(id, safe='')}"
        try:
            answer = self._http.send("GET", path, None, "read", **self._options)
        except BaasError as fault:
            if fault.code != "NOT_FOUND":
                raise
            self._expect(name, id, None)
            return None
        self._expect(name, id, answer.headers["etag"])
        return decode(parsed(answer))

    def write(self, name: str, verb: str, **body: Any) -> None:
        """Called by documents."""
        self._operations.append({"collection": name, "verb": verb, **body})

    def _expect(self, name: str, id: str, etag: str | None) -> None:
        before = self._expected.setdefault((name, id), etag)
        if before != etag:
            raise BaasError("TRANSACTION_CONFLICT", f"{name}/{id} changed between two reads.")


TX = TypeVar("TX", bound=BaseTransaction)


class Transaction(BaseTransaction):
    """In an app of which nothing is known."""

    def collection(self, name: str) -> TransactionCollection[Any, Any, Any]:
        return self._collection(name)


class TransactionCollection(Generic[D, C, U]):
    def __init__(self, transaction: BaseTransaction, name: str) -> None:
        self._transaction = transaction
        self._name = name

    def doc(self, id: str) -> TransactionDocument[D, C, U]:
        return TransactionDocument(self._transaction, self._name, id)

    def add(self, document: C) -> Added:
        named = _named(document)
        self._transaction.write(self._name, "insert", document=named)
        return Added(named["_id"])


class TransactionDocument(Generic[D, C, U]):
    def __init__(self, transaction: BaseTransaction, name: str, id: str) -> None:
        self._transaction = transaction
        self._name = name
        self._id = id

    def get(self) -> DocumentAnswer[D | None]:
        """`data` is None where there is no such document."""
        return DocumentAnswer(self._transaction.read(self._name, self._id))

    def update(self, data: U) -> None:
        self._transaction.write(self._name, "update", id=self._id, update=_update(data))

    def set(self, document: C) -> None:
        self._transaction.write(
            self._name, "replace", id=self._id, document=encode(document), upsert=True
        )

    def remove(self) -> None:
        self._transaction.write(self._name, "delete", id=self._id)


def _path(name: str, verb: str) -> str:
    return f"/v1/database/{quote(name, safe='')}/{verb}"


def _projection(fields: Mapping[F, bool | Literal[0, 1]]) -> dict[str, int]:
    return {path: 1 if wanted else 0 for path, wanted in fields.items()}


def _named(document: Any) -> dict[str, Any]:
    encoded: dict[str, Any] = encode(document)
    return encoded if encoded.get("_id") is not None else {**encoded, "_id": new_id()}


def _update(data: Any) -> dict[str, Any]:
    return to_update(data)
