"""`ctx`: what a function sees of its call and of the kit.

A context is made for every call, so it is cheap: its parts are made when they are first used. It
reaches the kit through a `Host`: directly in the gateway, over the worker's pipe in `process`.

In an async function what `ctx` offers is awaited. In a sync function, which runs in a thread, the
same names answer at once: `ctx.database.collection("posts").get(id="p1")`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final, Protocol, TypeVar

import msgspec

from baas.functions.clients import Database, Queue
from baas.functions.files import Storage
from baas.functions.model import Call, TriggerInfo
from baas.functions.pushes import Push
from baas.functions.values import to_wire
from baas.ports.documents import MaybeAwaitable
from baas.schema.actor import Actor
from baas.schema.values import Value

T = TypeVar("T")

#: Longest delay of an asynchronous call or message, in seconds.
MAX_DELAY: Final = 15 * 86_400.0


class Auth(msgspec.Struct, frozen=True, kw_only=True):
    """`ctx.auth`: the verified caller, with the members that `auth` has in rules. They can also
    be had by name: `ctx.auth["uid"]`, `ctx.auth.get("unionid")`."""

    uid: str
    openid: str
    loginType: str | None = None
    unionid: str | None = None
    appid: str | None = None
    roles: tuple[str, ...] = ()
    claims: dict[str, Any] = {}
    identities: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self.__struct_fields__:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        value = self[name] if name in self.__struct_fields__ else None
        return default if value is None else value


def auth_of(actor: Actor) -> Auth | None:
    """None where nobody is signed in."""
    if actor.uid is None:
        return None
    return Auth(
        uid=actor.uid,
        openid=actor.uid,
        loginType=actor.login_type,
        unionid=actor.unionid,
        appid=actor.appid,
        roles=actor.roles,
        claims=actor.claims,
        identities=actor.identities,
    )


class Dispatch(Protocol):
    """Where asynchronous work of functions goes. Each is durable when it returns."""

    async def emit(self, type: str, data: Value, origin: Call) -> None:
        """An event of the app's own, to every function that listens for `type`."""
        ...

    async def send(
        self, queue: str, body: Value, *, delay: float, ordering: str | None, origin: Call
    ) -> str:
        """A message for `queue`; its id."""
        ...

    async def enqueue(self, call: Call, delay: float) -> str:
        """`call` to be run `delay` seconds from now; its invocation id."""
        ...


class Host(Protocol):
    """The kit, as one call may use it. Bodies and answers are JSON as in the protocol; dates are
    `{"$date": ...}`. Everything raises Problem."""

    def database(
        self, verb: str, collection: str, body: bytes, as_caller: bool, snapshot: str | None
    ) -> MaybeAwaitable[bytes]:
        """`snapshot` names one opened by `begin`: only reads, as of its moment."""
        ...

    def begin(self) -> Awaitable[str]:
        """Opens a snapshot of the database; `end` it."""
        ...

    def end(self, snapshot: str) -> Awaitable[None]: ...

    def commit(self, body: bytes, as_caller: bool) -> Awaitable[bytes]:
        """The body of a database transaction."""
        ...

    def storage(
        self, verb: str, argument: bytes, as_caller: bool, stream: str | None
    ) -> Awaitable[bytes]:
        """`stat list sign delete copy move`: body and answer as in the protocol. `open` and
        `create` (JSON, see `filehost`) begin a stream, told as `{"stream": name, "file"?}`, and
        `close` ends it: `read` gives the next piece, empty at the end; `write` takes one, `commit`
        makes the file and gives it."""
        ...

    def push(self, verb: str, body: Value, as_caller: bool) -> Awaitable[Value]:
        """`send` and `presence`; see `baas.push.channels.orders`."""
        ...

    def call(self, name: str, event: Value) -> Awaitable[Value]: ...

    def enqueue(self, name: str, event: Value, delay: float) -> Awaitable[str]: ...

    def emit(self, type: str, data: Value) -> Awaitable[None]: ...

    def send(
        self, queue: str, body: Value, delay: float, ordering: str | None
    ) -> Awaitable[str]: ...


LogSink = Callable[[str, str, dict[str, Any]], None]


class Log:
    """`ctx.log`: `ctx.log.info("paid", order=id)`. Lines go to the invocation's record and to the
    gateway's log, without secrets. Calling it is `info`."""

    __slots__ = ("_sink",)

    def __init__(self, sink: LogSink) -> None:
        self._sink = sink

    def __call__(self, message: object, **fields: Any) -> None:
        self._sink("info", str(message), fields)

    def debug(self, message: object, **fields: Any) -> None:
        self._sink("debug", str(message), fields)

    def info(self, message: object, **fields: Any) -> None:
        self._sink("info", str(message), fields)

    def warning(self, message: object, **fields: Any) -> None:
        self._sink("warning", str(message), fields)

    def error(self, message: object, **fields: Any) -> None:
        self._sink("error", str(message), fields)


