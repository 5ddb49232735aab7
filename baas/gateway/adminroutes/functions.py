"""`/v1/admin/functions` and `/v1/admin/jobs`: for admin keys with functions:read or :write."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

import msgspec

from baas.auth.scopes import require_scope
from baas.errors import Code, ConfigurationError, Problem, invalid, not_found
from baas.functions.bundle import MAX_BUNDLE_BYTES
from baas.functions.logs import LogQuery
from baas.functions.model import Call, FunctionSpec, TriggerInfo, kind_of
from baas.functions.registry import LIVE
from baas.functions.triggers.events import parse
from baas.functions.values import to_wire
from baas.gateway.adminroutes.table import Body, Work, admin_actor, admin_route, answer, own_route
from baas.gateway.body import read_body
from baas.gateway.exchange import Answer
from baas.gateway.functions import READ, WRITE
from baas.gateway.httpbody import headers_of
from baas.gateway.route import Call as RouteCall
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.ids import new_id
from baas.ports.documents import resolve
from baas.ports.jobs import JobState
from baas.schema.actor import NOBODY, Actor

#: A bundle in base64, and what is around it.
MAX_DEPLOY_BYTES: Final = MAX_BUNDLE_BYTES * 4 // 3 + 1024**2
#: What the audit log keeps of bodies.
RECORDED: Final = ("id", "name", "version", "versions", "function")


class DeployBody(Body, frozen=True, kw_only=True):
    """`files` by path below the functions folder, in base64; `config` the sections `functions`,
    `services` and `aggregate` of baas.yaml. `base`: the version that the files were made from;
    where another is in force by now, CONFLICT, and nothing is done."""

    files: dict[str, str]
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    base: str | None = None


class RollbackBody(Body, frozen=True, kw_only=True):
    """To a version, or (without) to what was in force before the present one."""

    version: str | None = None


class AliasBody(Body, frozen=True, kw_only=True):
    """One or two versions with their weights; of two, the second takes its share from the first."""

    versions: dict[str, float]
    name: str = LIVE


class TailBody(Body, frozen=True, kw_only=True):
    """`cursor` of the answer before; `wait` at most so many seconds for something to come."""

    cursor: str | None = None
    function: str = ""
    wait: float = 0.0


class FailuresBody(Body, frozen=True, kw_only=True):
    function: str = ""
    limit: int = 50


class IdBody(Body, frozen=True, kw_only=True):
    id: str


class JobsBody(Body, frozen=True, kw_only=True):
    """`states` failed and expired are the dead letters; `kind` is call, message or webhook;
    `before` the `next` of the page before."""

    states: tuple[JobState, ...] = ()
    kind: str | None = None
    queue: str | None = None
    before: str | None = None
    limit: int = 100


class Deployed(msgspec.Struct):
    version: str
    functions: list[str]


class FunctionInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A function of the release in force. `file` and `line` are where it is declared."""

    name: str
    file: str
    line: int
    isolation: str
    timeout: float
    triggers: list[dict[str, Any]]
    contract: str = "native"
    group: str | None = None
    version: str


class FunctionsStatus(msgspec.Struct, kw_only=True):
    """`error` is why what was tried last is not in force, "" where it is."""

    functions: list[FunctionInfo]
    mounts: list[str]
    aliases: dict[str, Any]
    serving: list[str]
    error: str


# -- what they do ----------------------------------------------------------------------------------


async def _status(services: Services, actor: Actor, body: None) -> FunctionsStatus:
    primary = services.functions.service.registry.primary
    status = services.functions.releases.status()
    release = primary.release if primary else None
    specs = sorted(release.functions.values(), key=lambda spec: spec.name) if release else []
    return FunctionsStatus(
        functions=[_info(spec) for spec in specs],
        mounts=[mount.path or "/" for mount in release.mounts] if release else [],
        aliases={name: msgspec.to_builtins(alias) for name, alias in status.aliases.items()},
        serving=list(status.serving),
        error=status.error,
    )


