"""What the entry file of an export runs: functions of a release as another cloud's handlers.

Loads the release beside it, turns that cloud's event into a call, and runs it as a worker of the
gateway would: initializer, hooks, middleware and time limit included. `ctx` reaches the gateway by
BAAS_URL and BAAS_KEY; secrets come from BAAS_SECRET_<NAME>.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from baas.errors import Code, Problem
from baas.functions.bundle import read_bundle
from baas.functions.export import shapes
from baas.functions.export.remote import KEY_VARIABLE, URL_VARIABLE, Remote, RemoteHost
from baas.functions.isolation.inline import Run
from baas.functions.isolation.responses import sendable
from baas.functions.isolation.threads import Threads
from baas.functions.lifecycle import Lifecycle
from baas.functions.load import load_release
from baas.functions.model import Call, FunctionSpec, TriggerInfo
from baas.functions.outcome import fault_of
from baas.functions.records import Line, Recording
from baas.functions.redact import Redactor
from baas.functions.routes import parse_pattern, routes_of, split_path
from baas.functions.triggers.webhooks import verify
from baas.ids import new_id
from baas.schema.actor import NOBODY, Actor

RELEASE_FILE: Final = "baas_release.json"
SECRET_PREFIX: Final = "BAAS_SECRET_"  # noqa: S105  a variable's name
FOLDER: Final = "functions"
_ME: Final = "/v1/auth/me"


class Entry:
    """One release in one instance of a function of contract `contract` (`lambda`, `fc`, `scf`)."""

    def __init__(self, folder: Path, contract: str) -> None:
        config = msgspec.json.decode((folder / RELEASE_FILE).read_bytes())["config"]
        files = folder / FOLDER
        self.release: Final = load_release(read_bundle(files, config), files)
        self._contract = contract
        self._life = Lifecycle(self.release)
        self._threads = Threads()
        start = len(SECRET_PREFIX)
        found = {name: value for name, value in os.environ.items() if name[:start] == SECRET_PREFIX}
        self._secrets = {name[start:]: value for name, value in found.items()}
        self._redactor = Redactor(self._secrets.values())
        key = os.environ.get(KEY_VARIABLE, "")
        self._remote = Remote(os.environ.get(URL_VARIABLE, ""), key)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="baas", daemon=True).start()

    def handler(self, name: str) -> Callable[[Any, Any], Any]:
        """`handler(event, context)` for function `name`."""
        spec = _with_environment(self.release.functions[name])

        def handle(event: Any, context: Any = None) -> Any:
            running = self._handle(spec, event, context)
            return asyncio.run_coroutine_threadsafe(running, self._loop).result()

        return handle

    # -- calls -------------------------------------------------------------------------------------

    async def _handle(self, spec: FunctionSpec, event: Any, context: Any) -> Any:
        came = shapes.came(self._contract, event, context)
        if came.kind != "http":
            call = self._call(spec, came, came.kind, came.event, {"queue": came.queue})
            return self._returned(came, await self._run(spec, call, ""))
        try:
            result = await self._requested(spec, came)
        except Problem as problem:
            result = shapes.problem_answer(problem, came.request_id)
        answer = shapes.answered(self._contract, result)
        # FC reads the structure as JSON text.
        return msgspec.json.encode(answer).decode() if self._contract == "fc" else answer

    def _returned(self, came: shapes.Came, result: Any) -> Any:
        if came.kind == "queue":
            failed = result.get("failed", []) if isinstance(result, dict) else []
            return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}
        return msgspec.json.encode(result).decode() if self._contract == "fc" else result

    async def _requested(self, spec: FunctionSpec, came: shapes.Came) -> Any:
        request = came.event
        route, params = self._route(spec, request["method"], request["path"])
        event = {**request, "params": params}
        if route.trigger.__struct_config__.tag == "webhook":
            secret = self._secrets.get(route.trigger.secret, "")
            now_ms = time.time_ns() // 1_000_000
            verify(route.trigger.scheme, secret, request["headers"], came.body, now_ms)
            kind, token = "webhook", ""
        else:
            kind, token = "http", _token(request["headers"])
        event["body"] = shapes.decoded(came.body, request["headers"])
        details = {"method": request["method"], "path": route.pattern.text}
        actor = await self._caller(token, spec.timeout) if token else NOBODY
        call = self._call(spec, came, kind, event, details, actor)
        return await sendable(await self._run(spec, call, token))

    def _route(self, spec: FunctionSpec, method: str, path: str) -> Any:
        """The declared route that this request is for; where the cloud called it at a path of its
        own (a function's plain address), the first."""
        routes = [one for one in routes_of(self.release) if one.spec.name == spec.name]
        parts = split_path(path)
        for route in routes:
            params = parse_pattern(route.pattern.text).match(parts)
            if params is not None and route.method in ("*", method):
                return route, params
        raise Problem(Code.NOT_FOUND, "There is no such route.")

    def _call(
        self,
        spec: FunctionSpec,
        came: shapes.Came,
        kind: str,
        event: Any,
        details: dict[str, Any],
        actor: Actor = NOBODY,
    ) -> Call:
        if kind == "timer":
            event = {**event, "name": spec.name}
        return Call(
            function=spec.name,
            event=event,
            actor=actor,
            trigger=TriggerInfo(kind=kind, details=details),
            request_id=came.request_id or new_id(),
            invocation_id=new_id(),
            raw_event={"rawBody": came.body, "rawQuery": "", "ip": came.ip}
            if kind in ("http", "webhook") and spec.contract != "native"
            else None,
            ip=came.ip,
        )

    async def _run(self, spec: FunctionSpec, call: Call, token: str) -> Any:
        """Raises Problem as a caller of the gateway would be told it; what the function raised is
        in the log."""
        recording = Recording(call, spec, time.time_ns() // 1_000_000, self._print)
        host = RemoteHost(self._remote, call, token, spec.timeout)
        run = Run(
            spec,
            call,
            self._life,
            host,
            recording,
            self._threads,
            self._secrets,
            on_loop=spec.is_async,
        )
        try:
            return await run.result()
        except (Exception, SystemExit) as raised:
            fault = fault_of(raised, self.release.folder, self._redactor)
            if fault.failure is not None:
                print(fault.failure.stack(), file=sys.stderr)
            raise fault.problem() from None

    async def _caller(self, token: str, seconds: float) -> Actor:
        """Who the token's bearer is, as the gateway says. UNAUTHENTICATED for a bad one."""
        user = msgspec.json.decode(await self._remote.get(_ME, token, seconds))
        return Actor(
            uid=user["uid"],
            openid=user["uid"],
            login_type=user.get("loginType"),
            unionid=user.get("unionid"),
            roles=tuple(user.get("roles", ())),
        )

    def _print(self, recording: Recording, line: Line) -> None:
        """As JSON lines on standard output, which those clouds keep; without secrets."""
        told = {
            "level": line.level,
            "message": line.message,
            "function": recording.spec.name,
            "requestId": recording.call.request_id,
            **line.fields,
        }
        print(self._redactor.text(msgspec.json.encode(told).decode()), flush=True)


def _with_environment(spec: FunctionSpec) -> FunctionSpec:
    """Its variables as the cloud's console has them now."""
    env = {name: os.environ.get(name, value) for name, value in spec.env.items()}
    return msgspec.structs.replace(spec, env=env)


def _token(headers: dict[str, str]) -> str:
    given = headers.get("authorization", "")
    return given[7:].strip() if given[:7].lower() == "bearer " else ""
