"""`baas restore FILE`: put a backup back in place."""

from __future__ import annotations

from pathlib import Path

import click

from baas.cli.banner import shown
from baas.cli.common import data_folder, data_option, load_app_settings


@click.command()
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@data_option
@click.option("--force", is_flag=True, help="Put it over what the data folder holds.")
def restore(file: Path, data: Path | None, force: bool) -> None:
    """Put a backup back in place.

    The data folder must not be in use, and must be new or empty unless --force is given; then the
    database in it is kept beside the restored one, as db.sqlite3.before-restore. The backup is
    checked before anything is changed.
    """
    from baas.cli.archive import read_backup

    folder = Path.cwd()
    settings = load_app_settings(folder, data)
    place = data_folder(folder, settings)
    here = shown(place)
    if not force and place.is_dir() and any(place.iterdir()):
        raise click.ClickException(f"{here} is not empty; --force restores over what it holds")
    about = read_backup(file, place)
    if about is not None:
        click.echo(f"{here} is as {about.app} was at {about.time['$date']}")
    else:
        click.echo(f"{here} holds the database of {file}")
