"""Makes .venv for the Makefile with nothing but the standard library.

    python3 scripts/venv.py FOLDER

Where the distribution keeps `ensurepip` in a package of its own (Debian: python3-venv) and it is
missing, the environment is made without pip and pip is brought in by the host's own pip; where
there is neither, it says what to install.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

LEAST = (3, 11)


def main(folder: Path) -> int:
    if sys.version_info < LEAST:
        print(f"baas needs Python {'.'.join(map(str, LEAST))} or newer; this is {sys.version}")
        return 1
    if importlib.util.find_spec("ensurepip") is not None:
        return _run(sys.executable, "-m", "venv", str(folder))
    if importlib.util.find_spec("pip") is None or importlib.util.find_spec("venv") is None:
        print(
            f"{sys.executable} cannot make virtual environments: its `ensurepip` is missing.\n"
            "On Debian and Ubuntu:  sudo apt-get install python3-venv\n"
            "Then run make again, or name another Python:  make run PYTHON=/path/to/python3.12"
        )
        return 1
    made = _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    python = str(folder / "bin" / "python")
    return made or _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "pip")


def _run(*command: str) -> int:
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
