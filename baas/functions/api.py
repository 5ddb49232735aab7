"""`from baas import fn`: what functions declare themselves with.

    from baas import Context, fn

    @fn.event()
    async def greet(ctx: Context, event: dict) -> str:
        return f"hello {event['name']}"

Decorators leave the function as it is: it can be imported, called and tested like any other. Any
number of them may stand on one function; options (`name timeout isolation memory concurrency
min_workers max_workers idle_timeout retries on_success on_failure env`) may be given to any one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from baas.functions import collect
from baas.functions.errors import Error
from baas.functions.events import (
    AuthEvent,
    BeforeWrite,
    CustomEvent,
    DocumentEvent,
    HttpRequest,
    QueueEvent,
    QueueMessage,
    StorageEvent,
    TimerEvent,
)
from baas.functions.lifecycle import Proceed, Stage
from baas.functions.model import Backoff, RetryPolicy
from baas.functions.transactions import Transaction

__all__ = [
    "AuthEvent",
    "Backoff",
    "BeforeWrite",
    "CustomEvent",
    "DocumentEvent",
    "Error",
    "HttpRequest",
    "Options",
    "Proceed",
    "QueueEvent",
    "QueueMessage",
    "RetryPolicy",
    "Stage",
    "StorageEvent",
    "TimerEvent",
    "Transaction",
    "before",
    "event",
    "hook",
    "http",
    "initializer",
    "middleware",
    "mount",
    "on",
    "timer",
    "webhook",
]

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M", bound=Callable[..., Awaitable[Any]])


class Options(TypedDict, total=False):
    """Options of a function; docs/functions.md says what each means. The same names stand in
    baas.yaml, below `functions: {NAME: ...}`, and win there."""

    name: str
    timeout: float
    isolation: Literal["inline", "thread", "process"]
    memory: int | str
    concurrency: int
    min_workers: int
    max_workers: int
    idle_timeout: float
    retries: str | RetryPolicy
    on_success: str | Sequence[str]
    on_failure: str | Sequence[str]
    env: Mapping[str, str]


def event(bare: None = None, /, **options: Unpack[Options]) -> Callable[[F], F]:
    """Clients may call it: `POST /v1/functions/{name}`, as far as rules/_functions.yaml allows."""
    _refuse_bare("event", bare)
    return _declare("event", {}, options)


def http(method: str, path: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """A route below `/http`. `method` may be `*`; a path's `{id}` is one segment, `{rest...}` at
    the end is all that follows. Public, unless rules/_functions.yaml narrows it."""
    return _declare("http", {"method": method, "path": path}, options)


def timer(
    cron: str,
    *,
    tz: str = "UTC",
    missed: Literal["skip", "once", "all"] = "skip",
    payload: Any = None,
    **options: Unpack[Options],
) -> Callable[[F], F]:
    """At the times of a cron expression, read in the zone `tz`; once over all gateways."""
    _refuse_bare("timer", cron)
    fields = {"cron": cron, "tz": tz, "missed": missed, "payload": payload}
    return _declare("timer", fields, options)


def on(
    type: str,
    *,
    where: Mapping[str, Any] | None = None,
    prefix: str | None = None,
    suffix: str | None = None,
    batch: int | None = None,
    ordered: bool | None = None,
    **options: Unpack[Options],
) -> Callable[[F], F]:
    """After something happened: `database.<collection>.<insert|update|delete|write>` (with
    `where`), `storage.<put|delete>` (with `prefix`, `suffix`), `auth.<signed_up|...>`,
    `queue.<name>` (with `batch`), or an event of one's own, as `app.order.paid`. `ordered`: what
    happens to one document or file is told one after the other."""
    _refuse_bare("on", type)
    given = {
        "where": where,
        "prefix": prefix,
        "suffix": suffix,
        "batch": batch,
        "ordered": ordered,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    return _declare("on", {"type": type, **fields}, options)


def before(type: str, **options: Unpack[Options]) -> Callable[[F], F]:
    """Before a write, `database.<collection>.<insert|update|delete>`: may change or refuse it."""
    _refuse_bare("before", type)
    return _declare("before", {"type": type}, options)


def webhook(
    path: str, *, secret: str, scheme: str = "standard", **options: Unpack[Options]
) -> Callable[[F], F]:
    """A route below `/http` for POSTs signed with the secret of that name (`baas secrets set`)."""
    return _declare("webhook", {"path": path, "secret": secret, "scheme": scheme}, options)


def _refuse_bare(name: str, first: object) -> None:
    """`@fn.timer` without parentheses is handed the function, and would declare nothing."""
    if callable(first):
        raise TypeError(f"@fn.{name} is written with parentheses: @fn.{name}(...)")


def _declare(kind: str, fields: dict[str, Any], options: Options) -> Callable[[F], F]:
    module, line = collect.caller(3)

    def decorate(function: F) -> F:
        collector = collect.current()
        if collector is not None:
            declaration = collector.function(function, module, line)
            declaration.triggers.append(collect.Declared(kind, fields, line))
            declaration.options += [(name, value, line) for name, value in options.items()]
        return function

    return decorate


# -- beside functions -----------------------------------------------------------------------------


def mount(path: str, app: Any, *, wsgi: bool | None = None) -> None:
    """An existing ASGI or WSGI app below `/http` + `path`, WebSockets included. Which of the two
    it is, is seen by its signature unless `wsgi` says. Public, unless `http:` narrows it."""
    _extra("mount", app, {"path": path, "wsgi": wsgi}, *collect.caller())


Functions = str | Callable[..., Any]


@overload
def initializer(function: F, /) -> F: ...
@overload
def initializer(*, functions: Sequence[Functions] = ()) -> Callable[[F], F]: ...
def initializer(function: Any = None, /, *, functions: Sequence[Functions] = ()) -> Any:
    """Runs with `(ctx)` once per function and worker, before the first call there; what it keeps
    in `ctx.state` is there in every call. For the functions of its file, or for those named."""
    return _around("initializer", function, {"functions": functions}, *collect.caller())


@overload
def middleware(function: M, /) -> M: ...
@overload
def middleware(
    *, groups: Sequence[str] = (), functions: Sequence[Functions] = ()
) -> Callable[[M], M]: ...
def middleware(
    function: Any = None,
    /,
    *,
    groups: Sequence[str] = (),
    functions: Sequence[Functions] = (),
) -> Any:
    """`async def timed(ctx, event, proceed)` around every call, whatever triggered it:
    `await proceed(event)` runs the rest and gives the result. Global ones stand outermost, then
    those of `groups`, then those of `functions`; each in the order declared."""
    fields = {"groups": groups, "functions": functions}
    return _around("middleware", function, fields, *collect.caller())


def hook(
    when: str, *, groups: Sequence[str] = (), functions: Sequence[Functions] = ()
) -> Callable[[F], F]:
    """Runs with a `Stage` before or after a stage of life: `runtime`, `function`, `invoke` or
    `close`, as `@fn.hook("invoke.before")`."""
    fields = {"when": when, "groups": groups, "functions": functions}
    module, line = collect.caller()

    def decorate(function: F) -> F:
        _extra("hook", function, fields, module, line)
        return function

    return decorate


def _around(kind: str, function: Any, fields: dict[str, Any], module: str, line: int) -> Any:
    def decorate(given: Any) -> Any:
        _extra(kind, given, fields, module, line)
        return given

    return decorate if function is None else decorate(function)


def _extra(kind: str, run: Any, fields: dict[str, Any], module: str, line: int) -> None:
    collector = collect.current()
    if collector is not None:
        collector.extras.append(collect.Extra(kind, run, module, line, fields))
