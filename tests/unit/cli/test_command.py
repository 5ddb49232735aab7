"""The command as a whole: what it lists, how it fails, how little it imports."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

import baas
from baas.cli import VERBS, main


def test_every_verb_is_listed_with_the_line_that_its_own_help_begins_with() -> None:
    listing = CliRunner().invoke(main, ["--help"]).output
    for verb, line in VERBS.items():
        assert line in listing
        command = main.get_command(click.Context(main), verb)
        assert command is not None
        assert command.get_short_help_str(limit=200) == line


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.output


def test_the_version_is_the_package_s() -> None:
    assert CliRunner().invoke(main, ["--version"]).output == f"baas {baas.__version__}\n"


def test_an_unknown_verb_is_exit_code_two() -> None:
    result = CliRunner().invoke(main, ["serv"])
    assert result.exit_code == 2
    assert "No such command 'serv'" in result.output


def test_help_imports_nothing_of_the_gateway() -> None:
    """So it answers at once."""
    script = (
        "import sys\n"
        "from baas.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'litestar', 'apsw', 'yaml', 'uvicorn', 'cryptography', 'lark', 'asyncio'}\n"
        "print('imported:', sorted(heavy & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "imported: []", run.stderr


def test_a_gateway_starts_without_what_its_first_answers_do_not_need() -> None:
    """Litestar comes in beside the first requests, hashing with the first password. Each of these
    would add tens of milliseconds to every start."""
    late = {"litestar", "passlib", "argon2", "httpx", "jwt", "jsonschema", "tomllib", "pdb"}
    script = f"import sys, baas.cli.worker; print('imported:', sorted({late} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.strip() == "imported: []", run.stderr
