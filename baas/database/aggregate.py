"""`aggregate`: the beginning of a pipeline as a find, the rest over documents as the caller sees
them."""

from __future__ import annotations

from baas.database.bodies import AggregateBody
from baas.database.context import Call, Context
from baas.errors import Code, Problem
from baas.ports.documents import MaybeAwaitable


def aggregate(context: Context, call: Call, body: AggregateBody) -> MaybeAwaitable[bytes]:
    raise Problem(Code.NOT_SUPPORTED, "aggregate")
