"""`baas data export | import`: documents as JSON Lines."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from baas.cli.common import data_folder, data_option, load_app_settings, open_store, whole_file
from baas.cli.jsonlines import Lines, Progress, export_collection, import_lines
from baas.errors import ConfigurationError
from baas.ids import is_collection_name
from baas.ports.documents import resolve
from baas.rules.load import load_rules
from baas.schema.model import CollectionSpec
from baas.settings import Settings


@click.group()
def data() -> None:
    """Export and import documents as JSON Lines.

    Both work beside a running gateway. Users, keys and the like are not documents of the app and
    travel with `baas backup` alone.
    """


@data.command("export")
@click.argument("collections", nargs=-1, metavar="[COLLECTION]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A file for one collection, a folder for several; standard output unless given.",
)
@data_option
def export_documents(collections: tuple[str, ...], output: Path | None, data: Path | None) -> None:
    """Write documents, one per line, in the order of _id.

    All collections unless some are named. Each collection is as of one moment. To a folder, every
    collection becomes a file COLLECTION.jsonl; to standard output only one can be written.
    """
    settings = load_app_settings(Path.cwd(), data)
    asyncio.run(_export(settings, collections, output))


@data.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--collection", help="Where the documents go; the file's name unless given.")
@click.option("--replace", is_flag=True, help="Replace documents that are there already.")
@data_option
def import_documents(
    files: tuple[Path, ...], collection: str | None, replace: bool, data: Path | None
) -> None:
    """Read documents, one per line, into a collection.

    Lines are checked as every write is: form, schema, defaults, unique indexes. They are written in
    groups of 500; a group is written wholly or not at all. The first bad line stops the import and
    is named as FILE:LINE, with how many lines before it are in.
    """
    settings = load_app_settings(Path.cwd(), data)
    for file in files:
        target = collection or file.name.partition(".")[0]
        _check_name(target)
        asyncio.run(_import(settings, file, target, replace))


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
