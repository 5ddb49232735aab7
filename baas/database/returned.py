"""`"return": true` on a write: the documents it touched, as the caller may read them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from baas.database.context import Call, Context
from baas.database.plan import Results
from baas.database.reads import decide_get, show
from baas.errors import Code, Problem
from baas.guard import ReadDecision
from baas.ports.documents import Lookups
from baas.query.ast import Always
from baas.query.evaluate import matches
from baas.schema.values import decode


class Returned(msgspec.Struct, frozen=True):
    """What the caller may read of the collection; a `decision` of None is nothing at all."""

    decision: ReadDecision | None

    @classmethod
    def of(cls, context: Context, call: Call, lookups: Lookups) -> Returned:
        try:
            return cls(decide_get(context, call, None, lookups))
        except Problem as problem:
            if problem.code is not Code.PERMISSION_DENIED:
                raise
            return cls(None)

    def documents(self, results: Results, lookups: Lookups) -> Iterator[bytes]:
        """Documents as they are after the write (as they were, where they are gone)."""
        for result in results:
            for written in result.written:
                row = written.after if written.after is not None else written.before
                if row is not None and self._sees(row, lookups):
                    assert self.decision is not None
                    yield show(row, self.decision.masks, None, lookups)

    def _sees(self, row: bytes, lookups: Lookups) -> bool:
        if self.decision is None:
            return False
        rule = self.decision.rule
        return isinstance(rule, Always) or matches(rule, decode(row), lookups)


def documents_of(returned: Returned | None, results: Results, lookups: Lookups) -> bytes:
    """`,"documents":[...]`, or nothing where they were not asked for."""
    if returned is None:
        return b""
    return b',"documents":[%b]' % b",".join(returned.documents(results, lookups))
