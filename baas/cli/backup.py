"""`baas backup FILE`: a consistent copy of a live app's data, and whether one is good."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import msgspec

from baas.cli.common import count, data_folder, data_option, load_app_settings

if TYPE_CHECKING:
    from baas.cli.archive import Restored
    from baas.settings import Settings


class _CreateUnlessNamed(click.Group):
    """`baas backup FILE` is `baas backup create FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["create", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_CreateUnlessNamed)
def backup() -> None:
    """Write a consistent copy of a live app's data to one file.

    `baas backup FILE` writes one, `baas backup verify FILE` tells whether one is good.
    """


@backup.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@data_option
def create(file: Path, data: Path | None) -> None:
    """Write a backup; what `baas backup FILE` does.

    The gateway may run and write meanwhile: the copy is as of one moment. It holds the documents,
    users and keys, the bytes of files unless they are in a bucket, and the app's secret unless that
    comes from the environment or baas.yaml: keep it as safe as the data folder. An older FILE is
    replaced once the new one is whole.
    """
    from baas.cli.archive import write_backup

    folder = Path.cwd()
    settings = load_app_settings(folder, data)
    check_engine(settings)
    place = data_folder(folder, settings)
    if not place.is_dir():
        raise click.ClickException(f"there is no data folder {place}")
    whole = write_backup(place, settings.app.name, file, settings.storage.engine)
    click.echo(f"{file}: {file.stat().st_size:,} bytes")
    if settings.storage.engine != "local":
        click.echo("note: the bytes of files are in a bucket and not in this backup", err=True)
    if whole.damaged:
        raise click.ClickException(
            f"it is whole but for {count(len(whole.damaged), 'file')} whose bytes are missing or"
            f" damaged in the data folder: {', '.join(whole.damaged[:5])}"
        )


def check_engine(settings: Settings) -> None:
    """A data folder may still hold the database of before documents moved elsewhere."""
    if settings.database.engine != "sqlite":
        raise click.ClickException(
            f"documents are in {settings.database.engine} (database.engine): back it up by its own"
            " tools, such as mongodump, or by `baas data export --everything`"
        )


@backup.command()
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--work",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where there is room for all of it; beside FILE unless given.",
)
def verify(file: Path, work: Path | None) -> None:
    """Restore FILE into a temporary folder and compare digests.

    Every document and every byte of every file is read from what was restored, and held against the
    digests that were taken when the backup was made. No app is touched.
    """
    from baas.cli.archive import read_backup

    with TemporaryDirectory(dir=work or file.absolute().parent, prefix=".baas-verify-") as folder:
        restored = read_backup(file, Path(folder))
        told = asyncio.run(_compared(restored, Path(folder)))
    if restored.about is not None:
        click.echo(f"{file}: {restored.about.app} at {restored.about.time['$date']}")
    click.echo(told)
    if restored.about is not None and restored.about.files != "local":
        click.echo("the bytes of files are in a bucket and not in this backup")
    if restored.whole is not None and restored.whole.damaged:
        lost = count(len(restored.whole.damaged), "file")
        raise click.ClickException(f"{lost} had no good bytes when this backup was made")


async def _compared(restored: Restored, folder: Path) -> str:
    """In words; ConfigurationError saying what differs."""
    from baas.cli.archivefiles import Silence, open_folder
    from baas.cli.everything import agree, told
    from baas.transfer.copy import measure, measure_rows

    whole, about = restored.whole, restored.about
    async with open_folder(folder) as place:
        if whole is None or about is None:
            found = await measure_rows(place, Silence())
            return f"{told(found)}; restored, but it is from before backups had digests and files"
        if about.files == "local" and not whole.damaged:
            found = await measure(place, Silence())
        else:  # each file that is there was held against its digest as it was unpacked
            rows = await measure_rows(place, Silence())
            found = msgspec.structs.replace(rows, files=whole.contents.files)
    agree(whole.contents, found, "the backup and its digests")
    return f"{told(found)}; restored, and the digests agree"
