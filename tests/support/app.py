"""The whole app in this process, spoken to through its ASGI door: quick, and open to view."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec

from baas.app import App, build
from baas.observe.logs import LogWriter
from baas.settings import LimitSettings, Settings

_GENEROUS = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


class Reply(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str | None:
        """The problem's code; None for an answer that is none."""
        is_problem = self.headers.get("content-type") == "application/problem+json"
        return self.json()["code"] if is_problem else None


class LogMemory:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


class Harness:
    """`request` is one request from head to last byte."""

    def __init__(self, app: App, runner: asyncio.Runner, log: LogMemory) -> None:
        self.app = app
        self.run = runner.run
        self.log = log

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        *,
        client: str = "192.0.2.1",
        query: str = "",
        asgi: Any = None,
    ) -> Reply:
        items = headers.items() if isinstance(headers, Mapping) else (headers or [])
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in items]
        return self.run(exchange(asgi or self.app.asgi, method, path, body, raw, client, query))

    def post(self, path: str, body: Any = None, token: str | None = None, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        given.setdefault("content-type", "application/json")
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        return self.request("POST", path, msgspec.json.encode({} if body is None else body), given)

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        return self.request("GET", path, headers=given)

    def sign_in(self) -> str:
        answer = self.post("/v1/auth/sign-in/anonymous")
        assert answer.status == 200, answer.body
        return str(answer.json()["accessToken"])

    def admin_key(self, *scopes: str) -> str:
        _, text = self.run(self.app.auth.admin_keys.create("test", scopes))
        return text

    def log_lines(self) -> list[Any]:
        self.app.logs.flush()
        return [msgspec.json.decode(line) for line in self.log.data.splitlines()]


async def exchange(
    asgi: Any,
    method: str,
    path: str,
    body: bytes,
    headers: list[tuple[bytes, bytes]],
    client: str = "192.0.2.1",
    query: str = "",
) -> Reply:
    """One request to an ASGI app."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "client": (client, 40_000),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi(scope, receive, send)
    head = sent[0]
    names = [name.decode() for name, _ in head["headers"]]
    assert len(names) == len(set(names)), f"a header twice: {names}"
    return Reply(
        head["status"],
        {name.decode(): value.decode("latin-1") for name, value in head["headers"]},
        b"".join(message.get("body", b"") for message in sent[1:]),
    )


@contextmanager
def running_app(
    folder: Path, settings: Settings | None = None, **build_options: Any
) -> Iterator[Harness]:
    """A started app for the length of a `with`; without rate limits unless `settings` has some."""
    log = LogMemory()
    writer = LogWriter(log, form="json")
    chosen = settings or Settings(limits=_GENEROUS)
    with asyncio.Runner() as runner:
        app = build(folder, chosen, logs=writer, **build_options)
        runner.run(app.start())
        try:
            yield Harness(app, runner, log)
        finally:
            runner.run(app.stop())
