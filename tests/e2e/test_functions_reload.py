"""Functions that change while they are called: no call lost, none on half a version."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.app import Harness, exchange, running_app

SOURCE = """
import asyncio
from pathlib import Path
from baas import fn
from number import NUMBER

CLOSED = Path({closed!r})

@fn.event()
async def version(ctx):
    before = NUMBER
    await asyncio.sleep(0.02)
    from number import NUMBER as after
    return [before, after, {number}]

@fn.hook("close.after")
def note(stage):
    with CLOSED.open("a") as file:
        file.write(f"{{NUMBER}}\\n")
"""


class Folder:
    """The functions of an app, saved as editors do: file by file, each by a rename."""

    def __init__(self, app: Path) -> None:
        self.app = app
        self.closed = app / "closed.txt"
        for name in ("functions", "rules"):
            (app / name).mkdir()
        (app / "rules" / "_functions.yaml").write_text('"*": {invoke: true}\n')

    def save(self, number: int) -> None:
        source = SOURCE.format(closed=str(self.closed), number=number)
        self._write("main.py", source)
        self._write("number.py", f"NUMBER = {number}\n")

    def closed_versions(self) -> set[int]:
        lines = self.closed.read_text().splitlines() if self.closed.exists() else ()
        return {int(line) for line in lines}

    def break_it(self) -> None:
        self._write("main.py", "def broken(:\n")

    def _write(self, name: str, text: str) -> None:
        draft = self.app / "functions" / f".{name}"
        draft.write_text(text)
        os.replace(draft, self.app / "functions" / name)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    made.save(0)
    return made


@pytest.fixture
def app(folder: Folder) -> Iterator[Harness]:
    with running_app(folder.app) as harness:
        yield harness


def call(app: Harness) -> list[int]:
    answer = app.post("/v1/functions/version")
    assert answer.status == 200, answer.body
    found: list[int] = answer.json()
    return found


async def until(app: Harness, number: int) -> float:
    """Seconds until the version of that number answers."""
    began = time.monotonic()
    while time.monotonic() - began < 30:
        answer = await _request(app)
        assert answer[0] == 200, answer
        if answer[1][2] == number:
            return time.monotonic() - began
    raise AssertionError("the new version never answered")


async def _request(app: Harness) -> tuple[int, list[int]]:
    head = [(b"content-type", b"application/json")]
    answer = await exchange(app.app.asgi, "POST", "/v1/functions/version", b"{}", head)
    return answer.status, answer.json()


def test_a_saved_file_is_served_within_a_second_without_a_restart(
    app: Harness, folder: Folder
) -> None:
    assert call(app) == [0, 0, 0]
    folder.save(1)
    assert app.run(until(app, 1)) < 5.0  # one second, and what a busy machine may take


def test_a_reload_under_load_loses_no_call(app: Harness, folder: Folder) -> None:
    answers: list[tuple[int, list[int]]] = []
    done = False

    async def client() -> None:
        while not done:
            answers.append(await _request(app))

    async def run() -> None:
        nonlocal done
        clients = [asyncio.create_task(client()) for _ in range(8)]
        await until(app, 0)
        for number in (1, 2, 3):
            folder.save(number)
            await until(app, number)
        done = True
        await asyncio.gather(*clients)

    app.run(run())
    assert {status for status, _ in answers} == {200}
    assert {numbers[2] for _, numbers in answers} >= {0, 1, 2, 3}
    # Two files saved one after the other may be two releases; within a call they never mix.
    assert all(before == after for _, (before, after, _) in answers)
    app.run(until_closed(folder, {0, 1, 2}))
    assert 3 not in folder.closed_versions()


def test_a_broken_file_leaves_the_old_version_serving_and_says_so(
    app: Harness, folder: Folder
) -> None:
    assert load_errors(app) == 0
    folder.break_it()
    app.run(until_load_errors(app, 1))
    assert call(app) == [0, 0, 0]
    lines = [line for line in app.log_lines() if "functions not reloaded" in line["message"]]
    assert len(lines) == 1
    assert "functions/main.py:1: SyntaxError" in lines[0]["message"]
    folder.save(2)
    app.run(until(app, 2))
    assert load_errors(app) == 0


async def until_closed(folder: Folder, versions: set[int]) -> None:
    async with asyncio.timeout(10):
        while not folder.closed_versions() >= versions:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def load_errors(app: Harness) -> float:
    """As /metrics has it."""
    lines = app.get("/metrics").body.decode().splitlines()
    [line] = [one for one in lines if one.startswith("baas_function_load_errors ")]
    return float(line.split()[1])


async def until_load_errors(app: Harness, number: int) -> None:
    async with asyncio.timeout(5):
        while app.app.metrics.render().decode().find(f"baas_function_load_errors {number}") < 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