class Secrets(Mapping[str, str]):
    """`ctx.secrets["STRIPE_KEY"]`. Shows names, never values."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[name]
        except KeyError:
            raise KeyError(f"there is no secret {name!r}; see baas secrets set") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Secrets({', '.join(sorted(self._values))})"


class Settings(msgspec.Struct, frozen=True):
    """What a context is made with beside its call. `deadline` in seconds of `time.monotonic`;
    `settle` waits for an awaitable from a sync function's thread, None in async ones."""

    host: Host
    log: LogSink
    deadline: float
    state: dict[str, Any]
    config: Mapping[str, str]
    secrets: Mapping[str, str]
    settle: Callable[[Awaitable[Any]], Any] | None = None


class Context:
    """See docs/functions-runtime.md. `state` is a dict of this function in this worker, filled by
    its initializer; `config` its environment as declared; `remaining` the seconds that are left.
    """

    __slots__ = ("_as_caller", "_auth", "_call", "_database", "_log", "_settings")

    def __init__(self, call: Call, settings: Settings, *, as_caller: bool = False) -> None:
        self._call = call
        self._settings = settings
        self._as_caller = as_caller
        self._auth: Any = _UNMADE
        self._database: Database | None = None
        self._log: Log | None = None

    # -- the call ----------------------------------------------------------------------------------

    @property
    def auth(self) -> Auth | None:
        """The verified caller; None where nobody is signed in, and behind a trigger."""
        if self._auth is _UNMADE:
            self._auth = auth_of(self._call.actor)
        found: Auth | None = self._auth
        return found

    @property
    def trigger(self) -> TriggerInfo:
        return self._call.trigger

    @property
    def function(self) -> str:
        """The name it was called by."""
        return self._call.function

    @property
    def requestId(self) -> str:
        return self._call.request_id

    @property
    def invocationId(self) -> str:
        return self._call.invocation_id

    @property
    def attempt(self) -> int:
        """1, and more where an asynchronous call is tried again."""
        return self._call.attempt

    @property
    def depth(self) -> int:
        """How long the chain of calls and triggers is that led here."""
        return self._call.depth

    @property
    def raw_event(self) -> Any:
        """The event as it came, before its type was applied."""
        return self._call.event if self._call.raw_event is None else self._call.raw_event

    @property
    def raw_context(self) -> Any:
        return self._call.raw_context

    @property
    def remaining(self) -> float:
        """Seconds until the time limit; 0 when it has passed."""
        return max(0.0, self._settings.deadline - time.monotonic())

    # -- the worker --------------------------------------------------------------------------------

    @property
    def state(self) -> dict[str, Any]:
        return self._settings.state

    @property
    def config(self) -> Mapping[str, str]:
        return self._settings.config

    @property
    def secrets(self) -> Mapping[str, str]:
        return Secrets(self._settings.secrets)

    @property
    def log(self) -> Log:
        if self._log is None:
            self._log = Log(self._settings.log)
        return self._log

    # -- the kit -----------------------------------------------------------------------------------

    @property
    def database(self) -> Database:
        """With server rights: no rule applies. `as_caller()` has one that obeys them."""
        if self._database is None:
            self._database = Database(self._settings.host, self._as_caller, self._settings.settle)
        return self._database

    @property
    def queue(self) -> Queue:
        return Queue(self._settings.host, self._settings.settle)

    @property
    def storage(self) -> Storage:
        """With server rights: no rule applies. `as_caller()` has one that obeys them."""
        return Storage(self._settings.host, self._as_caller, self._settings.settle)

    @property
    def push(self) -> Push:
        """With server rights: no rule applies. `as_caller()` has one that obeys them."""
        return Push(self._settings.host, self._as_caller, self._settings.settle)

    def as_caller(self) -> Context:
        """The same call with the caller's rights: rules decide as if the caller asked itself."""
        return Context(self._call, self._settings, as_caller=True)

    def call(self, name: str, event: Any = None) -> Any:
        """Runs another function as this caller and gives its result. Its `fn.Error` is raised
        here; other failures as Problem."""
        return self._settle(self._settings.host.call(name, to_wire(event)))

    def enqueue(self, name: str, event: Any = None, *, delay: float = 0.0) -> Any:
        """Has another function run asynchronously, `delay` seconds from now; its invocation id."""
        check_delay(delay)
        return self._settle(self._settings.host.enqueue(name, to_wire(event), delay))

    def emit(self, type: str, data: Any = None) -> Any:
        """An event for every function with `@fn.on(type)`; durable when it returns."""
        return self._settle(self._settings.host.emit(type, to_wire(data)))

    def _settle(self, awaitable: Awaitable[T]) -> Any:
        settle = self._settings.settle
        return awaitable if settle is None else settle(awaitable)

    def __repr__(self) -> str:
        return f"<Context of {self._call.function}, request {self._call.request_id}>"


_UNMADE: Final = object()


def check_delay(delay: float) -> None:
    """ValueError unless it is 0 to MAX_DELAY seconds."""
    if not 0 <= delay <= MAX_DELAY:
        raise ValueError(f"a delay is 0 to {MAX_DELAY:.0f} seconds, not {delay}")
