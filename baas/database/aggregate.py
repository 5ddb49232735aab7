"""`aggregate`: the beginning of a pipeline as a find, the rest over what the caller sees.

Rule and masks come first: the store runs the rule's filter and those leading stages that look at
no masked field; everything after that, `$match` and `$lookup` included, sees documents from which
hidden fields have been taken. All reads of one pipeline are of one snapshot.

Stages are CPU work that a stranger wrote. They run in threads, few at a time, with the time limit
of reads; documents are decoded and masked in short turns between other requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any, Final, TypeAlias

from baas.database import lookups as looked_up
from baas.database.bodies import AggregateBody
from baas.database.context import Call, Context, check_collection
from baas.database.reads import seen
from baas.errors import Code, Problem
from baas.guard import Masks, ReadDecision
from baas.ports.documents import DocumentReader, Find, Lookups, MaybeAwaitable, resolve
from baas.query.aggregate import Leading, LookupRequest, Pipeline, parse_pipeline, run
from baas.query.ast import ALWAYS, BY_ID, And, Filter, Sort, both
from baas.query.fields import paths_in_filter
from baas.query.patterns import WATCH, OutOfTime
from baas.rules.model import Operation
from baas.schema.values import Document, decode, encode

Documents: TypeAlias = list[Document]
Stages: TypeAlias = Generator[LookupRequest, Documents, Documents]

#: Documents decoded and masked in one turn of the loop: a millisecond or two.
_TURN: Final = 100


def aggregate(context: Context, call: Call, body: AggregateBody) -> MaybeAwaitable[bytes]:
    pipeline = parse_pipeline(
        body.pipeline, context.query_limits, now_ms=call.now_ms, uid=call.actor.uid
    )
    for name in sorted(pipeline.collections):
        check_collection(name)
    deadline = context.clock.monotonic() + context.read_timeout

    async def attempt(reader: DocumentReader, lookups: Lookups) -> bytes:
        job = _Job(context, call, reader, lookups, deadline)
        return await job.answer(pipeline)

    return looked_up.read_snapshot(context, attempt)


class _Job:
    """One pipeline, on one snapshot, for one caller."""

    def __init__(
        self,
        context: Context,
        call: Call,
        reader: DocumentReader,
        lookups: Lookups,
        deadline: float,
    ) -> None:
        self._context = context
        self._call = call
        self._reader = reader
        self._lookups = lookups
        self._deadline = deadline
        self._held = 0

    async def answer(self, pipeline: Pipeline) -> bytes:
        for name in sorted(pipeline.collections):
            # Refused whether or not a document comes to need it.
            self._masks(name)
        masks = self._masks(self._call.collection)
        if pipeline.text_search is not None:
            paths = self._context.guard.text_paths(self._call.collection)
            pipeline = pipeline.with_text_index(paths)
        leading = pipeline.leading(lambda paths: not masks.touches(paths))
        if not leading.rest:
            return await self._plain(leading)
        # From here on there are decoded documents, ten times the size that they are stored in:
        # whoever waits for a turn waits without them.
        async with self._context.pipelines:
            self._check_time()
            found = await self._visible(self._call.collection, leading, leading.limit)
            stages = run(
                leading.rest,
                found,
                self._context.query_limits,
                now_ms=self._call.now_ms,
                expired=self._expired,
            )
            return encode({"documents": await self._drive(stages)})

    async def _plain(self, leading: Leading) -> bytes:
        """A pipeline that is a find: stored bytes as they are, where nothing masks them."""
        most = self._context.limits.aggregate_max
        limit = most + 1 if leading.limit is None else min(leading.limit, most + 1)
        rows, masks = await self._rows(self._call.collection, leading, limit)
        if len(rows) > most:
            message = f"The answer has more than {most} documents; add a $limit."
            raise Problem(Code.LIMIT_EXCEEDED, message)
        return b'{"documents":[%b]}' % b",".join(seen(rows, masks, None, self._lookups))

    async def _drive(self, stages: Stages) -> Documents:
        """Runs the stages in threads, and serves the documents that they ask for in between."""
        sent: Documents | None = None
        while True:
            done, value = await asyncio.to_thread(_advance, stages, sent, self._expired)
            if done:
                return value  # type: ignore[no-any-return]
            sent = await self._looked_up(value)

    async def _looked_up(self, request: LookupRequest) -> Documents:
        masks = self._masks(request.collection)
        filter = _unmasked(request.filter, masks)
        return await self._visible(request.collection, Leading(filter=filter), request.limit)

    # -- reading -----------------------------------------------------------------------------------

    async def _visible(self, collection: str, leading: Leading, limit: int | None) -> Documents:
        """What the leading stages find, decoded and masked."""
        most = self._context.limits.aggregate_input + 1
        rows, masks = await self._rows(
            collection, leading, most if limit is None else min(limit, most)
        )
        self._hold(rows)
        documents: Documents = []
        for start in range(0, len(rows), _TURN):
            documents += [self._masked(row, masks) for row in rows[start : start + _TURN]]
            if start:
                await self._turn()
        return documents

    def _hold(self, rows: list[bytes]) -> None:
        """LIMIT_EXCEEDED where all reads of the pipeline together are too much to hold."""
        self._held += sum(map(len, rows))
        if self._held > self._context.read_bytes:
            message = f"A pipeline reads at most {self._context.read_bytes} bytes of documents."
            raise Problem(Code.LIMIT_EXCEEDED, f"{message} Narrow it with $match first.")

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        self._check_time()

    def _check_time(self) -> None:
        if self._expired():
            raise _too_slow()

    async def _rows(
        self, collection: str, leading: Leading, limit: int
    ) -> tuple[list[bytes], Masks]:
        decision = self._decide(collection, leading.filter, leading.sort)
        query = Find(
            collection=collection,
            filter=decision.filter,
            sort=leading.sort,
            skip=leading.skip,
            limit=limit,
        )
        return await resolve(self._reader.find(query)), decision.masks

    def _masked(self, row: bytes, masks: Masks) -> Document:
        document: Document = decode(row)
        return document if masks.hides_nothing else masks.readable(document, self._lookups)

    def _masks(self, collection: str) -> Masks:
        return self._decide(collection, ALWAYS, BY_ID, by_id=True).masks

    def _decide(
        self, collection: str, filter: Filter, sort: Sort, by_id: bool = False
    ) -> ReadDecision:
        call = self._call
        return self._context.guard.read(
            Operation.AGGREGATE,
            collection,
            call.actor,
            call.facts(),
            filter,
            sort,
            self._lookups,
            by_id=by_id,
        )

    def _expired(self) -> bool:
        return self._context.clock.monotonic() > self._deadline


def _advance(
    stages: Stages, sent: Documents | None, expired: Callable[[], bool]
) -> tuple[bool, Any]:
    """One stretch of the run, in a thread: (True, its answer) or (False, what it asks for)."""
    WATCH.lacks = lambda seconds: expired()
    try:
        return False, next(stages) if sent is None else stages.send(sent)
    except StopIteration as end:
        return True, end.value
    except OutOfTime:
        raise _too_slow() from None
    finally:
        WATCH.lacks = None


def _too_slow() -> Problem:
    return Problem(Code.QUERY_TIMEOUT, "The pipeline took too long.")


def _unmasked(filter: Filter, masks: Masks) -> Filter:
    """The part of a filter that looks at no masked field; the rest is matched after masking."""
    kept: Filter = ALWAYS
    for item in filter.items if isinstance(filter, And) else (filter,):
        if not masks.touches(paths_in_filter(item)):
            kept = both(kept, item)
    return kept
