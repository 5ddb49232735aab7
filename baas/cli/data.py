"""`baas data export | import | verify`: documents as JSON Lines, or all that an app keeps."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from baas.cli.common import data_folder, data_option, load_app_settings, open_store
from baas.cli.everything import export_everything, import_everything, verify_everything
from baas.cli.jsonlines import Lines, Progress, export_collection, import_lines
from baas.errors import ConfigurationError
from baas.ids import is_collection_name
from baas.ports.documents import resolve
from baas.rules.load import load_rules
from baas.schema.model import CollectionSpec
from baas.settings import Settings
from baas.wholefile import whole_file


@click.group()
def data() -> None:
    """Export and import documents, or all that the app keeps.

    Documents go in and out beside a running gateway. With --everything users, keys, files, calls
    that wait and versions of functions go along; the gateway must rest meanwhile.
    """


@data.command("export")
@click.argument("collections", nargs=-1, metavar="[COLLECTION]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file for one collection, a folder for several; standard output unless given.",
)
@click.option("--everything", is_flag=True, help="All that the app keeps, into a new folder.")
@data_option
def export_documents(
    collections: tuple[str, ...], output: Path | None, everything: bool, data: Path | None
) -> None:
    """Write documents, one per line, in the order of _id.

    All collections unless some are named. Each collection is as of one moment. To a folder, every
    collection becomes a file COLLECTION.jsonl; to standard output only one can be written.

    --everything -o DIR writes all that the app keeps, with digests, while no gateway runs. After a
    fault the same command goes on with what is not there yet.
    """
    settings = load_app_settings(Path.cwd(), data)
    if not everything:
        asyncio.run(_export(settings, collections, output))
    elif collections or output is None:
        raise click.UsageError("--everything takes no collections, and a folder with -o DIR")
    else:
        asyncio.run(export_everything(settings, output))


@data.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option("--collection", help="Where the documents go; the file's name unless given.")
@click.option("--replace", is_flag=True, help="Replace documents that are there already.")
@click.option("--everything", is_flag=True, help="FILE is the folder of an export of everything.")
@data_option
def import_documents(
    files: tuple[Path, ...],
    collection: str | None,
    replace: bool,
    everything: bool,
    data: Path | None,
) -> None:
    """Read documents, one per line, into a collection.

    Lines are checked as every write is: form, schema, defaults, unique indexes. They are written in
    groups of 500; a group is written wholly or not at all. The first bad line stops the import and
    is named as FILE:LINE, with how many lines before it are in.

    --everything DIR takes an export of everything into a new app, as it is, and compares digests.
    After a fault the same command goes on.
    """
    settings = load_app_settings(Path.cwd(), data)
    if everything:
        if len(files) > 1 or collection or replace:
            raise click.UsageError("--everything takes one folder and nothing else")
        asyncio.run(import_everything(settings, files[0]))
        return
    for file in files:
        if file.is_dir():
            raise click.UsageError(f"{file} is a folder; --everything takes one")
        target = collection or file.name.partition(".")[0]
        _check_name(target)
        asyncio.run(_import(settings, file, target, replace))


@data.command("verify")
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option("--app", is_flag=True, help="Compare it with what the app keeps now, too.")
@data_option
def verify_export(folder: Path, app: bool, data: Path | None) -> None:
    """Read an export of everything to its last byte and compare it with its digests.

    With --app the app's own data is read as well, while no gateway runs.
    """
    settings = load_app_settings(Path.cwd(), data)
    asyncio.run(verify_everything(settings, folder, app))


def _check_name(collection: str) -> None:
    if not is_collection_name(collection):
        raise ConfigurationError(f"{collection!r} is not the name of a collection")


async def _export(settings: Settings, collections: tuple[str, ...], output: Path | None) -> None:
    for name in collections:
        _check_name(name)
    if not data_folder(Path.cwd(), settings).is_dir():
        raise ConfigurationError(f"there is no data folder {settings.database.data}")
    async with open_store(settings) as store:
        there = [name for name in sorted(await resolve(store.names())) if is_collection_name(name)]
        known = ", ".join(there) or "none"
        for name in sorted(set(collections) - set(there)):
            raise ConfigurationError(f"there is no collection {name!r}; there are: {known}")
        names = list(collections) or there
        if output is None and len(names) > 1:
            raise ConfigurationError(f"{len(names)} collections: name one, or a folder with -o DIR")
        for name in names:
            with _target(name, output, several=len(names) > 1 or not collections) as stream:
                await export_collection(store, name, stream, Progress(name, "exported"))


@contextmanager
def _target(collection: str, output: Path | None, *, several: bool) -> Iterator[IO[bytes]]:
    """Where one collection's lines go. A file takes its name once it is whole."""
    if output is None:
        yield sys.stdout.buffer
        return
    if several or output.is_dir():
        output.mkdir(parents=True, exist_ok=True)
        output = output / f"{collection}.jsonl"
    with whole_file(output) as stream:
        yield stream


async def _import(settings: Settings, file: Path, collection: str, replace: bool) -> None:
    rules = load_rules(Path.cwd() / settings.app.rules).collections.get(collection)
    spec = rules.spec if rules else CollectionSpec(name=collection)
    async with open_store(settings) as store:
        await store.declare({collection: spec})
        lines = Lines(file.name, spec, settings.limits)
        with file.open("rb") as stream:
            progress = Progress(collection, "imported")
            await import_lines(store, collection, lines, stream, progress, replace=replace)
    if rules is None:
        click.echo(f"note: no rule file names {collection}, so no client gets at it", err=True)