def _info(spec: FunctionSpec) -> FunctionInfo:
    return FunctionInfo(
        name=spec.name,
        file=spec.file,
        line=spec.line,
        isolation=spec.isolation,
        timeout=spec.timeout,
        triggers=[_trigger(trigger) for trigger in spec.triggers],
        contract=spec.contract,
        group=spec.group,
        version=spec.version,
    )


def _trigger(trigger: Any) -> dict[str, Any]:
    """As declared; a filter in its own words."""
    members: dict[str, Any] = {
        name: getattr(trigger, name)
        for name in trigger.__struct_fields__
        if name not in ("line", "where", "raw_where")
    }
    if getattr(trigger, "raw_where", None) is not None:
        members["where"] = trigger.raw_where
    shown: dict[str, Any] = to_wire({"kind": kind_of(trigger), **members})
    return shown


async def _versions(services: Services, actor: Actor, body: None) -> dict[str, Any]:
    return {"versions": await services.functions.releases.versions.newest()}


async def _deploy(services: Services, actor: Actor, body: DeployBody) -> Deployed:
    files = {path: _content(path, text) for path, text in body.files.items()}
    primary = services.functions.service.registry.primary
    if body.base is not None and (primary is None or primary.release.hash != body.base):
        raise Problem(Code.CONFLICT, "Another version has been put in force meanwhile.")
    try:
        release = await services.functions.releases.deploy(files, body.config, by=actor.key)
    except ConfigurationError as fault:
        raise invalid(fault.file or "files", str(fault)) from None
    return Deployed(release.hash, sorted(release.functions))


