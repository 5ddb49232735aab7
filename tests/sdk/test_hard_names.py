"""Clients of an app with hard names, and of one that means harm: compilers take them, and nothing
of them runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from baas_sdkgen import Manifest

from tests.support.gateway import ROOT
from tests.support.node import bundle, node, tool
from tests.support.sdkgen import harmful_manifest, odd_manifest, write_package

APPS = pytest.mark.parametrize("manifest", [odd_manifest, harmful_manifest])


@APPS
def test_typescript(manifest: Callable[[], Manifest], tmp_path: Path) -> None:
    write_package(manifest(), "typescript", tmp_path)
    tool("tsc", "-p", tmp_path, "--noEmit", "--pretty", "false")
    entry = tmp_path / "src" / "try.ts"
    told = "console.log(typeof all.createCloud, (globalThis as any).harm)"
    entry.write_text(f"import * as all from './index.js'\n{told}\n")
    assert node(bundle(entry, tmp_path / "try.mjs")) == "function undefined\n"


@APPS
def test_python(manifest: Callable[[], Manifest], tmp_path: Path) -> None:
    write_package(manifest(), "python", tmp_path)
    (package,) = (tmp_path / "src").iterdir()
    words = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        "--config-file=",
        package,
    ]
    checked = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert checked.stdout == ""
    program = (
        f"import builtins, {package.name} as package\n"
        "print(package.create_cloud.__name__, hasattr(builtins, 'harm'))"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("UserCloud False\n", "")


def test_a_package_json_is_json_whatever_the_app(tmp_path: Path) -> None:
    write_package(odd_manifest(), "typescript", tmp_path)
    package = json.loads((tmp_path / "package.json").read_text())
    assert package["name"] == "odd-names-2-cloud"
