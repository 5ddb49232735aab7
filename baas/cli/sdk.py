"""`baas sdk generate`: typed clients of the app in the current folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from baas_sdkgen import compare, generate, read_manifest, write
from baas_sdkgen.output import LANGUAGES

from baas.cli.common import count, load_app_settings
from baas.cli.manifest import app_manifest
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
    # By way of JSON, as a generator elsewhere gets it.
    manifest = read_manifest(msgspec.json.encode(app_manifest(Path.cwd())))
    for language in languages:
        yield language, generate(manifest, language)


def _watch(languages: tuple[str, ...], out: Path) -> None:
    """Until Ctrl-C. A fault is shown, and the clients stay as they were."""
    seen: object = None
    while True:
        found = _stamps()
        if found != seen:
            seen = found
            try:
                _generate(languages, out)
            except ConfigurationError as fault:
                click.echo(f"error: {fault}", err=True)
        time.sleep(_LOOK_SECONDS)


def _stamps() -> list[tuple[str, int, int]]:
    """What is looked at, with sizes and times."""
    app = Path.cwd()
    settings = load_app_settings(app)
    folders = [app / settings.app.rules, app / settings.app.functions]
    files = [app / "baas.yaml"] + [path for folder in folders for path in folder.rglob("*")]
    stats = [(path, path.stat()) for path in sorted(files) if path.is_file()]
    return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]
