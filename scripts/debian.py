"""System packages that the tests need, by apt-get: as root, or through sudo without a password."""

from __future__ import annotations

import os
import shutil
import subprocess


def install(*packages: str, why: str, otherwise: str) -> None:
    """RuntimeError where it cannot: `why` they are needed, and what to do `otherwise`."""
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"{why}, and there is no apt-get here: {otherwise}")
    if os.geteuid() != 0 and shutil.which("sudo") is None:
        raise RuntimeError(f"{why}, and only root may install it: {otherwise}")
    as_root = () if os.geteuid() == 0 else ("sudo", "-n")
    for command in (
        ("update", "-q"),
        ("install", "-y", "-q", "--no-install-recommends", *packages),
    ):
        done = subprocess.run(
            (*as_root, "apt-get", *command),
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = (done.stderr or done.stdout)[-2000:]
            raise RuntimeError(f"apt-get {command[0]} failed; {otherwise}:\n{said}")
