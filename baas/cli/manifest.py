"""`baas manifest`: what clients can know of the app, as JSON."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from baas.cli.callables import loaded_functions
from baas.cli.common import load_app_settings
from baas.manifest import Manifest, build_manifest
from baas.rules.channelsfile import load_channel_rules
from baas.rules.load import load_rules
from baas.rules.storagefile import load_storage_rules
from baas.wholefile import whole_file


def app_manifest(app: Path) -> Manifest:
    """The manifest of the app in this folder. ConfigurationError where its rules or functions do
    not load."""
    settings = load_app_settings(app)
    rules = app / settings.app.rules
    with loaded_functions(app, settings) as release:
        return build_manifest(
            settings.app.name,
            load_rules(rules),
            load_storage_rules(rules),
            load_channel_rules(rules),
            release,
        )


@click.command()
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this file instead of printing it.",
)
def manifest(out: Path | None) -> None:
    """Print the shapes of collections, functions and paths as JSON.

    Generators of clients read it. It holds no rule, only what the rules could never allow each
    kind of caller.
    """
    text = msgspec.json.format(msgspec.json.encode(app_manifest(Path.cwd())), indent=2) + b"\n"
    if out is None:
        click.echo(text.decode(), nl=False)
    else:
        with whole_file(out) as file:
            file.write(text)
