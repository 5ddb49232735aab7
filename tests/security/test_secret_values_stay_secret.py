"""The value of a secret appears nowhere: not in data, logs, captures, answers or lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from baas.cli import main
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

VALUE = 'sk-live-"0123456789"/abcdef+='
NAME = "PAYMENT_KEY"

_CODE = f"""
from baas import fn

@fn.event()
async def length(ctx, event):
    return len(ctx.secrets["{NAME}"])

@fn.event()
async def logs_it(ctx, event):
    ctx.log.info("the key is " + ctx.secrets["{NAME}"], key=ctx.secrets["{NAME}"])
    return "logged"

@fn.event()
async def fails_with_it(ctx, event):
    key = ctx.secrets["{NAME}"]
    parts = {{"inner": [key], "quoted": repr(key)}}
    raise ValueError(f"cannot pay with {{key}}")

@fn.event()
async def shows(ctx, event):
    return [repr(ctx.secrets), str(ctx), sorted(ctx.secrets)]
"""
_RULES = '"*": {invoke: true}\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(
        tmp_path_factory.mktemp("app"),
        {"functions/main.py": _CODE, "rules/_functions.yaml": _RULES},
    )


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[Harness]:
    with running_app(folder) as harness:
        harness.run(harness.app.secrets._vault.set(NAME, VALUE))
        harness.run(harness.app.secrets.look())
        yield harness


def everything_on_disk(folder: Path) -> bytes:
    files = [path for path in (folder / "data").rglob("*") if path.is_file()]
    assert files
    return b"\n".join(path.read_bytes() for path in files)


def forms(value: str) -> list[bytes]:
    """As it is, and as JSON or a repr would write it."""
    return [value.encode(), value.replace('"', '\\"').encode()]


def test_a_function_has_it(app: Harness) -> None:
    assert app.post("/v1/functions/length").json() == len(VALUE)


def test_nothing_keeps_or_tells_it(app: Harness, folder: Path) -> None:
    key = app.admin_key("*")
    told = [
        app.post(f"/v1/functions/{name}", {}, token).body
        for name in ("logs_it", "fails_with_it", "shows")
        for token in (None, key)
    ]
    accepted = app.request("POST", "/v1/functions/fails_with_it", b"{}", query="mode=async")
    assert accepted.status == 202
    app.run(app.app.functions.records.flush())
    app.log_lines()

    places = {
        "answers": b"".join(told),
        "log": app.log.data,
        "disk": everything_on_disk(folder),
    }
    assert b"cannot pay with [redacted]" in places["answers"]
    assert b"the key is [redacted]" in places["log"]
    for place, content in places.items():
        for form in forms(VALUE):
            assert form not in content, place


def test_no_route_speaks_of_secrets(app: Harness) -> None:
    assert b"_secrets" not in app.get("/openapi.json").body
    for path in ("find", "get", "aggregate"):
        answer = app.post(f"/v1/database/_secrets/{path}", {"id": NAME}, app.admin_key("*"))
        assert (answer.status, answer.code) == (403, "PERMISSION_DENIED")


def test_the_command_shows_names_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_app(tmp_path, {"baas.yaml": "app: {name: shop}\n"}))
    run = CliRunner().invoke

    set_ = run(main, ["secrets", "set", NAME], input=VALUE + "\n")
    listed = run(main, ["secrets", "list"])
    rotated = run(main, ["secrets", "rotate"])

    assert [set_.exit_code, listed.exit_code, rotated.exit_code] == [0, 0, 0], set_.output
    assert NAME in listed.output
    for result in (set_, listed, rotated):
        assert VALUE not in result.output
    assert run(main, ["secrets", "delete", NAME]).exit_code == 0
    again = run(main, ["secrets", "delete", NAME])
    assert (again.exit_code, again.output) == (1, f"Error: There is no secret {NAME}.\n")


def test_the_value_is_no_argument() -> None:
    assert CliRunner().invoke(main, ["secrets", "set", NAME, VALUE]).exit_code == 2
