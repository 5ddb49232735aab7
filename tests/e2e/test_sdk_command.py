"""`baas sdk generate`, as a developer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, ROOT, wait_until, write_app

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


@contextmanager
def watching(app: Path) -> Iterator[Path]:
    """The file with what it says, while it runs."""
    said = app.parent / "said.txt"
    with said.open("w") as sink:
        process = subprocess.Popen(
            [*COMMAND, "--lang", "python", "--watch"],
            cwd=app,
            env=environment(),
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            yield said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)


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

    with watching(app) as said:
        wait_until(lambda: has('Literal["notes"]'))
        notes = app / "rules" / "notes.yaml"
        notes.write_text(notes.read_text().replace("title:", "headline:"))
        wait_until(lambda: has("headline"))
        (app / "rules" / "more.yaml").write_text("collection: more\nacl: PRIVATE\n")
        wait_until(lambda: has('Literal["more"]'))
        (app / "functions").mkdir()
        function = app / "functions" / "greet.py"
        function.write_text("from baas import fn\n\n@fn.event()\ndef greet(ctx, event:\n")
        wait_until(lambda: "greet.py" in said.read_text())
        assert has('Literal["more"]')
        function.write_text(
            "from baas import Context, fn\n\n\n@fn.event()\n"
            "async def greet(ctx: Context, event: dict) -> str:\n    return 'hello'\n"
        )
        wait_until(lambda: has('Literal["greet"]'))
        (app / "baas.yaml").write_text("app: {name: [")
        wait_until(lambda: said.read_text().count("error:") > 1)
        (app / "baas.yaml").write_text("app: {name: notes}\n")
        function.unlink()
        wait_until(lambda: not has('Literal["greet"]'))
    assert "Traceback" not in said.read_text()