def _content(path: str, text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (NotBase64, ValueError):
        raise invalid(f"files.{path}", "is not base64") from None


async def _rollback(services: Services, actor: Actor, body: RollbackBody) -> Any:
    try:
        return await services.functions.releases.rollback(body.version)
    except ConfigurationError as fault:
        raise invalid("version", str(fault)) from None


async def _alias(services: Services, actor: Actor, body: AliasBody) -> Any:
    try:
        return await services.functions.releases.point(body.name, body.versions)
    except ConfigurationError as fault:
        raise invalid("versions", str(fault)) from None


async def _search(services: Services, actor: Actor, body: LogQuery) -> dict[str, Any]:
    return await services.functions.logs.search(body)


async def _tail(services: Services, actor: Actor, body: TailBody) -> dict[str, Any]:
    return await services.functions.tail().follow(body.cursor, body.function, body.wait)


async def _failures(services: Services, actor: Actor, body: FailuresBody) -> dict[str, Any]:
    return {"failures": await services.functions.logs.failures(body.function, body.limit)}


async def _failure(services: Services, actor: Actor, body: IdBody) -> dict[str, Any]:
    found = await services.functions.logs.failure(body.id)
    if found is None:
        raise not_found("There is no such failure.")
    return found


async def _replay(services: Services, actor: Actor, body: IdBody) -> dict[str, Any]:
    """Runs a captured call again, on the version in force: `{"result"}`, or `{"error", "failure"}`
    with the new capture. What was redacted in the capture stays so."""
    captured = await _failure(services, actor, body)
    call = await _captured_call(services, captured)
    try:
        return {"result": to_wire(await services.functions.service.invoke(call))}
    except Problem as problem:
        error = {"code": problem.public.name, "detail": problem.detail}
    await services.functions.service.records.flush()
    return {
        "error": error,
        "failure": await services.functions.logs.failure_of(call.invocation_id),
    }


async def _captured_call(services: Services, captured: dict[str, Any]) -> Call:
    event = captured["event"]
    if isinstance(event, dict) and set(event) == {"omitted"}:
        raise Problem(Code.NOT_SUPPORTED, "The event of this failure was too large to be kept.")
    uid = captured.get("uid")
    return Call(
        function=captured["function"],
        event=event,
        actor=NOBODY if uid is None else await services.auth.actor_of(uid),
        trigger=TriggerInfo(kind=captured["trigger"], details=captured["details"]),
        request_id=f"replay-{captured['_id']}",
        invocation_id=new_id(),
        depth=captured["depth"],
    )


async def _jobs(services: Services, actor: Actor, body: JobsBody) -> dict[str, Any]:
    letters = services.functions.background.letters
    return await letters.list(
        states=body.states,
        kind=body.kind,
        queue=body.queue,
        before=body.before,
        limit=max(1, body.limit),
    )


async def _counts(services: Services, actor: Actor, body: None) -> dict[str, Any]:
    counts = await resolve(services.functions.jobs().counts())
    found: dict[str, dict[str, int]] = {}
    for (queue, state), count in counts.items():
        found.setdefault(queue, {})[state.value] = count
    return {"queues": found}


async def _stop(services: Services, actor: Actor, body: IdBody) -> dict[str, Any]:
    state = await services.functions.background.letters.stop(body.id, actor)
    return {"id": body.id, "state": state.value}


async def _redrive(services: Services, actor: Actor, body: IdBody) -> dict[str, Any]:
    return await services.functions.background.letters.redrive(body.id)


async def receive_event(route: RouteCall) -> Answer:
    """A CloudEvent, structured or binary: for the functions that listen for its type."""
    actor = admin_actor(route)
    require_scope(actor, WRITE)
    services, exchange = route.services, route.exchange
    body = await read_body(exchange, route.receive, services.body_bytes)
    event = parse(headers_of(exchange.raw_headers), body)
    started = await services.functions.background.publish(event, actor.uid)
    return answer({"started": started})


# -- the table -------------------------------------------------------------------------------------


def _route(
    path: str,
    summary: str,
    scope: str,
    work: Work,
    body: Any = None,
    answers: Any = dict[str, Any],
    *codes: Code,
) -> Route:
    limit = MAX_DEPLOY_BYTES if body is DeployBody else 0
    return admin_route(
        path, summary, scope, work, body, answers, *codes, recorded=RECORDED, limit=limit
    )


_MISSING: Final = Code.NOT_FOUND
ROUTES: Final[tuple[Route, ...]] = (
    _route(
        "functions",
        "Functions in force, and what keeps others from it",
        READ,
        _status,
        None,
        FunctionsStatus,
    ),
    _route("functions/versions", "Versions that are kept, the newest first", READ, _versions),
    _route(
        "functions/deploy",
        "Put a new version in force",
        WRITE,
        _deploy,
        DeployBody,
        Deployed,
        Code.CONFLICT,
    ),
    _route(
        "functions/rollback",
        "Go back to a version",
        WRITE,
        _rollback,
        RollbackBody,
        dict[str, Any],
        _MISSING,
    ),
    _route(
        "functions/alias",
        "Point an alias at one or two versions",
        WRITE,
        _alias,
        AliasBody,
        dict[str, Any],
        _MISSING,
    ),
    _route("functions/logs", "Search what functions logged", READ, _search, LogQuery),
    _route("functions/logs/tail", "Follow invocations as they end", READ, _tail, TailBody),
    _route("functions/failures", "The newest failures", READ, _failures, FailuresBody),
    _route(
        "functions/failure",
        "One failure, as it was captured",
        READ,
        _failure,
        IdBody,
        dict[str, Any],
        _MISSING,
    ),
    _route(
        "functions/replay",
        "Run a captured call again",
        WRITE,
        _replay,
        IdBody,
        dict[str, Any],
        _MISSING,
        Code.NOT_SUPPORTED,
    ),
    _route("jobs", "How many jobs there are, by queue and state", READ, _counts),
    _route(
        "jobs/list", "Jobs, the newest first; dead letters by their states", READ, _jobs, JobsBody
    ),
    _route("jobs/stop", "Ask a job to stop", WRITE, _stop, IdBody, dict[str, Any], _MISSING),
    _route(
        "jobs/redrive",
        "Try a dead letter from the start",
        WRITE,
        _redrive,
        IdBody,
        dict[str, Any],
        _MISSING,
    ),
    own_route(
        "functions/events",
        "Take a CloudEvent",
        receive_event,
        body=dict[str, Any],
        answers=dict[str, Any],
        description=(
            "CloudEvents 1.0, structured (application/cloudevents+json) or binary (ce- headers)."
            " An event that comes again, by its source and id, starts nothing."
        ),
    ),
)
