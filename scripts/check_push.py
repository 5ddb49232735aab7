"""Runs the checker of push for as long as wanted.

    python scripts/check_push.py --seconds 600 [--seed 1] [--workers 2]
    python scripts/check_push.py --seconds 600 --mongo
    python scripts/check_push.py --urls http://127.0.0.1:8001,http://127.0.0.1:8002 --key bak_...

With `--mongo` there are two gateways on one MongoDB, and one of them at a time is killed. With
`--urls` the gateways are somebody else's: they are not killed, have to serve the app that `--app
FOLDER` writes, and should give tokens a short life (it prints the settings). `--key` needs
push:write; without it no inbox is written to.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import randrange

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.checker.run import Plan, check
from tests.support.checker.targets import APP, SETTINGS, Addresses, Own, Pair
from tests.support.checker.views import Fault
from tests.support.gateway import write_app


def main() -> int:
    given = _arguments()
    if given.app:
        write_app(Path(given.app), APP)
        print(*(f"{name}={value}" for name, value in SETTINGS.items()), sep="\n")
        return 0
    plan = Plan(
        seed=given.seed,
        seconds=given.seconds,
        round_seconds=given.round,
        subscribers=given.subscribers,
        writers=given.writers,
        presence=True,
    )
    print("seed", plan.seed, flush=True)
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:7.1f} {text}", flush=True)

    try:
        print(_run(given, plan, say))
    except Fault as fault:
        print(fault)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=randrange(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--mongo", action="store_true")
    parser.add_argument("--round", type=float, default=8)
    parser.add_argument("--subscribers", type=int, default=6)
    parser.add_argument("--writers", type=int, default=3)
    parser.add_argument("--urls", default="")
    parser.add_argument("--key", default=None)
    parser.add_argument("--app", default="")
    return parser.parse_args()


def _run(given: argparse.Namespace, plan: Plan, say: object) -> object:
    if given.urls:
        target = Addresses(given.urls.split(","), given.key)
        return asyncio.run(check(target, plan, say))  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        own = Pair(Path(folder)) if given.mongo else Own(Path(folder), given.workers)
        try:
            return asyncio.run(check(own, plan, say))  # type: ignore[arg-type]
        except BaseException:
            lines = [line for line in own.log_text().splitlines() if '"info"' not in line]
            print(*lines[-20:], sep="\n")
            raise
        finally:
            own.close()


if __name__ == "__main__":
    sys.exit(main())
