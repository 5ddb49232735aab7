"""The kit as a function away from its gateway uses it: every use is a request to the gateway.

With server rights requests carry the admin key, as the caller the caller's own token.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from contextlib import closing
from typing import Any, Final
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from baas.errors import Code, FieldError, OwnCode, Problem
from baas.functions.errors import Error
from baas.functions.model import Call
from baas.ids import new_id
from baas.schema.values import Value

URL_VARIABLE: Final = "BAAS_URL"
KEY_VARIABLE: Final = "BAAS_KEY"
_EVENTS: Final = "application/cloudevents+json"
_JSON: Final = "application/json"
_PROBLEM: Final = 400
#: What a stream is not read or written without: whole files go over one connection of their own.
_STREAMS: Final = ("open", "create", "read", "write", "commit", "close")


class Remote:
    """One gateway. Without `url` or `key` every use is NOT_SUPPORTED, which says what to set."""

    def __init__(self, url: str, key: str) -> None:
        self._parts = urlsplit(url)
        self._key = key
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None

    async def post(
        self, path: str, body: bytes, token: str | None, seconds: float, kind: str = _JSON
    ) -> bytes:
        """The answer to a POST. `token` is the caller's, "" for nobody's, None for the key."""
        return await asyncio.to_thread(self._send, "POST", path, body, token, seconds, kind)

    async def get(self, path: str, token: str, seconds: float) -> bytes:
        return await asyncio.to_thread(self._send, "GET", path, None, token, seconds, _JSON)

    def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        token: str | None,
        seconds: float,
        kind: str,
    ) -> bytes:
        token = self._key if token is None else token
        self._check()
        headers = {"content-type": kind} | ({"authorization": f"Bearer {token}"} if token else {})
        try:
            with closing(self._connection(max(0.1, seconds))) as connection:
                connection.request(method, self._parts.path.rstrip("/") + path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            detail = f"The gateway cannot be reached: {type(fault).__name__}."
            raise Problem(Code.UNAVAILABLE, detail) from fault
        if answer.status >= _PROBLEM:
            raise problem_of(answer.status, content)
        return content

    def _check(self) -> None:
        if self._parts.scheme not in ("http", "https") or not self._key:
            raise missing(
                f"Away from the gateway ctx reaches it by {URL_VARIABLE} and {KEY_VARIABLE};"
                " they are not set"
            )

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=seconds)
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)


def missing(text: str) -> Problem:
    return Problem(Code.NOT_SUPPORTED, f"{text}.")


def problem_of(status: int, content: bytes) -> Problem:
    """What the gateway answered, as the same exception that is raised beside it."""
    try:
        told = msgspec.json.decode(content)
        name, detail = str(told["code"]), str(told.get("detail", ""))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return Problem(Code.UNAVAILABLE, f"The gateway answers {status}.")
    errors = tuple(FieldError(one["path"], one["message"]) for one in told.get("errors", ()))
    if name in Code.__members__:
        return Problem(Code[name], detail, errors=errors)
    own = OwnCode(name, status, str(told.get("title", "")))
    return Problem(Code.FUNCTION_FAILED, detail, own=own)


class RemoteHost:
    """One call's way to the gateway: `Host` of `baas.functions.context`. `token` is the caller's,
    "" where nobody is signed in; `seconds` the function's time limit."""

    def __init__(self, remote: Remote, call: Call, token: str, seconds: float) -> None:
        self._remote = remote
        self._call = call
        self._token = token
        self._seconds = seconds

    async def database(
        self, verb: str, collection: str, body: bytes, as_caller: bool, snapshot: str | None
    ) -> bytes:
        path = f"/v1/database/{quote(collection, safe='')}/{verb}"
        return await self._post(path, body, as_caller)

    async def begin(self) -> str:
        raise missing(
            "Away from the gateway there are no transactions of reads and writes; have a function"
            " of the gateway do it, by ctx.call"
        )

    async def end(self, snapshot: str) -> None:
        return None

    async def commit(self, body: bytes, as_caller: bool) -> bytes:
        return await self._post("/v1/database/transaction", body, as_caller)

    async def storage(
        self, verb: str, argument: bytes, as_caller: bool, stream: str | None
    ) -> bytes:
        if verb in _STREAMS:
            raise missing(
                "Away from the gateway files are read and written by links; see ctx.storage.sign"
            )
        return await self._post(f"/v1/storage/{verb}", argument, as_caller)

    async def push(self, verb: str, body: Value, as_caller: bool) -> Value:
        if as_caller:
            raise missing("Away from the gateway messages are sent with server rights")
        answer = await self._post(f"/v1/admin/push/{verb}", msgspec.json.encode(body), False)
        return msgspec.json.decode(answer)["entries"] if verb == "presence" else None

    async def call(self, name: str, event: Value) -> Value:
        try:
            answer = await self._invoke(name, event, {})
        except Problem as problem:
            if problem.own is None:
                raise
            own = problem.own
            raise Error(own.name, status=own.status, detail=problem.detail) from None
        return msgspec.json.decode(answer) if answer else None

    async def enqueue(self, name: str, event: Value, delay: float) -> str:
        answer = await self._invoke(name, event, {"mode": "async", "delay": f"{delay:g}"})
        return str(msgspec.json.decode(answer)["invocationId"])

    async def emit(self, type: str, data: Value) -> None:
        event = {
            "specversion": "1.0",
            "id": new_id(),
            "source": f"/functions/{self._call.function}",
            "type": type,
            "datacontenttype": _JSON,
            "data": data,
        }
        path = "/v1/admin/functions/events"
        await self._remote.post(path, msgspec.json.encode(event), None, self._seconds, _EVENTS)

    async def send(self, queue: str, body: Value, delay: float, ordering: str | None) -> str:
        raise missing(
            "Away from the gateway nothing is sent to its queues; have a function of the gateway"
            " do it, by ctx.call"
        )

    async def _invoke(self, name: str, event: Value, query: dict[str, Any]) -> bytes:
        """As this call's caller, or with the key where nobody is signed in."""
        text = f"?{urlencode(query)}" if query else ""
        path = f"/v1/functions/{quote(name, safe='')}{text}"
        body = json.dumps(event).encode()
        return await self._remote.post(path, body, self._token or None, self._seconds)

    async def _post(self, path: str, body: bytes, as_caller: bool) -> bytes:
        token = self._token if as_caller else None
        return await self._remote.post(path, body, token, self._seconds)
