"""`baas serve` with several workers, or with --reload: what the supervisor is given to keep."""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import msgspec

from baas.cli.banner import address_of, banner
from baas.cli.common import data_folder
from baas.cli.listener import listen, note_address
from baas.cli.supervisor import Supervisor, Worker
from baas.cli.watch import Watch
from baas.engines.sqlite.lock import own_folder
from baas.settings import Settings

#: -P: the app's folder is no place to import the kit's own needs from.
COMMAND: Final = (sys.executable, "-P", "-m", "baas.cli.worker")
#: Beyond the drain that a worker allows itself, before it is killed.
KILL_GRACE_SECONDS: Final = 5.0


def serve_with_workers(
    folder: Path,
    settings: Settings,
    data: Path | None,
    overrides: dict[str, str | int],
    *,
    reload: bool,
) -> int:
    """Serves until a signal ends it; the exit code."""
    place = data_folder(folder, settings)
    with ExitStack() as stack:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = stack.enter_context(closing(own_folder(place)))
        listener = stack.enter_context(listen(settings.server))
        plan = {
            "folder": str(folder),
            "data": str(data.absolute()) if data else None,
            "overrides": overrides,
            "listener": listener.fileno(),
        }
        started: list[Worker] = []

        def spawn() -> Worker:
            worker = Worker(
                list(COMMAND),
                lambda ready: msgspec.json.encode({**plan, "ready": ready}),
                (listener.fileno(), lock.fileno()),
            )
            started[1:] = [worker]
            return worker

        def announce() -> None:
            told = next((worker.told for worker in started if worker.ready), "")
            address = address_of(listener, settings)
            note_address(place, address)
            print(banner(address, folder, place, settings, told or None), flush=True)

        supervisor = Supervisor(
            spawn,
            settings.server.workers,
            announce=announce,
            watch=Watch(folder) if reload else None,
            stop_seconds=math.ceil(settings.server.drain_seconds) + KILL_GRACE_SECONDS,
            stop_listening=listener.close,
        )
        return supervisor.run()
