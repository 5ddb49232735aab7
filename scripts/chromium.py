"""The browser that tests drive: Chromium as the system packages it, installed if there is none.

    python -m scripts.chromium             says where it is; on Debian and Ubuntu installs it

`BAAS_TEST_CHROMIUM` names another program: Chrome, or a Chromium of one's own.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

from scripts.debian import install

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


def main() -> None:
    try:
        try:
            found = program()
        except RuntimeError:
            if "BAAS_TEST_CHROMIUM" in os.environ:
                raise
            install(PACKAGE, why="The tests drive a browser", otherwise=_HELP)
            found = program()
    except RuntimeError as fault:
        sys.exit(str(fault))
    print(f"browser: {found}", flush=True)


if __name__ == "__main__":
    main()
