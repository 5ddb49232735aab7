"""Mounted apps: their lifespan follows their release, and WSGI keeps to its specification."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from baas.functions.isolation.threads import Threads
from baas.gateway.wsgi import WsgiToAsgi
from tests.support.app import Harness, exchange, running_app
from tests.support.gateway import write_app

_APP = """
from baas import fn

def note(text):
    with open({log!r}, "a") as log:
        log.write(text + "\\n")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        {start}
        await receive()
        note("{version} stopped")
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"{version}"}})

fn.mount("/app", app)
"""
_UP = 'note("{version} started"); await send({{"type": "lifespan.startup.complete"}})'


def code(log: Path, version: str, start: str = _UP) -> str:
    started = start.format(version=version)
    return _APP.format(start=started, log=str(log), version=version)


def reload(app: Harness) -> None:
    assert app.run(app.app.releases.look())
    app.run(asyncio.sleep(0))


def test_an_app_lives_from_its_first_request_to_the_end_of_its_version(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    folder = write_app(tmp_path / "app", {"functions/a.py": code(log, "one")})
    with running_app(folder) as app:
        assert log.read_text() == ""
        assert [app.get("/http/app").body for _ in range(2)] == [b"one"] * 2
        assert log.read_text() == "one started\n"

        write_app(folder, {"functions/a.py": code(log, "two")})
        reload(app)
        assert app.get("/http/app").body == b"two"
    lines = log.read_text().splitlines()
    assert sorted(lines) == ["one started", "one stopped", "two started", "two stopped"]
    assert lines.index("one stopped") < lines.index("two stopped")


def test_an_app_that_says_it_cannot_start_is_asked_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    start = (
        'note("tried"); '
        'await send({{"type": "lifespan.startup.failed", "message": "no database"}}); return'
    )
    folder = write_app(tmp_path / "app", {"functions/a.py": code(log, "one", start)})
    with running_app(folder) as app:
        for _ in range(2):
            answer = app.get("/http/app")
            assert (answer.status, answer.code) == (500, "FUNCTION_FAILED")
            assert b"no database" not in answer.body
        assert log.read_text() == "tried\ntried\n"
        assert any("no database" in line["message"] for line in app.log_lines())


def test_an_app_without_a_lifespan_is_served_all_the_same(tmp_path: Path) -> None:
    start = "raise RuntimeError('what is a lifespan?')"
    folder = write_app(tmp_path, {"functions/a.py": code(tmp_path / "log", "one", start)})
    with running_app(folder) as app:
        assert app.get("/http/app").body == b"one"


# -- WSGI ------------------------------------------------------------------------------------------


def ask(wsgi: Any, body: bytes = b"", headers: Any = ()) -> Any:
    threads = Threads(1)
    try:
        app = WsgiToAsgi(wsgi, threads)
        return asyncio.run(exchange(app, "POST", "/mount/x", body, list(headers), query="a=1"))
    finally:
        threads.close()


def test_the_environment_is_that_of_pep_3333() -> None:
    seen: dict[str, Any] = {}

    def wsgi(environ: Any, start_response: Any) -> Any:
        seen.update(environ)
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]

    headers = [
        (b"content-type", b"text/csv"),
        (b"x-two", b"1"),
        (b"x-two", b"2"),
        (b"x_two", b"forged"),
    ]
    answer = ask(wsgi, b"12345", headers)

    assert answer.body == b"12345"
    assert (seen["REQUEST_METHOD"], seen["QUERY_STRING"]) == ("POST", "a=1")
    assert (seen["CONTENT_TYPE"], seen["CONTENT_LENGTH"]) == ("text/csv", "5")
    assert seen["HTTP_X_TWO"] == "1,2"
    assert seen["REMOTE_ADDR"] == "192.0.2.1"


def test_the_iterable_is_closed_whatever_happens() -> None:
    closed: list[bool] = []

    class Chunks:
        def __iter__(self) -> Any:
            yield b"a"
            raise RuntimeError("half way")

        def close(self) -> None:
            closed.append(True)

    def wsgi(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return Chunks()

    with pytest.raises(RuntimeError, match="half way"):
        ask(wsgi)
    assert closed == [True]


def test_the_head_can_be_taken_back_until_it_has_left() -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        import sys

        start_response("200 OK", [])
        try:
            raise ValueError("late")
        except ValueError:
            start_response("500 Oops", [("X-A", "b")], sys.exc_info())
        return [b"sorry"]

    answer = ask(wsgi)
    assert (answer.status, answer.headers["x-a"], answer.body) == (500, "b", b"sorry")


def test_write_comes_before_what_is_returned() -> None:
    def wsgi(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", [])
        write(b"first ")
        return [b"second"]

    assert ask(wsgi).body == b"first second"


def test_an_app_that_never_starts_its_answer_is_at_fault() -> None:
    with pytest.raises(AssertionError, match="start_response"):
        ask(lambda environ, start_response: [b"x"])
