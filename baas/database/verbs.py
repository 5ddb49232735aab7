"""The one table of database verbs: the dispatcher, the declared routes and the API's description
are made from it.

A verb is a body, an answer and a function of both; `run` answers at once where nothing waits, else
with an awaitable. Each answers 200 or raises Problem.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from baas.database import aggregate, reads, writes
from baas.database.bodies import (
    AggregateAnswer,
    AggregateBody,
    BodyDecoder,
    CountAnswer,
    CountBody,
    DeleteAnswer,
    DeleteBody,
    FindAnswer,
    FindBody,
    GetBody,
    InsertAnswer,
    InsertBody,
    ReplaceBody,
    UpdateAnswer,
    UpdateBody,
)
from baas.database.context import Call, Context
from baas.database.plan import Planner, single
from baas.ports.documents import MaybeAwaitable

Run = Callable[[Context, Call, Any], MaybeAwaitable[bytes]]


class Verb(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/database/{collection}/{name}`.

    `body` and `answer` are Structs, for the API's description (`answer` None: a document as it is
    stored). `writes` verbs honour `Idempotency-Key` and count as writes for rate limits. `decode`
    reads a body; `run` does the work.
    """

    name: str
    body: type
    answer: type | None
    writes: bool
    summary: str
    description: str
    decode: Callable[[bytes], Any]
    run: Run


def _verb(
    name: str, body: type, answer: type | None, run: Run, summary: str, description: str
) -> Verb:
    return Verb(
        name=name,
        body=body,
        answer=answer,
        writes=False,
        summary=summary,
        description=description,
        decode=BodyDecoder(body),
        run=run,
    )


def _write(
    name: str,
    body: type,
    answer: type,
    plan: Callable[[Context, Call, Any], MaybeAwaitable[Planner]],
    summary: str,
    description: str,
) -> Verb:
    def run(context: Context, call: Call, parsed: Any) -> MaybeAwaitable[bytes]:
        planner = plan(context, call, parsed)
        if not callable(planner):
            return later(context, call, planner)
        return single(context, call, name, planner).run()

    async def later(context: Context, call: Call, planner: Awaitable[Planner]) -> bytes:
        return await single(context, call, name, await planner).run()

    verb = _verb(name, body, answer, run, summary, description)
    return msgspec.structs.replace(verb, writes=True)


_ALL: Final = (
    _verb(
        "find",
        FindBody,
        FindAnswer,
        reads.find,
        "Documents that match a filter",
        "Only documents that the read rule lets the caller see are found, and only fields that "
        "masks let it read are in them. `sort` is always completed by `_id`. `next` is the cursor "
        "for `after`, or null on the last page; it works for the same caller, collection, filter "
        "and sort alone. `count` adds `total`, the exact number over all pages.",
    ),
    _verb(
        "get",
        GetBody,
        None,
        reads.get,
        "One document by id",
        "404 where it does not exist or the caller may not see it.",
    ),
    _verb(
        "count",
        CountBody,
        CountAnswer,
        reads.count,
        "How many documents match a filter",
        "Counts what the caller may see; exact.",
    ),
    _write(
        "insert",
        InsertBody,
        InsertAnswer,
        writes.insert,
        "New documents",
        "One `document`, or several `documents`, all or nothing. An `_id` is made where none is "
        "sent; `_openid`, `_createTime` and `_updateTime` are the server's. 409 CONFLICT where an "
        "`_id` or a unique key is taken. `return` adds the documents as stored.",
    ),
    _write(
        "update",
        UpdateBody,
        UpdateAnswer,
        writes.update,
        "Changes documents by operators",
        "By `id`: 404 where it is absent or hidden, 403 where it may be seen but not changed. By "
        "`filter`: the first match by `_id`, or all with `multi`; documents that the caller may "
        "not both see and change are passed over. With `upsert` a new document is made where none "
        "matches.",
    ),
    _write(
        "replace",
        ReplaceBody,
        UpdateAnswer,
        writes.replace,
        "Puts another document in the place of one",
        "Needs the update rule. Fields that the caller may not read and did not send are kept; "
        "`_id`, `_openid`, `_createTime` and `_updateTime` may be sent back unchanged.",
    ),
    _write(
        "delete",
        DeleteBody,
        DeleteAnswer,
        writes.delete,
        "Removes documents",
        "By `id`, or by `filter`: the first match by `_id`, or all with `multi`. `return` adds the "
        "documents as they were.",
    ),
    _verb(
        "aggregate",
        AggregateBody,
        AggregateAnswer,
        aggregate.aggregate,
        "Runs a pipeline over documents",
        "The pipeline sees the documents and fields that the caller may see, those of `$lookup` "
        "too.",
    ),
)

#: By name. `transaction` is not in it: it belongs to no collection.
VERBS: Final[dict[str, Verb]] = {verb.name: verb for verb in _ALL}
