"""`baas promote --to FILE`: all that the app keeps, from one engine to another."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from baas.cli.common import data_folder
from baas.errors import ConfigurationError
from baas.settings import FILE_NAME, Settings, load_settings

if TYPE_CHECKING:
    from baas.transfer.contents import Contents
    from baas.transfer.place import Place

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--to", "target", required=True, type=_FILE, help="Settings of where it goes.")
@click.option("--from", "source", type=_FILE, help="Settings of where it is; baas.yaml.")
@click.option("--check", is_flag=True, help="Only say what would be moved, and whether it could.")
def promote(target: Path, source: Path | None, check: bool) -> None:
    """Move all that the app keeps to other engines.

    FILE is like baas.yaml, and names them. No gateway may run meanwhile. What is there stays there;
    both sides are read to the last byte and must answer the same digests. After a fault the same
    command goes on. The way back is the same, with the files exchanged.
    """
    folder = Path.cwd()
    before = load_settings(folder, os.environ, None, FILE_NAME if source is None else str(source))
    after = load_settings(folder, os.environ, None, str(target))
    if _address(folder, before) == _address(folder, after):
        raise ConfigurationError(f"{target} names the place where the data is")
    contents = asyncio.run(_promote(folder, before, after, check))
    from baas.cli.everything import told

    if check:
        click.echo(f"it could be moved: {told(contents)}")
        return
    click.echo(f"moved: {told(contents)}; the digests of both sides agree")
    click.echo(f"Next: put what {target} says into {FILE_NAME}, and start the gateways.")


def _address(folder: Path, settings: Settings) -> object:
    database = settings.database
    if database.engine == "sqlite":
        return data_folder(folder, settings).resolve()
    return database.mongo_url, database.mongo_database


async def _promote(folder: Path, before: Settings, after: Settings, check: bool) -> Contents:
    from baas.cli.everything import agree
    from baas.cli.places import check_seen, open_place, specs_of
    from baas.cli.progress import Bars
    from baas.transfer.copy import measure, move

    async with open_place(folder, before) as here:
        await check_seen(here.store)
        _share_secret(folder, before, after)
        async with open_place(folder, after, new=True) as there:
            await _check_empty_or_begun(here, there)
            contents = await measure(here, Bars())
            if not check:
                await move(here, there, specs_of(folder, after), Bars())
                agree(contents, await measure(there, Bars()), "the two sides")
            return contents


async def _check_empty_or_begun(here: Place, there: Place) -> None:
    """ConfigurationError where the target has collections that a move would not have made."""
    known = set(await here.collections())
    for name in await there.collections():
        if name not in known and await there.size(name):
            raise ConfigurationError(f"where it goes there is a collection {name!r} already")


def _share_secret(folder: Path, before: Settings, after: Settings) -> None:
    """Both sides have the same, or nobody could read the keys. ConfigurationError."""
    from baas.cli.everything import copy_secret
    from baas.secret import FILE_NAME as SECRET
    from baas.secret import MasterSecret

    here, there = (data_folder(folder, settings) for settings in (before, after))
    if before.server.secret and not after.server.secret:
        raise ConfigurationError("the app's server.secret must be set where it goes, too")
    if not after.server.secret:
        there.mkdir(parents=True, exist_ok=True, mode=0o700)
        copy_secret(here / SECRET, there / SECRET)
        return
    derived = MasterSecret.load(here, before.server.secret).derive("promote")
    if MasterSecret.load(there, after.server.secret).derive("promote") != derived:
        raise ConfigurationError(
            "server.secret is another where it goes: sessions and sealed keys could not be read;"
            f" give it the text of {here / SECRET}"
        )
