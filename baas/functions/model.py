"""What cloud functions are made of: specs, triggers, releases, calls.

Everything here is immutable and knows no engine. `load` makes a Release of a folder of files,
`registry` says which release serves a caller, `invoke` runs a Call.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from baas.query.ast import ALWAYS, Filter
from baas.schema.actor import NOBODY, Actor

Isolation: TypeAlias = Literal["inline", "thread", "process"]
Contract: TypeAlias = Literal["native", "scf", "fc", "lambda"]
ISOLATIONS: Final = ("inline", "thread", "process")
CONTRACTS: Final = ("native", "scf", "fc", "lambda")

#: A chain of calls and triggers that is this deep is LOOP_DETECTED.
MAX_DEPTH: Final = 16
#: Longest life of an asynchronous call, in seconds: 15 days.
MAX_AGE: Final = 15 * 86_400.0
_MAX_FACTOR: Final = 100.0
DEFAULT_TIMEOUT: Final = 30.0
DEFAULT_IDLE_TIMEOUT: Final = 60.0
DEFAULT_MAX_WORKERS: Final = 2


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    pass


# -- triggers -------------------------------------------------------------------------------------


class _Trigger(_Record, frozen=True, kw_only=True, tag_field="kind"):
    """`line` is where it was declared (0: in baas.yaml)."""

    line: int = 0


class EventTrigger(_Trigger, frozen=True, kw_only=True, tag="event"):
    """Callable by clients: `POST /v1/functions/{name}`, as far as rules/_functions.yaml allows."""


class HttpTrigger(_Trigger, frozen=True, kw_only=True, tag="http"):
    """A route below `/http`. `method` is upper case, or `*`; `path` as `/orders/{id}`."""

    method: str
    path: str


class TimerTrigger(_Trigger, frozen=True, kw_only=True, tag="timer"):
    """`cron` has five fields (or six, seconds first), read in the zone `tz`. `missed` says what
    becomes of ticks that no gateway was there for; `payload` is passed on in the event."""

    cron: str
    tz: str = "UTC"
    missed: Literal["skip", "once", "all"] = "skip"
    payload: Any = None


class DocumentTrigger(_Trigger, frozen=True, kw_only=True, tag="database"):
    """After a committed change. `operation`: insert, update, delete, or `write` for all three.
    `where` is asked of the document after the change (before it, for a delete). `ordered`: events
    of one document run one after the other, as they happened."""

    collection: str
    operation: Literal["insert", "update", "delete", "write"]
    where: Filter = ALWAYS
    raw_where: dict[str, Any] | None = None
    ordered: bool = False


class StorageTrigger(_Trigger, frozen=True, kw_only=True, tag="storage"):
    """After a file was written (`put`) or deleted (`delete`) whose path begins and ends so.
    `ordered`: events of one file run one after the other, as they happened."""

    operation: Literal["put", "delete"]
    prefix: str = ""
    suffix: str = ""
    ordered: bool = False


class AuthTrigger(_Trigger, frozen=True, kw_only=True, tag="auth"):
    """`event` is one of AUTH_EVENTS."""

    event: str


class QueueTrigger(_Trigger, frozen=True, kw_only=True, tag="queue"):
    """Up to `batch` messages of a queue at a time."""

    queue: str
    batch: int = 1


class CustomTrigger(_Trigger, frozen=True, kw_only=True, tag="custom"):
    """An event of this type, from `ctx.emit` or a CloudEvent."""

    type: str


class WebhookTrigger(_Trigger, frozen=True, kw_only=True, tag="webhook"):
    """A route below `/http` that takes only bodies signed with the secret named `secret`, in the
    manner of `scheme` (one of WEBHOOK_SCHEMES)."""

    path: str
    secret: str
    scheme: str = "standard"


class BeforeTrigger(_Trigger, frozen=True, kw_only=True, tag="before"):
    """Before a write by anyone: may change or refuse it. A replace is an update here."""

    collection: str
    operation: Literal["insert", "update", "delete"]


Trigger: TypeAlias = (
    EventTrigger
    | HttpTrigger
    | TimerTrigger
    | DocumentTrigger
    | StorageTrigger
    | AuthTrigger
    | QueueTrigger
    | CustomTrigger
    | WebhookTrigger
    | BeforeTrigger
)

TRIGGER_KINDS: Final = (
    "event",
    "http",
    "timer",
    "database",
    "storage",
    "auth",
    "queue",
    "custom",
    "webhook",
    "before",
)
DOCUMENT_OPERATIONS: Final = ("insert", "update", "delete", "write")
BEFORE_OPERATIONS: Final = ("insert", "update", "delete")
STORAGE_OPERATIONS: Final = ("put", "delete")
AUTH_EVENTS: Final = ("signed_up", "signed_in", "signed_out", "deleted")
MISSED_POLICIES: Final = ("skip", "once", "all")
#: `standard` is the Standard Webhooks specification, `github` its X-Hub-Signature-256.
WEBHOOK_SCHEMES: Final = ("standard", "github")


def kind_of(trigger: Trigger) -> str:
    """The tag of a trigger: one of TRIGGER_KINDS."""
    return str(trigger.__struct_config__.tag)


# -- retries and destinations ---------------------------------------------------------------------


class Backoff(_Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`tries` more after the first (None: until the policy's `max_age`), the n-th of them after
    `first` * `factor` ** (n - 1) seconds, never more than `cap`."""

    tries: int | None = 3
    first: float = 1.0
    factor: float = 2.0
    cap: float = 60.0

    def __post_init__(self) -> None:
        if self.tries is not None and self.tries < 0:
            raise ValueError("tries is 0 or more, or null for until it is too old")
        if not (0 <= self.first <= MAX_AGE and 0 <= self.cap <= MAX_AGE):
            raise ValueError(f"first and cap are 0 to {MAX_AGE:.0f} seconds")
        if not 1 <= self.factor <= _MAX_FACTOR:
            raise ValueError(f"factor is 1 to {_MAX_FACTOR:.0f}")


