"""`baas restore FILE`: put a backup back in place."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baas.cli.backup import check_engine
from baas.cli.banner import shown
from baas.cli.common import count, data_folder, data_option, load_app_settings
from baas.errors import ConfigurationError
from baas.settings import Settings

if TYPE_CHECKING:
    from baas.cli.archive import About


@click.command()
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@data_option
@click.option("--force", is_flag=True, help="Put it over what the data folder holds.")
@click.option(
    "--at",
    metavar="TIME",
    help="As of an earlier moment, 2026-11-21T08:30:00Z, within the change feed's reach.",
)
def restore(file: Path, data: Path | None, force: bool, at: str | None) -> None:
    """Put a backup back in place.

    The data folder must not be in use, and must be new or empty unless --force is given; then the
    database in it is kept beside the restored one, as db.sqlite3.before-restore. The backup is
    checked before anything is changed.

    With --at every document becomes what it was at that moment, users and rows of files included;
    asynchronous calls stay as the backup has them.
    """
    from baas.cli.archive import read_backup

    folder = Path.cwd()
    settings = load_app_settings(folder, data)
    moment = None if at is None else _moment(at)
    check_engine(settings)
    place = data_folder(folder, settings)
    here = shown(place)
    if not force and place.is_dir() and any(place.iterdir()):
        raise click.ClickException(f"{here} is not empty; --force restores over what it holds")
    about = read_backup(file, place).about
    if about is not None:
        click.echo(f"{here} is as {about.app} was at {about.time['$date']}")
        _warn(about, settings)
    else:
        click.echo(f"{here} holds the database of {file}")
    if moment is not None:
        asyncio.run(_rewind(folder, settings, moment))


def _warn(about: About, settings: Settings) -> None:
    """Where the bytes of files are not where this app will look for them."""
    if about.files != settings.storage.engine:
        click.echo(
            f"note: its files are those of engine {about.files}, and storage.engine is"
            f" {settings.storage.engine}",
            err=True,
        )
    elif about.files != "local":
        click.echo("note: the bytes of files are in a bucket and not in this backup", err=True)


def _moment(text: str) -> int:
    """Milliseconds since 1970."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(f"--at: {text!r} is not a time as 2026-11-21T08:30:00Z") from None
    if time.tzinfo is None:
        raise click.UsageError("--at: say which zone: 2026-11-21T08:30:00Z, or +08:00")
    if time > datetime.now(UTC):
        raise click.UsageError("--at: that moment is yet to come")
    return round(time.timestamp() * 1000)


async def _rewind(folder: Path, settings: Settings, at_ms: int) -> None:
    from baas.cli.places import open_place
    from baas.engines.sqlite.store import SqliteStore
    from baas.transfer.copy import blobs_of

    async with open_place(folder, settings) as place:
        assert isinstance(place.store, SqliteStore)
        try:
            changed = await place.store.rewind(at_ms)
        except ConfigurationError as fault:
            raise ConfigurationError(f"it stays as the backup was: {fault.message}") from None
        click.echo(f"{count(changed, 'document')} taken back")
        known = await place.known_blobs()
        if gone := [blob for blob in await blobs_of(place) if blob.key not in known]:
            click.echo(
                f"{count(len(gone), 'file')} deleted since then: the bytes are gone", err=True
            )
