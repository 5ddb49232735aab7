"""What several verbs share."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baas.settings import Settings, load_settings

if TYPE_CHECKING:
    from baas.app import Store

#: `--data DIR` of every verb that touches data.
data_option = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder (database.data; data).",
)


def load_app_settings(
    folder: Path, data: Path | None = None, overrides: Mapping[str, object] | None = None
) -> Settings:
    """Settings of the app in `folder`; `overrides` are options by the name of their setting.

    `data` is relative to the current folder, as every path on a command line.
    """
    given = dict(overrides or {})
    if data is not None:
        given["database.data"] = str(data.absolute())
    return load_settings(folder, os.environ, given)


def data_folder(folder: Path, settings: Settings) -> Path:
    """Where this app's data lies."""
    return folder / settings.database.data


def count(number: int, noun: str) -> str:
    """`1 document`, `2 documents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    """The documents of the app in the current folder; a gateway may be running beside."""
    from baas.app import guest_store  # the whole gateway: not for `--help`

    store = guest_store(Path.cwd(), settings)
    await store.open()
    try:
        yield store
    finally:
        await store.close()
