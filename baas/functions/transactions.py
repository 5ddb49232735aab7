"""Optimistic transactions: reads of one moment, writes kept back, everything checked at the end.

No user code runs while the database's writer is held. What was read is remembered by entity tag
and expected unchanged at the commit; writes are planned against the view that the function has of
the snapshot and its own writes, and sent as one transaction of the protocol. A write by filter
becomes one write by id for each document that the filter finds in that view, so what is committed
is what was seen (documents that come to match later are another transaction's).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from baas.database.etag import etag_of
from baas.errors import Code, Problem, invalid, not_found
from baas.functions.values import from_wire
from baas.ids import new_id
from baas.query.ast import ALWAYS, Filter
from baas.query.evaluate import matches
from baas.query.limits import QueryLimits
from baas.query.near import default_sort, text_search_of
from baas.query.order import sort_documents
from baas.query.parse import parse_filter, parse_projection, parse_sort
from baas.query.project import project
from baas.query.update import apply_update, parse_update
from baas.schema.values import Document, decode, encode

if TYPE_CHECKING:
    from baas.functions.clients import Collection, Settle
    from baas.functions.context import Host

#: `run_transaction` tries this often in all.
ATTEMPTS: Final = 3
_LIMITS: Final = QueryLimits()
_PAGE: Final = 1000

Transactional: TypeAlias = Callable[["Transaction"], Any]
_Key: TypeAlias = tuple[str, str]


class Transaction:
    """`collection(name)` offers what `ctx.database.collection` does, without `aggregate` of a
    collection that was written to here. Leaving the block commits."""

    def __init__(self, host: Host, as_caller: bool, settle: Settle | None) -> None:
        self._host = host
        self._as_caller = as_caller
        self._settle = settle
        self._snapshot: str | None = None
        self._expected: dict[_Key, str | None] = {}
        self._written: dict[_Key, Document | None] = {}
        self._operations: list[dict[str, Any]] = []

    def collection(self, name: str) -> Collection:
        from baas.functions.clients import Collection

        return Collection(name, self._verb, self._settle)

    # -- the block ---------------------------------------------------------------------------------

    async def __aenter__(self) -> Transaction:
        if self._snapshot is not None:
            raise RuntimeError("a transaction is used once")
        self._snapshot = await self._host.begin()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        assert self._snapshot is not None
        await self._host.end(self._snapshot)
        if kind is None and self._operations:
            await self._commit()

    def __enter__(self) -> Transaction:
        entered: Transaction = self._wait(self.__aenter__())
        return entered

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._wait(self.__aexit__(kind, *rest))

    def _wait(self, running: Awaitable[Any]) -> Any:
        if self._settle is None:
            raise TypeError("in an async function: async with ctx.database.transaction()")
        return self._settle(running)

    async def _commit(self) -> None:
        expect = [
            {"collection": collection, "id": id, "etag": etag}
            for (collection, id), etag in self._expected.items()
        ]
        body = encode({"operations": self._operations, "expect": expect})
        await self._host.commit(body, self._as_caller)

    # -- verbs -------------------------------------------------------------------------------------

    async def _verb(self, verb: str, collection: str, body: dict[str, Any]) -> Any:
        if self._snapshot is None:
            raise RuntimeError("a transaction begins with its block: async with ... as tx")
        return from_wire(await _VERBS[verb](self, collection, body))

    async def _read(self, verb: str, collection: str, body: dict[str, Any]) -> Any:
        answer = self._host.database(
            verb, collection, encode(body), self._as_caller, self._snapshot
        )
        return decode(await answer if isawaitable(answer) else answer)

    async def _current(self, collection: str, id: str) -> Document | None:
        """The document as this transaction sees it; None where there is none."""
        key = (collection, id)
        if key in self._written:
            return self._written[key]
        try:
            document: Document = await self._read("get", collection, {"id": id})
        except Problem as problem:
            if problem.code is not Code.NOT_FOUND:
                raise
            self._expected[key] = None
            return None
        self._expected[key] = etag_of(encode(document))
        return document

    async def _get(self, collection: str, body: dict[str, Any]) -> Any:
        document = await self._current(collection, body["id"])
        if document is None:
            raise not_found()
        return _projected(document, body.get("fields"))

    async def _find(self, collection: str, body: dict[str, Any]) -> Any:
        fields = body.pop("fields", None)
        changed = self._changed_in(collection)
        if changed:
            answer = await self._find_among(collection, body, changed)
        else:
            answer = await self._read("find", collection, body)
        for document in answer["documents"]:
            key = (collection, document["_id"])
            if key not in self._written:
                self._expected[key] = etag_of(encode(document))
        answer["documents"] = [_projected(one, fields) for one in answer["documents"]]
        return answer

    async def _find_among(
        self, collection: str, body: dict[str, Any], changed: dict[str, Document | None]
    ) -> Any:
        """A page of the snapshot with this transaction's own writes in it."""
        if "after" in body:
            raise invalid("after", "does not go on after a write in the same transaction")
        skip, limit = body.get("skip", 0), body.get("limit", 100)
        stored = await self._all(collection, body, skip + limit + 1 + len(changed))
        filter = _client_filter(body.get("filter", {}))
        sort = parse_sort(body["sort"]) if "sort" in body else default_sort(filter)
        seen = [one for one in stored if one["_id"] not in changed]
        seen += [one for one in changed.values() if one is not None and matches(filter, one)]
        page = sort_documents(seen, sort)[skip : skip + limit]
        answer: dict[str, Any] = {"documents": page, "next": None}
        if body.get("count"):
            answer["total"] = (await self._count(collection, body))["total"]
        return answer

    async def _all(self, collection: str, body: dict[str, Any], most: int) -> list[Document]:
        """The first `most` documents of a query in the snapshot, page by page."""
        query: dict[str, Any] = {}
        query |= {name: body[name] for name in ("filter", "sort") if name in body}
        found: list[Document] = []
        while True:
            query["limit"] = min(_PAGE, most - len(found))
            page = await self._read("find", collection, query)
            found += page["documents"]
            if page["next"] is None or len(found) >= most:
                return found
            query["after"] = page["next"]

    async def _count(self, collection: str, body: dict[str, Any]) -> Any:
        raw = body.get("filter", {})
        total = (await self._read("count", collection, {"filter": raw}))["total"]
        changed = self._changed_in(collection)
        filter = _client_filter(raw) if changed else ALWAYS
        for id, document in changed.items():
            was = {"filter": {"$and": [raw, {"_id": id}]}}
            total -= (await self._read("count", collection, was))["total"]
            total += document is not None and matches(filter, document)
        return {"total": total}

    async def _aggregate(self, collection: str, body: dict[str, Any]) -> Any:
        if self._written:
            raise Problem(
                Code.NOT_SUPPORTED, "A pipeline does not see the writes of its transaction."
            )
        return await self._read("aggregate", collection, body)

    def _changed_in(self, collection: str) -> dict[str, Document | None]:
        return {id: one for (name, id), one in self._written.items() if name == collection}

    # -- writes ------------------------------------------------------------------------------------

    async def _insert(self, collection: str, body: dict[str, Any]) -> Any:
        sent = body["documents"] if "documents" in body else [body["document"]]
        documents = [{"_id": one.get("_id") or new_id(), **one} for one in sent]
        self._operations.append(
            {"collection": collection, "verb": "insert", "documents": documents}
        )
        for document in documents:
            self._written[collection, document["_id"]] = document
        answer: dict[str, Any] = {"ids": [document["_id"] for document in documents]}
        return {**answer, "documents": documents} if body.get("return") else answer

    async def _update(self, collection: str, body: dict[str, Any]) -> Any:
        update = parse_update(body["update"], _LIMITS, now_ms=_now_ms())
        ids = await self._targets(collection, body)
        upserted = None
        for id in ids:
            before = await self._current(collection, id)
            if before is None and not body.get("upsert"):
                raise not_found()
            after = apply_update(
                update, before or {"_id": id}, now_ms=_now_ms(), inserting=before is None
            )
            upserted = id if before is None else upserted
            self._write(collection, id, after, "update", update=body["update"], body=body)
        if not ids and body.get("upsert"):
            raise Problem(Code.NOT_SUPPORTED, "In a transaction an upsert is by id, not by filter.")
        return self._changes(collection, ids, upserted, body)

    async def _replace(self, collection: str, body: dict[str, Any]) -> Any:
        id = body["id"]
        before = await self._current(collection, id)
        if before is None and not body.get("upsert"):
            raise not_found()
        after = {**body["document"], "_id": id}
        self._write(collection, id, after, "replace", document=body["document"], body=body)
        return self._changes(collection, [id], id if before is None else None, body)

    async def _delete(self, collection: str, body: dict[str, Any]) -> Any:
        ids = await self._targets(collection, body)
        gone = []
        for id in ids:
            before = await self._current(collection, id)
            if before is None:
                raise not_found()
            gone.append(before)
            self._write(collection, id, None, "delete", body={})
        answer: dict[str, Any] = {"deleted": len(ids)}
        return {**answer, "documents": gone} if body.get("return") else answer

    def _write(
        self,
        collection: str,
        id: str,
        after: Document | None,
        verb: str,
        *,
        body: dict[str, Any],
        **what: Any,
    ) -> None:
        self._written[collection, id] = after
        operation = {"collection": collection, "verb": verb, "id": id, **what}
        if body.get("upsert"):
            operation["upsert"] = True
        self._operations.append(operation)

    async def _targets(self, collection: str, body: dict[str, Any]) -> list[str]:
        if "id" in body:
            return [body["id"]]
        if "filter" not in body:
            raise invalid("filter", "exactly one of id and filter is needed")
        limit = _PAGE if body.get("multi") else 1
        page = await self._find(collection, {"filter": body["filter"], "limit": limit})
        return [document["_id"] for document in page["documents"]]

    def _changes(
        self, collection: str, ids: list[str], upserted: str | None, body: dict[str, Any]
    ) -> Any:
        matched = 0 if upserted is not None else len(ids)
        answer: dict[str, Any] = {"matched": matched, "modified": matched, "upsertedId": upserted}
        if body.get("return"):
            answer["documents"] = [self._written[collection, id] for id in ids]
        return answer


