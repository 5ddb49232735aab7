"""`baas sdk generate`: typed clients of the app in the current folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

import click
import msgspec
from baas_sdkgen import compare, generate, read_manifest, write
from baas_sdkgen.names import NamesCollideError
from baas_sdkgen.output import LANGUAGES

from baas.cli.common import count, load_app_settings
from baas.cli.manifest import app_manifest
from baas.cli.stopping import until_stopped
from baas.errors import ConfigurationError

#: How often `--watch` looks at the files, in seconds.
_LOOK_SECONDS = 0.5


@click.group()
def sdk() -> None:
    """Make typed clients of the app."""


@sdk.command("generate")
@click.option(
    "--lang",
    "languages",
    multiple=True,
    type=click.Choice(sorted(LANGUAGES)),
    help="A language; may be given several times. All of them, unless given.",
)
@click.option(
    "--out",
    default="sdk",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder; each language gets one of its own in there (sdk).",
)
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if something would.")
@click.option(
    "--watch", is_flag=True, help="Go on, and do it again when rules or functions change."
)
def generate_(languages: tuple[str, ...], out: Path, check: bool, watch: bool) -> None:
    """Write a package per language: its runtime, and types of this app's collections and functions.

    What is right already is not touched; what else lies in those folders stays.
    """
    names = languages or tuple(sorted(LANGUAGES))
    if check:
        _check(names, out)
    elif watch:
        _watch(names, out)
    else:
        _generate(names, out)


def _generate(languages: tuple[str, ...], out: Path) -> None:
    for language, files in _packages(languages):
        changed = write(files, out / language)
        click.echo(f"{out / language}: {count(len(files), 'file')}, {len(changed)} changed")


def _check(languages: tuple[str, ...], out: Path) -> None:
    found = [
        (out / language / difference.path, difference)
        for language, files in _packages(languages)
        for difference in compare(files, out / language)
    ]
    for path, difference in found:
        click.echo(f"{difference.kind}: {path}")
    if found:
        click.echo("run: baas sdk generate")
        raise SystemExit(1)
    click.echo("up to date")


def _packages(languages: tuple[str, ...]) -> Iterator[tuple[str, dict[str, bytes]]]:
    """ConfigurationError where rules or functions do not load, or give one name twice."""
    # By way of JSON, as a generator elsewhere gets it.
    manifest = read_manifest(msgspec.json.encode(app_manifest(Path.cwd())))
    for language in languages:
        try:
            yield language, generate(manifest, language)
        except NamesCollideError as fault:
            raise ConfigurationError(f"{language}: {fault}") from None


def _watch(languages: tuple[str, ...], out: Path) -> None:
    """Until Ctrl-C. A fault is shown, and the clients stay as they were."""
    seen: object = None
    folders: tuple[str, ...] = ()

    def look() -> None:
        nonlocal seen, folders
        try:
            folders = _folders()
        except ConfigurationError as fault:
            # In the middle of an edit, for one: then the folders are still those they were.
            problem = str(fault)
        else:
            problem = ""
        found = (problem, _stamps(folders))
        if found != seen:
            seen = found
            _try_to_generate(languages, out)
        time.sleep(_LOOK_SECONDS)

    until_stopped(look)


def _try_to_generate(languages: tuple[str, ...], out: Path) -> None:
    try:
        _generate(languages, out)
    except ConfigurationError as fault:
        click.echo(f"error: {fault}", err=True)


def _folders() -> tuple[str, ...]:
    settings = load_app_settings(Path.cwd())
    return (settings.app.rules, settings.app.functions)


def _stamps(folders: tuple[str, ...]) -> list[tuple[str, int, int]]:
    """What is looked at, with sizes and times."""
    app = Path.cwd()
    inside = [path for folder in folders for path in (app / folder).rglob("*")]
    return [stamp for path in sorted((app / "baas.yaml", *inside)) for stamp in _stamp(path)]


def _stamp(path: Path) -> Iterator[tuple[str, int, int]]:
    """Nothing for folders, and for what Python makes of functions."""
    if path.suffix == ".pyc":
        return
    try:
        stat = path.stat()
    except FileNotFoundError:
        return  # replaced at this moment
    if S_ISREG(stat.st_mode):
        yield str(path), stat.st_size, stat.st_mtime_ns
