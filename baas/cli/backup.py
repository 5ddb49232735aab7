"""`baas backup FILE`: a consistent copy of a live app's data."""

from __future__ import annotations

from pathlib import Path

import click

from baas.cli.common import data_folder, data_option, load_app_settings


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def backup(file: Path, data: Path | None) -> None:
    """Write a consistent copy of a live app's data to one file.

    The gateway may run and write meanwhile: the copy is as of one moment. It holds the documents,
    users and keys, and the app's secret unless that comes from the environment or baas.yaml: keep
    it as safe as the data folder. An older FILE is replaced once the new one is whole.
    """
    from baas.cli.archive import write_backup

    folder = Path.cwd()
    settings = load_app_settings(folder, data)
    place = data_folder(folder, settings)
    if not place.is_dir():
        raise click.ClickException(f"there is no data folder {place}")
    write_backup(place, settings.app.name, file)
    click.echo(f"{file}: {file.stat().st_size:,} bytes")
