"""The kit as a call in a worker process uses it: every use is asked of the gateway."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from baas.errors import Problem
from baas.functions.context import Host
from baas.functions.errors import Error
from baas.functions.outcome import Fault, failed
from baas.ports.documents import MaybeAwaitable, resolve
from baas.schema.values import Value

_log: Final = logging.getLogger("baas.functions")
#: Asks the gateway for one method of a call's host.
AskGateway: TypeAlias = Callable[[str, tuple[Any, ...]], Awaitable[Any]]


class PipeHost:
    """One call's host in a worker."""

    def __init__(self, ask: AskGateway) -> None:
        self._ask = ask

    def database(
        self, verb: str, collection: str, body: bytes, as_caller: bool, snapshot: str | None
    ) -> MaybeAwaitable[bytes]:
        return self._ask("database", (verb, collection, body, as_caller, snapshot))

    def begin(self) -> Awaitable[str]:
        return self._ask("begin", ())

    def end(self, snapshot: str) -> Awaitable[None]:
        return self._ask("end", (snapshot,))

    def commit(self, body: bytes, as_caller: bool) -> Awaitable[bytes]:
        return self._ask("commit", (body, as_caller))

    def storage(
        self, verb: str, argument: bytes, as_caller: bool, stream: str | None
    ) -> Awaitable[bytes]:
        return self._ask("storage", (verb, argument, as_caller, stream))

    def push(self, verb: str, body: Value, as_caller: bool) -> Awaitable[Value]:
        return self._ask("push", (verb, body, as_caller))

    def call(self, name: str, event: Value) -> Awaitable[Value]:
        return self._ask("call", (name, event))

    def enqueue(self, name: str, event: Value, delay: float) -> Awaitable[str]:
        return self._ask("enqueue", (name, event, delay))

    def emit(self, type: str, data: Value) -> Awaitable[None]:
        return self._ask("emit", (type, data))

    def send(self, queue: str, body: Value, delay: float, ordering: str | None) -> Awaitable[str]:
        return self._ask("send", (queue, body, delay, ordering))


#: What a worker may ask for.
_METHODS = frozenset(
    ("database", "begin", "end", "commit", "storage", "push", "call", "enqueue", "emit", "send")
)


async def answer(host: Host, method: str, arguments: tuple[Any, ...]) -> tuple[Any, Fault | None]:
    """In the gateway: what `host` answers, or the fault to raise in the worker."""
    try:
        if method not in _METHODS:
            raise ValueError(f"a host has no {method!r}")
        return await resolve(getattr(host, method)(*arguments)), None
    except Error as error:
        return None, Fault(
            result="error",
            code=error.code,
            status=error.status,
            title=error.title,
            detail=error.detail,
            own=True,
        )
    except Problem as problem:
        return None, Fault(
            result="failed",
            code=problem.code.name,
            status=problem.status,
            detail=problem.detail,
            errors=problem.errors,
            retry_after=problem.retry_after,
        )
    except Exception as fault:  # a worker that is not answered would wait to its limit
        _log.exception("what a function asked of the kit failed")
        return None, failed(f"{type(fault).__name__}: {fault}")


def raised_by(fault: Fault) -> Exception:
    """In the worker: what `answer` caught in the gateway."""
    if fault.own:
        return Error(fault.code, status=fault.status, detail=fault.detail)
    return fault.problem()
