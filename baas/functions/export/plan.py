"""What of a release another cloud can run, and what it cannot."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from baas.functions.export.sources import Use
from baas.functions.model import (
    FunctionSpec,
    HttpTrigger,
    QueueTrigger,
    Release,
    TimerTrigger,
    Trigger,
    WebhookTrigger,
    kind_of,
)

_MIB: Final = 1024**2
#: For functions without a memory limit of their own: what the kit itself needs, and as much again.
DEFAULT_MIB: Final = 256
LEAST_MIB: Final = 128
#: Kinds of triggers that need nothing of the cloud's but a call, a route or a clock.
_CARRIED: Final = ("event", "http", "webhook", "timer")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`contract` is the one whose handlers run there as they are; `cron` writes a timer as that
    cloud does; `max_timeout` in seconds; `max_memory` in MiB, which goes in steps of `step`;
    `queues` whether its manifest can make queues."""

    contract: str
    cron: Callable[[TimerTrigger], str]
    max_timeout: int
    max_memory: int
    step: int = 1
    queues: bool = False


class Route(msgspec.Struct, frozen=True):
    """`path` as `/orders/{id}`, the rest of a path as `{rest...}`; `method` may be `*`."""

    method: str
    path: str


class Timer(msgspec.Struct, frozen=True):
    """`cron` in the cloud's own form."""

    cron: str
    tz: str
    payload: Any = None


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """`handler` is `module.attribute` below the functions folder; `direct` says that it is that
    cloud's own handler, which needs no entry; `timeout` in seconds, `memory` in MiB; `secrets`
    are names."""

    name: str
    handler: str
    direct: bool
    timeout: int
    memory: int
    env: dict[str, str]
    secrets: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    timers: tuple[Timer, ...] = ()
    queues: tuple[QueueTrigger, ...] = ()

    @property
    def identifier(self) -> str:
        """The name as Python and manifests may have it."""
        return re.sub(r"\W", "_", self.name)


class Remark(msgspec.Struct, frozen=True):
    """One line of the report. `about` is a function's name, a mount's path, or `all`."""

    about: str
    text: str


class Plan(msgspec.Struct, frozen=True):
    functions: tuple[Planned, ...]
    remarks: tuple[Remark, ...]


def plan_of(
    release: Release, target: Target, uses: Mapping[str, Use], names: Collection[str] = ()
) -> Plan:
    """`uses` says what each file does with `ctx`; `names` which functions, all where empty."""
    remarks: list[Remark] = []
    functions: list[Planned] = []
    for name, spec in sorted(release.functions.items()):
        if names and name not in names:
            continue
        planned, told = _plan(spec, target, uses.get(spec.file, Use()))
        remarks += [Remark(name, text) for text in told]
        if planned is not None:
            functions.append(planned)
    if not names:
        remarks += [
            Remark(mount.path or "/", "left out: a mounted app needs a server, not a function")
            for mount in release.mounts
        ]
    return Plan(tuple(functions), tuple(remarks))


def _plan(spec: FunctionSpec, target: Target, use: Use) -> tuple[Planned | None, list[str]]:
    told: list[str] = []
    timers = _timers(spec, target, told)
    left = [one for one in spec.triggers if not _carries(one, target)]
    told += [f"its trigger {_named(one)} is left out: that cloud has no such event" for one in left]
    kept = len(spec.triggers) - len(left) - len(spec.triggers_of(TimerTrigger)) + len(timers)
    if not kept:
        return None, [*told, "left out: none of its triggers carries over"]
    planned = Planned(
        name=spec.name,
        handler=spec.target.replace(":", "."),
        direct=spec.contract == target.contract,
        timeout=_bounded("timeout", max(1, round(spec.timeout)), target.max_timeout, "s", told),
        memory=_memory(spec, target, told),
        env=dict(spec.env),
        secrets=tuple(
            sorted({*use.secrets, *(t.secret for t in spec.triggers_of(WebhookTrigger))})
        ),
        routes=_routes(spec),
        timers=tuple(timers),
        queues=tuple(spec.triggers_of(QueueTrigger)) if target.queues else (),
    )
    return planned, told + list(_remarks(spec, planned, use))


def _carries(trigger: Trigger, target: Target) -> bool:
    return kind_of(trigger) in _CARRIED or (target.queues and isinstance(trigger, QueueTrigger))


def _named(trigger: Trigger) -> str:
    members = msgspec.to_builtins(trigger)
    words = [
        str(members[key])
        for key in ("collection", "operation", "event", "queue", "type")
        if members.get(key)
    ]
    return ".".join([kind_of(trigger), *words])


def _timers(spec: FunctionSpec, target: Target, told: list[str]) -> list[Timer]:
    found: list[Timer] = []
    for trigger in spec.triggers_of(TimerTrigger):
        try:
            found.append(Timer(target.cron(trigger), trigger.tz, trigger.payload))
        except ValueError as fault:
            told.append(f"its timer '{trigger.cron}' ({trigger.tz}) is left out: {fault}")
            continue
        if trigger.missed != "skip":
            told.append(f"missed: {trigger.missed} is not kept: that cloud decides")
    return found


def _routes(spec: FunctionSpec) -> tuple[Route, ...]:
    routes = [Route(one.method, one.path) for one in spec.triggers_of(HttpTrigger)]
    return (*routes, *(Route("POST", one.path) for one in spec.triggers_of(WebhookTrigger)))


def _memory(spec: FunctionSpec, target: Target, told: list[str]) -> int:
    wanted = DEFAULT_MIB if spec.memory is None else max(LEAST_MIB, spec.memory // _MIB)
    stepped = -(-wanted // target.step) * target.step
    return _bounded("memory", stepped, target.max_memory, "MiB", told)


def _bounded(what: str, value: int, most: int, unit: str, told: list[str]) -> int:
    if value > most:
        told.append(f"its {what} of {value} {unit} becomes {most} {unit}, the most there is")
    return min(value, most)


def _remarks(spec: FunctionSpec, planned: Planned, use: Use) -> Iterable[str]:
    kinds = {kind_of(trigger) for trigger in spec.triggers}
    if "event" in kinds:
        yield (
            "no POST /v1/functions/{name} and no rules/_functions.yaml there: it is called by that"
            " cloud's own API, whose permissions say by whom"
        )
    if "http" in kinds:
        yield "http: of rules/_functions.yaml does not hold there: its routes are public"
    if spec.on_success or spec.on_failure:
        yield "its destinations are left out"
    if spec.concurrency is not None:
        yield f"its concurrency of {spec.concurrency} is left out"
    if "queue" in kinds or "timer" in kinds:
        yield "its retries are that cloud's"
    for name in planned.secrets:
        yield f"needs the secret {name}: its value is not exported, set BAAS_SECRET_{name}"
    if use.other_secrets:
        yield "takes secrets by names that are not in its text: set BAAS_SECRET_<NAME> for each"
    for part in use.missing:
        yield f"its file uses {part}, which answers NOT_SUPPORTED there"
