"""`"return": true` on a write: the documents it touched, as the caller may read them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from baas.database.context import Call, Context
from baas.database.plan import Results
from baas.database.reads import decide_get, show
from baas.errors import Code, Problem
from baas.guard import ReadDecision
from baas.ports.documents import LookupNeeded, Lookups
from baas.query.ast import Always
from baas.query.evaluate import matches
from baas.schema.values import decode


class Returned(msgspec.Struct, frozen=True):
    """What the caller may read of the collection; a `decision` of None is nothing at all."""

    decision: ReadDecision | None
    lookups: Lookups

    @classmethod
    def of(cls, context: Context, call: Call, lookups: Lookups) -> Returned:
        try:
            return cls(decide_get(context, call, "-", None, lookups), lookups)
        except Problem as problem:
            if problem.code is not Code.PERMISSION_DENIED:
                raise
            return cls(None, lookups)

    def documents(self, results: Results) -> Iterator[bytes]:
        """Documents as they are after the write (as they were, where they are gone)."""
        for result in results:
            for written in result.written:
                row = written.after if written.after is not None else written.before
                if row is not None and (shown := self._shown(row)) is not None:
                    yield shown

    def _shown(self, row: bytes) -> bytes | None:
        if self.decision is None:
            return None
        try:
            rule = self.decision.rule
            if not isinstance(rule, Always) and not matches(rule, decode(row), self.lookups):
                return None
            return show(row, self.decision.masks, None, self.lookups)
        except LookupNeeded:
            # The write stands, and what this document looks up was not fetched before it.
            return None


def documents_of(returned: Returned | None, results: Results) -> bytes:
    """`,"documents":[...]`, or nothing where they were not asked for."""
    if returned is None:
        return b""
    return b',"documents":[%b]' % b",".join(returned.documents(results))
