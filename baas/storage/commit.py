"""How rows change: planned from what was read, written only where that still holds.

A plan says for each path what row it saw and what is to be there. The store runs it as one batch:
every row must still be the one seen, and the rules are asked once more, in the state of the write.
Where another write came between, the plan is made again. So of two uploads to one path the later
one replaces the earlier whole, and no rule is ever decided on a row that has gone.

What the rows no longer speak of is taken from the blob store behind the write: a blob to which no
row refers can never be referred to again, because a copy must see its source's row as it writes.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from baas.errors import Code, Problem
from baas.ports.documents import (
    DELETE,
    Change,
    Check,
    Lookups,
    Outcome,
    Step,
    StepResult,
    WriteInfo,
    resolve,
)
from baas.query.ast import Eq, Field
from baas.schema.actor import Actor
from baas.schema.filepath import row_id
from baas.schema.values import Document, encode
from baas.storage.parts import Caller, Parts
from baas.storage.rows import FILES, USAGE, usage_id

log = logging.getLogger("baas.storage")

MAX_ATTEMPTS: Final = 16

#: Raises Problem where the rules, asked within the write, refuse.
Ask = Callable[[Lookups], object]


class Stale(Problem):
    """A row is not what the plan saw."""

    def __init__(self) -> None:
        super().__init__(Code.TRANSACTION_CONFLICT, "The file keeps changing; try again.")


class RowChange(msgspec.Struct, frozen=True, kw_only=True):
    """From `before` to `after`; None is no row. Equal ones are only held to be as they are."""

    path: str
    before: Document | None
    after: Document | None
    ask: Ask | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`answer` is the body that the caller gets; `others` go before the rows in the batch."""

    rows: tuple[RowChange, ...]
    answer: bytes
    others: tuple[Step, ...] = ()


class Committer:
    """Writes plans."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, caller: Caller, make: Callable[[], Awaitable[Plan]]) -> bytes:
        """The answer of the plan that was written, or of an earlier run with this key."""
        for attempt in range(MAX_ATTEMPTS):
            try:
                plan = await make()
            except Problem as refusal:
                return await self.replay(caller, refusal)
            try:
                return await self._write(caller, plan)
            except Stale as stale:
                stale.operation = None
                if attempt == MAX_ATTEMPTS - 1:
                    raise
            except Problem as refusal:
                refusal.operation = None
                raise
        raise Stale

    async def replay(self, caller: Caller, refusal: Problem) -> bytes:
        """A repeat finds things as its first run left them, so that its plan may be refused: the
        record is what counts, if there is one."""
        once = None if caller.once is None else caller.once(lambda results: b"")
        if once is None:
            raise refusal

        def refuse(document: Document | None, lookups: Lookups) -> None:
            raise refusal

        step = Check(collection=FILES, id="-", verify=refuse)
        result = await self._parts.store.write((step,), WriteInfo(), once)
        if result.replayed is None:
            raise refusal
        return result.replayed

    async def _write(self, caller: Caller, plan: Plan) -> bytes:
        steps = (*plan.others, *_row_steps(plan), *self._usage_steps(caller.actor, plan))

        def render(results: tuple[StepResult, ...]) -> bytes:
            return plan.answer

        once = None if caller.once is None else caller.once(render)
        if not steps and once is None:
            return plan.answer
        steps = steps or (Check(collection=FILES, id="-", verify=lambda *_: None),)
        result = await self._parts.store.write(steps, caller.info, once)
        if result.replayed is not None:
            await self.release(_blobs(plan.rows, "after"))
            return result.replayed
        await self.release(_blobs(plan.rows, "before"))
        return plan.answer

    def _usage_steps(self, actor: Actor, plan: Plan) -> list[Step]:
        sizes: Counter[str] = Counter()
        files: Counter[str] = Counter()
        for row in plan.rows:
            for document, sign in ((row.before, -1), (row.after, 1)):
                if document is not None and document["openid"] is not None:
                    sizes[document["openid"]] += sign * document["size"]
                    files[document["openid"]] += sign
        quota = 0 if actor.trusted else self._parts.settings.quota_bytes
        return [
            Change(
                collection=USAGE,
                id=usage_id(owner),
                apply=_usage(owner, sizes[owner], files[owner], quota),
            )
            for owner in sizes
            if sizes[owner] or files[owner]
        ]

    # -- blobs without a row ----------------------------------------------------------------------

    async def release(self, blobs: set[str]) -> None:
        """Takes away those of `blobs` to which no row refers. What fails is left to the sweep."""
        for blob in blobs:
            try:
                if not await self.is_used(blob):
                    await self._parts.drop(blob)
            except Exception as fault:
                log.warning("a blob was not removed, the sweep will: %s", fault)

    @asynccontextmanager
    async def releasing(self, blob: str) -> AsyncIterator[None]:
        """Takes a new blob away where its row was refused. After any other fault the row may yet
        be written: then the sweep is the one to tell."""
        try:
            yield
        except Problem as refusal:
            if refusal.status < 500:
                await self.release({blob})
            raise

    async def is_used(self, blob: str) -> bool:
        filter = Field(("blob",), Eq(blob))
        return await resolve(self._parts.store.count(FILES, filter)) > 0


def _blobs(rows: tuple[RowChange, ...], side: str) -> set[str]:
    found = (getattr(row, side) for row in rows)
    return {document["blob"] for document in found if document is not None}


def _row_steps(plan: Plan) -> list[Step]:
    steps: list[Step] = []
    for row in plan.rows:
        id = row_id(row.path)
        if row.before is row.after:
            steps.append(Check(collection=FILES, id=id, verify=_verifier(row)))
        else:
            steps.append(Change(collection=FILES, id=id, apply=_applier(row)))
    return steps


def _verifier(row: RowChange) -> Callable[[Document | None, Lookups], None]:
    seen = encode(row.before)

    def verify(stored: Document | None, lookups: Lookups) -> None:
        if encode(stored) != seen:
            raise Stale
        if row.ask is not None:
            row.ask(lookups)

    return verify


def _applier(row: RowChange) -> Callable[[Document | None, Lookups], Outcome]:
    verify = _verifier(row)

    def apply(stored: Document | None, lookups: Lookups) -> Outcome:
        verify(stored, lookups)
        return DELETE if row.after is None else row.after

    return apply


def _usage(
    owner: str, size: int, files: int, quota: int
) -> Callable[[Document | None, Lookups], Outcome]:
    def apply(stored: Document | None, lookups: Lookups) -> Outcome:
        held = stored or {"_id": usage_id(owner), "openid": owner, "bytes": 0, "files": 0}
        total = held["bytes"] + size
        if size > 0 and quota and total > quota:
            raise over_quota(quota)
        return {**held, "bytes": total, "files": held["files"] + files}

    return apply


def over_quota(quota: int) -> Problem:
    return Problem(Code.QUOTA_EXCEEDED, f"A user's files may have {quota} bytes together.")
