"""What several verbs share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from baas.settings import Settings, load_settings

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
