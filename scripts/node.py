"""The Node packages that tests need, installed as their lock files say: of the TypeScript SDK,
and those that the admin panel is built with.

    python scripts/node.py                 installs what is missing in tests/sdk/node and admin

Nothing of it is shipped. `BAAS_TEST_NODE` names a Node that is not on the PATH; npm is the one
beside it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "tests" / "sdk" / "node"
ADMIN: Final = Path(__file__).parents[1] / "admin"
#: What fetch and structured errors of streams need.
OLDEST: Final = 18
_HELP: Final = "install Node.js 18 or later with npm, or name it in BAAS_TEST_NODE"


def program(name: str = "node") -> str:
    """Where `node` or `npm` is; RuntimeError says what to do where there is none."""
    named = os.environ.get("BAAS_TEST_NODE")
    if named and name == "node":
        wanted = named
    else:
        wanted = str(Path(named).with_name(name)) if named and os.sep in named else name
    found = shutil.which(wanted)
    if found is None:
        raise RuntimeError(f"{wanted} is not there, and the tests of the SDK run it: {_HELP}")
    return found


def install(folder: Path = FOLDER) -> Path:
    """The folder with `node_modules` in it. RuntimeError says why there is none."""
    with (folder / "package.json").open() as lock:
        # Several workers of one test run ask at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_installed(folder):
            _install(folder)
    return folder


def _is_installed(folder: Path) -> bool:
    """npm keeps a lock file of what it has put there."""
    kept = folder / "node_modules" / ".package-lock.json"
    return kept.is_file() and _needed(folder / "package-lock.json").items() <= _needed(kept).items()


def _needed(lock: Path) -> dict[str, str]:
    """Versions by place. Packages for other machines are in the one file and not in the other."""
    packages: dict[str, dict[str, Any]] = json.loads(lock.read_text())["packages"]
    return {
        place: package["version"]
        for place, package in packages.items()
        if place and not package.get("optional")
    }


def _install(folder: Path) -> None:
    done = subprocess.run(
        [program("npm"), "ci", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm ci failed in {folder}:\n{(done.stderr or done.stdout)[-2000:]}")


def main() -> None:
    try:
        version = subprocess.check_output([program(), "--version"], text=True).strip()
        if int(version.lstrip("v").partition(".")[0]) < OLDEST:
            raise RuntimeError(f"Node {version} is too old: {_HELP}")
        install()
        install(ADMIN)
    except RuntimeError as fault:
        sys.exit(str(fault))
    print(f"node: {version}", flush=True)


if __name__ == "__main__":
    main()
