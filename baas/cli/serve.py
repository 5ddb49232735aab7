"""`baas serve`: run the app of the current folder."""

from __future__ import annotations

import gc
from pathlib import Path

import click

from baas.cli.common import data_option, load_app_settings


@click.command()
@click.option("--host", help="Address to listen on (server.host; 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="TCP port (server.port; 8000).")
@data_option
@click.option("--workers", type=click.IntRange(1, 256), help="Gateway processes (server.workers).")
@click.option("--reload", is_flag=True, help="Restart when baas.yaml changes.")
def serve(
    host: str | None, port: int | None, data: Path | None, workers: int | None, reload: bool
) -> None:
    """Run the app of the current folder.

    Takes baas.yaml, rules/, functions/ and public/ from the current folder; any of them may be
    missing. Rule files are read again whenever they change. SIGTERM and Ctrl-C finish the requests
    under way, then stop; a second one does not wait.
    """
    given = {"server.host": host, "server.port": port, "server.workers": workers}
    overrides = {name: value for name, value in given.items() if value is not None}
    folder = Path.cwd()
    settings = load_app_settings(folder, data, overrides)
    if reload or settings.server.workers > 1:
        from baas.cli.workers import serve_with_workers

        raise SystemExit(serve_with_workers(folder, settings, data, overrides, reload=reload))

    gc.disable()  # nothing that a start makes is garbage; `run` collects once, before it serves
    try:
        from baas.cli.worker import serve_here

        serve_here(folder, settings)
    finally:
        gc.enable()
