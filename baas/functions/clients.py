"""`ctx.database` and `ctx.queue`: the services as functions use them.

Arguments and answers are those of the protocol, with datetimes for dates. Methods give awaitables
in async functions and results in sync ones.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from baas.functions.transactions import Transaction, Transactional, run_transaction
from baas.functions.values import from_wire, to_wire
from baas.schema.values import decode, encode

if TYPE_CHECKING:
    from baas.functions.context import Host

Json: TypeAlias = Mapping[str, Any]
Sort: TypeAlias = Mapping[str, int] | Sequence[Sequence[Any]]
Settle: TypeAlias = Callable[[Awaitable[Any]], Any]
#: Runs one verb on one collection: body and answer as in the protocol, with datetimes.
Verb: TypeAlias = Callable[[str, str, dict[str, Any]], Awaitable[Any]]


class Collection:
    """One collection. Every method raises Problem as the protocol says (`get` of what is absent:
    NOT_FOUND). What is None is left out."""

    __slots__ = ("_name", "_settle", "_verb")

    def __init__(self, name: str, verb: Verb, settle: Settle | None) -> None:
        self._name = name
        self._verb = verb
        self._settle = settle

    def find(
        self,
        filter: Json | None = None,
        *,
        sort: Sort | None = None,
        limit: int | None = None,
        skip: int | None = None,
        after: str | None = None,
        fields: Json | None = None,
        count: bool | None = None,
    ) -> Any:
        """`{"documents": [...], "next": cursor or None, "total"?}`."""
        return self._do(
            "find",
            filter=filter,
            sort=sort,
            limit=limit,
            skip=skip,
            after=after,
            fields=fields,
            count=count,
        )

    def get(self, id: str, *, fields: Json | None = None) -> Any:
        """The document; NOT_FOUND where there is none."""
        return self._do("get", id=id, fields=fields)

    def count(self, filter: Json | None = None) -> Any:
        """`{"total": n}`."""
        return self._do("count", filter=filter)

    def insert(
        self,
        document: Any = None,
        *,
        documents: Iterable[Any] | None = None,
        return_: bool | None = None,
    ) -> Any:
        """One document or a list of them; `{"ids": [...]}`."""
        if documents is None and isinstance(document, (list, tuple)):
            document, documents = None, document
        many = None if documents is None else list(documents)
        return self._do("insert", document=document, documents=many, return_=return_)

    def update(
        self,
        id: str | None = None,
        update: Json | None = None,
        *,
        filter: Json | None = None,
        multi: bool | None = None,
        upsert: bool | None = None,
        return_: bool | None = None,
    ) -> Any:
        """By `id` or `filter`, with operators; `{"matched", "modified", "upsertedId"}`."""
        return self._do(
            "update",
            id=id,
            update=update,
            filter=filter,
            multi=multi,
            upsert=upsert,
            return_=return_,
        )

    def replace(
        self,
        id: str,
        document: Any,
        *,
        upsert: bool | None = None,
        return_: bool | None = None,
    ) -> Any:
        """The whole document; answers as `update` does."""
        return self._do("replace", id=id, document=document, upsert=upsert, return_=return_)

    def delete(
        self,
        id: str | None = None,
        *,
        filter: Json | None = None,
        multi: bool | None = None,
        return_: bool | None = None,
    ) -> Any:
        """By `id` or `filter`; `{"deleted": n}`."""
        return self._do("delete", id=id, filter=filter, multi=multi, return_=return_)

    def aggregate(self, pipeline: Sequence[Json]) -> Any:
        """`{"documents": [...]}`."""
        return self._do("aggregate", pipeline=pipeline)

    def _do(self, verb: str, return_: bool | None = None, **given: Any) -> Any:
        body = {name: to_wire(value) for name, value in given.items() if value is not None}
        if return_ is not None:
            body["return"] = return_
        running = self._verb(verb, self._name, body)
        return running if self._settle is None else self._settle(running)


class Database:
    """`collection(name)`; `transaction()` and `run_transaction(work)` for several together."""

    __slots__ = ("_as_caller", "_host", "_settle")

    def __init__(self, host: Host, as_caller: bool, settle: Settle | None) -> None:
        self._host = host
        self._as_caller = as_caller
        self._settle = settle

    def collection(self, name: str) -> Collection:
        return Collection(name, self._verb, self._settle)

    async def _verb(self, verb: str, collection: str, body: dict[str, Any]) -> Any:
        answer = self._host.database(verb, collection, encode(body), self._as_caller, None)
        return from_wire(decode(await answer if isawaitable(answer) else answer))

    def transaction(self) -> Transaction:
        """`async with ctx.database.transaction() as tx:` (`with` in a sync function).

        Reads see one moment, writes are kept back and done together at the end, or not at all:
        TRANSACTION_CONFLICT where a document that was read or written has changed meanwhile. Any
        exception inside leaves everything as it was.
        """
        return Transaction(self._host, self._as_caller, self._settle)

    def run_transaction(self, work: Transactional) -> Any:
        """Runs `work(tx)` in a transaction and gives its result; on a conflict again, up to three
        times in all. So `work` does nothing but read and write through `tx`."""
        return run_transaction(self.transaction, work, self._settle)


class Queue:
    """`await ctx.queue.send("mails", {"to": ...})`."""

    __slots__ = ("_host", "_settle")

    def __init__(self, host: Host, settle: Settle | None) -> None:
        self._host = host
        self._settle = settle

    def send(
        self, queue: str, body: Any, *, delay: float = 0.0, ordering: str | None = None
    ) -> Any:
        """Durable when it returns; the message's id. Of messages with one `ordering` key, only the
        oldest unsettled one is delivered at a time."""
        running = self._host.send(queue, to_wire(body), delay, ordering)
        return running if self._settle is None else self._settle(running)
