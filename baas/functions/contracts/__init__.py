"""Handlers written for other clouds, run as they are: `contract: scf | fc | lambda` in baas.yaml.

Each contract turns the event of a trigger into the shape that its vendor documents for the like of
it, makes the context that goes with it, and takes back what such handlers return. Triggers without
a like of them there (documents, accounts, the app's own events) bring their event as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import Any, Final

import msgspec

from baas.functions.context import Context
from baas.functions.contracts import fc, lambda_, scf
from baas.functions.model import FunctionSpec


class Foreign(msgspec.Struct, frozen=True):
    """A contract. `event(context, event)` and `environment(context, spec)` make a handler's two
    arguments; `result(kind, returned)` is the function's result, as JSON or an answer below
    `/http`."""

    event: Callable[[Context, Any], Any]
    environment: Callable[[Context, FunctionSpec], Any]
    result: Callable[[str, Any], Any]


CONTRACTS: Final = {
    "scf": Foreign(scf.event_of, scf.context_of, scf.result_of),
    "fc": Foreign(fc.event_of, fc.context_of, fc.result_of),
    "lambda": Foreign(lambda_.event_of, lambda_.context_of, lambda_.result_of),
}


def call_foreign(spec: FunctionSpec, context: Context, event: Any) -> Any:
    """Calls the handler; its result, or an awaitable of it where the handler is async."""
    foreign = CONTRACTS[spec.contract]
    kind = context.trigger.kind
    given = foreign.event(context, event), foreign.environment(context, spec)
    if spec.is_async or _is_on_loop():
        returned = spec.handler(*given)
    else:
        with _own_loop():
            returned = spec.handler(*given)
    if isawaitable(returned):
        return _awaited(foreign, kind, returned)
    return foreign.result(kind, returned)


def _is_on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@contextmanager
def _own_loop() -> Iterator[None]:
    """Those clouds call plain handlers on the main thread, where `asyncio.get_event_loop()` finds a
    loop; adapters for web frameworks run their app on it. Here it is a thread's, for the call."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _awaited(foreign: Foreign, kind: str, returned: Awaitable[Any]) -> Any:
    return foreign.result(kind, await returned)
