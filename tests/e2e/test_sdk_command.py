"""`baas sdk generate`, as a developer runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, ROOT, STOP_SECONDS, wait_until, write_app

COMMAND = [sys.executable, "-m", "baas", "sdk", "generate"]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path / "app", NOTES_APP)


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BAAS_")}
    return {**kept, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'sdk'}"}


def generate(app: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *options],
        cwd=app,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


class Watching:
    """A running `--watch`: what it said so far, and its end."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path, copies: Path) -> None:
        self.process = process
        self._said = said
        self.copies = copies

    def said(self) -> str:
        return self._said.read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code, after one signal."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def watching(app: Path, *before: str) -> Iterator[Watching]:
    said, copies = app.parent / "said.txt", app.parent / "tmp"
    copies.mkdir()
    with said.open("w") as sink:
        process = subprocess.Popen(
            [*before, *COMMAND, "--lang", "python", "--watch"],
            cwd=app,
            env={**environment(), "TMPDIR": str(copies)},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Watching(process, said, copies)
    finally:
        process.kill()
        process.wait()


def test_it_writes_checks_and_finds_what_changed(app: Path) -> None:
    first = generate(app)
    assert first.returncode == 0, first.stderr
    assert "sdk/python: " in first.stdout
    assert "sdk/typescript: " in first.stdout
    assert generate(app, "--check").stdout == "up to date\n"
    (app / "sdk" / "python" / "src" / "notes_cloud" / "notes_gen.py").write_text("x")
    (app / "sdk" / "typescript" / "src" / "notes.gen.ts").unlink()
    check = generate(app, "--check")
    assert (check.returncode, check.stdout) == (
        1,
        "changed: sdk/python/src/notes_cloud/notes_gen.py\n"
        "missing: sdk/typescript/src/notes.gen.ts\n"
        "run: baas sdk generate\n",
    )
    again = generate(app, "--out", "sdk")
    assert again.stdout.count(", 1 changed") == 2


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("rules/notes.yaml", "collection: notes\nrules: {read: auth.uid ==}\n"),
        ("rules/notes.yaml", "collection: notes\nschema: {type: strin}\n"),
        ("rules/notes.yaml", "collection: notes\n  acl: x\n"),
        ("rules/_channels.yaml", "- channel: 'room:{id'\n"),
        ("functions/greet.py", "from baas import fn\n\n@fn.event()\ndef greet(ctx, event:\n"),
        ("functions/greet.py", "import nothing_of_this_name\n"),
        ("baas.yaml", "app: {name: 'no name'}\n"),
    ],
)
def test_a_fault_names_its_file_and_leaves_the_clients_as_they_were(
    app: Path, file: str, text: str
) -> None:
    (app / file).parent.mkdir(exist_ok=True)
    (app / file).write_text(text)
    made = generate(app)
    assert made.returncode != 0
    assert Path(file).name in made.stderr
    assert "Traceback" not in made.stderr
    assert not (app / "sdk").exists()


def test_names_that_collide_are_told_without_a_traceback(app: Path) -> None:
    for name in ("user_posts", "userPosts"):
        (app / "rules" / f"{name}.yaml").write_text(f"collection: {name}\nacl: PRIVATE\n")
    made = generate(app)
    assert made.returncode != 0
    assert "'userPosts' and 'user_posts'" in made.stderr
    assert "Traceback" not in made.stderr


def test_watching_follows_rules_and_functions_through_faults(app: Path) -> None:
    generated = app / "sdk" / "python" / "src" / "notes_cloud" / "notes_gen.py"

    def has(text: str) -> bool:
        return generated.exists() and text in generated.read_text()

    with watching(app) as running:
        wait_until(lambda: has('Literal["notes"]'))
        notes = app / "rules" / "notes.yaml"
        notes.write_text(notes.read_text().replace("title:", "headline:"))
        wait_until(lambda: has("headline"))
        (app / "rules" / "more.yaml").write_text("collection: more\nacl: PRIVATE\n")
        wait_until(lambda: has('Literal["more"]'))
        (app / "functions").mkdir()
        function = app / "functions" / "greet.py"
        function.write_text("from baas import fn\n\n@fn.event()\ndef greet(ctx, event:\n")
        wait_until(lambda: "greet.py" in running.said())
        assert has('Literal["more"]')
        function.write_text(
            "from baas import Context, fn\n\n\n@fn.event()\n"
            "async def greet(ctx: Context, event: dict) -> str:\n    return 'hello'\n"
        )
        wait_until(lambda: has('Literal["greet"]'))
        (app / "baas.yaml").write_text("app: {name: [")
        wait_until(lambda: running.said().count("error:") > 1)
        (app / "baas.yaml").write_text("app: {name: notes}\n")
        function.unlink()
        wait_until(lambda: not has('Literal["greet"]'))
        assert running.stop() == 0
        assert "Traceback" not in running.said()


#: With SIGINT ignored, as a shell without job control starts what ends in `&`.
IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("before", [(), IN_BACKGROUND], ids=["terminal", "background"])
def test_watching_ends_when_it_is_told_to(app: Path, before: tuple[str, ...], number: int) -> None:
    with watching(app, *before) as running:
        wait_until(lambda: "changed" in running.said())
        assert running.stop(number) == 0
        assert re.fullmatch(r"sdk/python: \d+ files, \d+ changed\n", running.said())


#: Functions, as they are when a watch is told to end in the middle of them.
BUSY = {
    "asleep": "import time\n{here}\ntime.sleep(3600)\n",
    "at work": "{here}\nwhile True: pass\n",
    "deaf": (
        "import time\ntry:\n    {here}\n    time.sleep(3600)\nexcept BaseException:\n    pass\n"
    ),
    "in a thread": (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(3600,)).start()\n{here}\n"
    ),
}


@pytest.mark.parametrize("text", BUSY.values(), ids=BUSY)
def test_watching_ends_in_the_middle_of_a_function(app: Path, text: str) -> None:
    here = app.parent / "here"
    (app / "functions").mkdir()
    function = text.format(here=f"open({str(here)!r}, 'w').close()")
    (app / "functions" / "slow.py").write_text(function)
    with watching(app) as running:
        wait_until(here.exists)
        assert running.stop() == 0
        assert list(running.copies.iterdir()) == []
        assert "Traceback" not in running.said()
