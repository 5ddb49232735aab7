"""All that an app keeps: out to a folder, in again, and compared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baas.cli.common import count, data_folder
from baas.cli.progress import Bars
from baas.errors import ConfigurationError
from baas.secret import FILE_NAME as SECRET
from baas.settings import Settings
from baas.wholefile import whole_file

if TYPE_CHECKING:
    from baas.transfer.contents import Contents

# What a command needs is imported when it runs: `--help` should not wait for the whole gateway.


async def export_everything(settings: Settings, target: Path) -> None:
    from baas.cli.places import check_seen, open_place
    from baas.clock import SystemClock
    from baas.transfer.copy import export
    from baas.transfer.folder import Folder

    folder = Folder(target)
    async with open_place(Path.cwd(), settings) as place:
        await check_seen(place.store)
        await export(place, folder, settings.app.name, SystemClock(), Bars())
    # Without it nobody could read the keys and secrets that are among the documents.
    copy_secret(data_folder(Path.cwd(), settings) / SECRET, target / SECRET)
    click.echo(f"{target}: {told(folder.about().contents)}")


async def import_everything(settings: Settings, source: Path) -> None:
    from baas.cli.places import open_place, specs_of
    from baas.transfer.copy import measure, move
    from baas.transfer.folder import Folder

    folder = Folder(source)
    about = folder.about()
    async with open_place(Path.cwd(), settings, new=True) as place:
        if not settings.server.secret:
            copy_secret(source / SECRET, data_folder(Path.cwd(), settings) / SECRET)
        await move(folder, place, specs_of(Path.cwd(), settings), Bars())
        agree(about.contents, await measure(place, Bars()), "the import")
    click.echo(f"{told(about.contents)}; the digests agree")


async def verify_everything(settings: Settings, source: Path, with_app: bool) -> None:
    from baas.cli.places import open_place
    from baas.transfer.copy import measure
    from baas.transfer.folder import Folder

    folder = Folder(source)
    about = folder.about()
    agree(about.contents, await measure(folder, Bars()), "the export and its digests")
    if with_app:
        async with open_place(Path.cwd(), settings) as place:
            agree(about.contents, await measure(place, Bars()), "the export and the app")
    click.echo(f"{source}: {told(about.contents)}; the digests agree")


def copy_secret(source: Path, target: Path) -> None:
    """ConfigurationError where there is another already."""
    if not source.is_file():
        return
    secret = source.read_bytes()
    if target.is_file() and target.read_bytes() != secret:
        raise ConfigurationError("this app has a secret of its own and could not read the keys")
    with whole_file(target) as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(secret)


def told(contents: Contents) -> str:
    """`7 collections with 1,204 documents, 3 jobs, 12 files (40,960 bytes)`."""
    documents = sum(tally.count for tally in contents.collections.values())
    parts = (
        f"{count(len(contents.collections), 'collection')} with {count(documents, 'document')}",
        count(contents.jobs.count, "job"),
        f"{count(contents.files.count, 'file')} ({contents.files.bytes:,} bytes)",
    )
    return ", ".join(parts)


def agree(one: Contents, other: Contents, what: str) -> None:
    """ConfigurationError saying what differs."""
    from baas.transfer.contents import differences

    if found := differences(one, other):
        raise ConfigurationError(f"{what} do not agree: {'; '.join(found)}")