class RetryPolicy(_Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an asynchronous call is tried again, by class of error.

    `function`: the function's own error or time limit; `system`: the kit, the machine or a worker
    failed; `throttled`: it was told to come back later. Nothing begins later than `max_age`
    seconds after the call was accepted.
    """

    function: Backoff = Backoff()
    system: Backoff = Backoff(tries=None, first=0.5, cap=300.0)
    throttled: Backoff = Backoff(tries=None, first=1.0, cap=60.0)
    max_age: float = 6 * 3600.0

    def __post_init__(self) -> None:
        if not 0 < self.max_age <= MAX_AGE:
            raise ValueError(f"max_age is more than 0 and at most {MAX_AGE:.0f} seconds")


_NEVER: Final = Backoff(tries=0)
#: What `retries:` may name.
RETRY_PRESETS: Final[dict[str, RetryPolicy]] = {
    "default": RetryPolicy(),
    "none": RetryPolicy(function=_NEVER, system=_NEVER, throttled=_NEVER),
    "quick": RetryPolicy(function=Backoff(tries=3, first=0.1, cap=1.0), max_age=600.0),
    "patient": RetryPolicy(function=Backoff(tries=8, first=10.0, cap=3600.0), max_age=86_400.0),
    "forever": RetryPolicy(function=Backoff(tries=None, first=1.0, cap=600.0), max_age=MAX_AGE),
}


class FunctionDestination(_Record, frozen=True, kw_only=True, tag_field="kind", tag="function"):
    """Called asynchronously, with the outcome as its event."""

    function: str


class QueueDestination(_Record, frozen=True, kw_only=True, tag_field="kind", tag="queue"):
    queue: str


class WebhookDestination(_Record, frozen=True, kw_only=True, tag_field="kind", tag="webhook"):
    """POSTed to, signed with the secret named `secret` unless that is empty."""

    url: str
    secret: str = ""


Destination: TypeAlias = FunctionDestination | QueueDestination | WebhookDestination


# -- functions ------------------------------------------------------------------------------------


class FunctionSpec(_Record, frozen=True, kw_only=True):
    """One function, decorators and baas.yaml taken together.

    `target` is `module:attribute` in the release's namespace (`posts:publish`, `orders.list:main`)
    and `handler` the callable itself. `file` is relative to the app's folder, `line` from 1.
    `takes` is how many positional arguments it is given: (ctx, event), (ctx) or none; a foreign
    contract is given its own two. `event_type` and `result_type` are its annotations, None where
    there are none. `timeout` and `idle_timeout` are seconds, `memory` bytes. `concurrency` is calls
    at once per worker: None is one in `process`, no bound else. `env` includes the group's.
    `version` is the release's hash.
    """

    name: str
    handler: Callable[..., Any]
    target: str
    file: str
    line: int
    triggers: tuple[Trigger, ...] = ()
    is_async: bool = True
    takes: int = 2
    event_type: Any = None
    result_type: Any = None
    isolation: Isolation = "inline"
    timeout: float = DEFAULT_TIMEOUT
    memory: int | None = None
    concurrency: int | None = None
    min_workers: int = 0
    max_workers: int = DEFAULT_MAX_WORKERS
    idle_timeout: float = DEFAULT_IDLE_TIMEOUT
    retries: RetryPolicy = RETRY_PRESETS["default"]
    on_success: tuple[Destination, ...] = ()
    on_failure: tuple[Destination, ...] = ()
    env: dict[str, str] = {}
    labels: dict[str, str] = {}
    group: str | None = None
    contract: Contract = "native"
    version: str = ""

    def triggers_of(self, kind: type[Any]) -> list[Any]:
        """Its triggers of one type, in the order declared."""
        return [trigger for trigger in self.triggers if isinstance(trigger, kind)]


class Mount(_Record, frozen=True, kw_only=True):
    """An ASGI (or WSGI) app below `/http` + `path`; `path` has no trailing slash."""

    path: str
    app: Any
    wsgi: bool = False
    file: str = ""
    line: int = 0


#: Stages and their two sides: what `@fn.hook` may name.
HOOKS: Final = (
    "runtime.before",
    "runtime.after",
    "function.before",
    "function.after",
    "invoke.before",
    "invoke.after",
    "close.before",
    "close.after",
)


class Reach(_Record, frozen=True, kw_only=True):
    """Which functions a hook, middleware or initializer is for: named ones, those of groups or of
    one module, or (all empty) every one."""

    functions: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    module: str = ""

    def covers(self, spec: FunctionSpec) -> bool:
        if not (self.functions or self.groups or self.module):
            return True
        return (
            spec.name in self.functions
            or spec.group in self.groups
            or self.module == spec.target.partition(":")[0]
        )


class Hook(_Record, frozen=True, kw_only=True):
    """`run` is given a `lifecycle.Stage`."""

    when: str
    run: Callable[..., Any]
    reach: Reach = Reach()


class Middleware(_Record, frozen=True, kw_only=True):
    """`run(ctx, event, proceed)` where `await proceed(event)` is the rest of the onion."""

    run: Callable[..., Any]
    scope: Literal["global", "group", "function"] = "global"
    reach: Reach = Reach()


class Initializer(_Record, frozen=True, kw_only=True):
    """`run(ctx)`, once per function and worker, before its first call there."""

    run: Callable[..., Any]
    reach: Reach = Reach()


class Group(_Record, frozen=True, kw_only=True):
    """An entry of `services:`. `functions` are names of its members; `layers` folders below the
    functions folder, in the order that they go on the path."""

    name: str
    functions: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    env: dict[str, str] = {}


class Release(_Record, frozen=True, kw_only=True):
    """One immutable version of all functions of an app.

    `hash` is the digest of its files and settings; `namespace` the package that its modules were
    imported under; `folder` the copy of its files that they were imported from. `aggregate` says
    which functions share a worker process: name of the worker to names of functions. `config` is
    the bundle's, for worker processes to load the same release.
    """

    hash: str
    namespace: str
    folder: Path
    functions: dict[str, FunctionSpec] = {}
    mounts: tuple[Mount, ...] = ()
    hooks: tuple[Hook, ...] = ()
    middleware: tuple[Middleware, ...] = ()
    initializers: tuple[Initializer, ...] = ()
    groups: dict[str, Group] = {}
    aggregate: dict[str, tuple[str, ...]] = {}
    config: dict[str, Any] = {}

    def with_trigger(self, kind: type[Any]) -> list[tuple[FunctionSpec, Any]]:
        """Every trigger of one type with its function, in the order of names."""
        return [
            (spec, trigger)
            for _, spec in sorted(self.functions.items())
            for trigger in spec.triggers_of(kind)
        ]


# -- calls ----------------------------------------------------------------------------------------


class TriggerInfo(_Record, frozen=True, kw_only=True):
    """`ctx.trigger`: what started a call. `kind` is one of TRIGGER_KINDS, `call` (from another
    function), `destination` or `redrive`; `details` are JSON: collection, cron, queue, path, ..."""

    kind: str = "event"
    details: dict[str, Any] = {}


class Call(_Record, frozen=True, kw_only=True):
    """One call of one function.

    `event` is a decoded JSON value, before its type is applied. `actor` is the verified caller
    (NOBODY behind a trigger). `deadline` is in seconds of `Clock.monotonic`, None: the function's
    timeout alone. `raw_event` and `raw_context` are what a foreign caller or contract sent.
    `attempt` counts from 1. `alias` says which versions serve it. `behind` is the uid behind a call
    from a function that nobody called itself.
    """

    function: str
    event: Any = None
    actor: Actor = NOBODY
    trigger: TriggerInfo = TriggerInfo()
    request_id: str = ""
    invocation_id: str = ""
    mode: Literal["sync", "async"] = "sync"
    attempt: int = 1
    depth: int = 0
    deadline: float | None = None
    raw_event: Any = None
    raw_context: Any = None
    ip: str = ""
    alias: str = "live"
    behind: str | None = None
