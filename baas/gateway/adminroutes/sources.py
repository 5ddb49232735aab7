"""`/v1/admin/functions/...`: source of versions, timers with their next ticks, sample events."""

from __future__ import annotations

from base64 import b64encode
from itertools import islice
from typing import Any, Final

import msgspec

from baas.errors import Code, not_found
from baas.functions.model import FunctionSpec, TimerTrigger
from baas.functions.samples import SAMPLES, sample
from baas.functions.triggers.timers import ticks, timer_name
from baas.gateway.adminroutes.table import Body, admin_route
from baas.gateway.functions import READ
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.ports.documents import resolve
from baas.schema.actor import Actor

#: Ticks shown of each timer.
NEXT: Final = 5


class SourceBody(Body, frozen=True):
    """Without `version`: the one in force."""

    version: str | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A version's files in base64, by path, and its part of baas.yaml: what a deploy takes."""

    version: str
    files: dict[str, str]
    config: dict[str, Any]


class TimerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Times in ms since 1970; `last` the last tick that was recorded, None for none."""

    function: str
    cron: str
    tz: str
    missed: str
    last: int | None
    next: list[int]


class Timers(msgspec.Struct, frozen=True):
    timers: list[TimerInfo]


class SampleEvent(msgspec.Struct, frozen=True):
    name: str
    what: str
    event: Any


class SampleEvents(msgspec.Struct, frozen=True):
    samples: list[SampleEvent]


async def _source(services: Services, actor: Actor, body: SourceBody) -> Source:
    primary = services.functions.service.registry.primary
    version = body.version or (primary.release.hash if primary else None)
    if version is None:
        raise not_found("No functions are in force.")
    bundle = await services.functions.releases.versions.bundle(version)
    files = {path: b64encode(data).decode() for path, data in sorted(bundle.files.items())}
    return Source(version=version, files=files, config=bundle.config)


async def _timers(services: Services, actor: Actor, body: None) -> Timers:
    primary = services.functions.service.registry.primary
    found = [] if primary is None else list(primary.release.with_trigger(TimerTrigger))
    return Timers([await _timer(services, spec, trigger) for spec, trigger in found])


async def _timer(services: Services, spec: FunctionSpec, trigger: TimerTrigger) -> TimerInfo:
    coming = islice(ticks(trigger.cron, trigger.tz, services.clock.now_ms()), NEXT)
    return TimerInfo(
        function=spec.name,
        cron=trigger.cron,
        tz=trigger.tz,
        missed=trigger.missed,
        last=await resolve(services.functions.jobs().last_tick(timer_name(spec, trigger))),
        next=list(coming),
    )


async def _samples(services: Services, actor: Actor, body: None) -> SampleEvents:
    return SampleEvents(
        [SampleEvent(name, one.what, sample(name)) for name, one in sorted(SAMPLES.items())]
    )


ROUTES: Final[tuple[Route, ...]] = (
    admin_route(
        "functions/source",
        "The files of a version",
        READ,
        _source,
        SourceBody,
        Source,
        Code.NOT_FOUND,
    ),
    admin_route("functions/timers", "Timers and when they fire next", READ, _timers, None, Timers),
    admin_route(
        "functions/samples", "Sample events by kind of trigger", READ, _samples, None, SampleEvents
    ),
)
