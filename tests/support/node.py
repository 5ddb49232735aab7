"""Node for tests: the SDK's TypeScript, bundled or type-checked, and run."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

from scripts.node import FOLDER, install, program
from tests.support.gateway import ROOT

SDK: Final = ROOT / "sdk" / "typescript"
RUNTIME: Final = ROOT / "sdk" / "baas_sdkgen" / "runtime" / "ts"
NODE_SECONDS: Final = 120.0
#: Packages written as CommonJS call `require`, which modules do not have.
_REQUIRE: Final = (
    "--banner:js=import { createRequire as __make } from 'node:module';"
    "const require = __make(import.meta.url);"
)


def node(*arguments: str | Path, folder: Path | None = None) -> str:
    """What it prints. AssertionError with what it said where it ends otherwise than by 0."""
    return _run([program(), *map(str, arguments)], folder or FOLDER)


def npm(*arguments: str | Path, folder: Path) -> str:
    return _run([program("npm"), *map(str, arguments)], folder)


def tool(name: str, *arguments: str | Path, folder: Path | None = None) -> str:
    """A program of a package: `tsc`, `esbuild`."""
    path = install() / "node_modules" / ".bin" / name
    return _run([str(path), *map(str, arguments)], folder or FOLDER)


def bundle(entry: Path, out: Path, *options: str) -> Path:
    """One module for Node of an entry and all that it imports."""
    platform = ("--platform=node", "--format=esm", "--target=node18", _REQUIRE)
    tool("esbuild", entry, "--bundle", *platform, f"--outfile={out}", "--log-level=error", *options)
    return out


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=NODE_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command[0]} ended by {done.returncode}:\n{_said(done)}"
    return done.stdout


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return f"{done.stdout}{done.stderr}"[-4000:]
