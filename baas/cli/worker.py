"""A gateway process: alone in the foreground (`serve_here`), or one of several (`main`).

The parent of several starts each as `python -m baas.cli.worker`. The first line of standard input
is its plan, the end of standard input means that the parent is gone. It reads the settings itself,
so that one started after a change has the changed ones.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import msgspec

from baas.app import build
from baas.cli.banner import address_of, banner
from baas.cli.common import data_folder, load_app_settings
from baas.cli.listener import listen, note_address
from baas.cli.server import new_event_loop, run
from baas.errors import ConfigurationError
from baas.settings import Settings


class WorkerPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a parent tells its worker. Inherited descriptors: `listener`, and `ready`, which is
    written to once the worker serves: `1`, and the code of the panel's first account if there is
    none yet."""

    folder: str
    data: str | None = None
    overrides: dict[str, str | int] = {}
    listener: int
    ready: int


def serve_here(folder: Path, settings: Settings) -> None:
    """Serves until a signal ends it."""

    def announce(listener: socket.socket) -> None:
        data = data_folder(folder, settings)
        address = address_of(listener, settings)
        note_address(data, address)
        print(banner(address, folder, data, settings, app.set_up_code), flush=True)

    app = build(folder, settings)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(run(app, settings.server, lambda: listen(settings.server), announce))


def main() -> None:
    """Serves on an inherited socket. A fault of the app's own files is one line and exit code 1."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=WorkerPlan)
    folder = Path(plan.folder)
    try:
        data = Path(plan.data) if plan.data else None
        settings = load_app_settings(folder, data, plan.overrides)
        app = build(folder, settings, shared=True)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(
                run(
                    app,
                    settings.server,
                    lambda: socket.socket(fileno=plan.listener),
                    lambda _: _tell(plan.ready, app.set_up_code or ""),
                    life=sys.stdin.fileno(),
                )
            )
    except ConfigurationError as fault:
        raise SystemExit(f"Error: {fault}") from fault


def _tell(ready: int, set_up_code: str) -> None:
    """In one write: the parent reads once."""
    os.write(ready, b"1" + set_up_code.encode())
    os.close(ready)


if __name__ == "__main__":
    main()
