"""The browser that tests drive: Chromium as the system packages it, installed if there is none.

    python scripts/chromium.py             says where it is; on Debian and Ubuntu installs it

`BAAS_TEST_CHROMIUM` names another program: Chrome, or a Chromium of one's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Final

NAMES: Final = (
    "chromium",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PACKAGE: Final = "chromium"
_HELP: Final = "install Chromium or Chrome, or name it in BAAS_TEST_CHROMIUM"


def program() -> str:
    """Where it is; RuntimeError says what to do where there is none."""
    named = os.environ.get("BAAS_TEST_CHROMIUM")
    found = [path for name in ([named] if named else NAMES) if (path := shutil.which(name))]
    if not found:
        missing = f"BAAS_TEST_CHROMIUM names {named!r}, which" if named else "A browser"
        raise RuntimeError(f"{missing} is not there, and the tests drive one: {_HELP}")
    return found[0]


def install() -> None:
    """By apt-get, as root or through sudo where it asks for no password; else RuntimeError."""
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"The tests drive a browser, and there is no apt-get here: {_HELP}")
    for command in (("update", "-q"), ("install", "-y", "-q", "--no-install-recommends", PACKAGE)):
        _apt(command)


def _apt(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        (*_as_root(), "apt-get", *command),
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout)[-2000:]
        raise RuntimeError(f"apt-get {command[0]} failed; {_HELP}:\n{said}")


def _as_root() -> tuple[str, ...]:
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None:
        raise RuntimeError(f"The tests drive a browser, and only root may install it: {_HELP}")
    return ("sudo", "-n")


def main() -> None:
    try:
        try:
            found = program()
        except RuntimeError:
            if "BAAS_TEST_CHROMIUM" in os.environ:
                raise
            install()
            found = program()
    except RuntimeError as fault:
        sys.exit(str(fault))
    print(f"browser: {found}", flush=True)


if __name__ == "__main__":
    main()