_VERBS: Final[dict[str, Callable[[Transaction, str, dict[str, Any]], Awaitable[Any]]]] = {
    "get": Transaction._get,
    "find": Transaction._find,
    "count": Transaction._count,
    "aggregate": Transaction._aggregate,
    "insert": Transaction._insert,
    "update": Transaction._update,
    "replace": Transaction._replace,
    "delete": Transaction._delete,
}


def _projected(document: Document, fields: Any) -> Document:
    projection = None if fields is None else parse_projection(fields)
    return document if projection is None else project(document, projection)


def _client_filter(raw: Any) -> Filter:
    """To be asked of documents that only this transaction knows, so of no index."""
    filter = parse_filter(raw, _LIMITS, now_ms=_now_ms(), whole=True)
    if text_search_of(filter) is not None:
        raise Problem(
            Code.NOT_SUPPORTED, "filter.$text: a search does not see the writes of its transaction"
        )
    return filter


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def run_transaction(
    begin: Callable[[], Transaction], work: Transactional, settle: Settle | None
) -> Any:
    """`work` in a transaction, again on TRANSACTION_CONFLICT, ATTEMPTS times in all."""
    return _run(begin, work) if settle is None else _run_in_thread(begin, work)


async def _run(begin: Callable[[], Transaction], work: Transactional) -> Any:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with begin() as transaction:
                result = work(transaction)
                return await result if isawaitable(result) else result
        except Problem as problem:
            _raise_unless_again(problem, attempt)
    raise AssertionError("unreachable")


def _run_in_thread(begin: Callable[[], Transaction], work: Transactional) -> Any:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with begin() as transaction:
                return work(transaction)
        except Problem as problem:
            _raise_unless_again(problem, attempt)
    raise AssertionError("unreachable")


def _raise_unless_again(problem: Problem, attempt: int) -> None:
    if problem.code is not Code.TRANSACTION_CONFLICT or attempt == ATTEMPTS:
        raise problem
