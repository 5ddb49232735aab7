"""The TypeScript SDK: in Node, as a package, and as what its types let through."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Final

import pytest

from tests.support.gateway import Gateway
from tests.support.node import FOLDER, RUNTIME, bundle, node, tool

#: Bytes of the whole core, minified and compressed: docs/sdk.md says so.
CORE_BYTES: Final = 15 * 1024


@pytest.fixture(scope="module")
def in_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(FOLDER / "in-node.ts", tmp_path_factory.mktemp("node") / "in-node.mjs")


@pytest.mark.parametrize("transport", ["socket", "poll"])
def test_the_scenario_in_node(
    board: Gateway, scenario: Path, in_node: Path, transport: str
) -> None:
    said = node(in_node, board.url, scenario, transport)
    assert said == f"{len(json.loads(scenario.read_text())['steps'])} steps\n"


def test_a_step_that_goes_otherwise_is_named(board: Gateway, in_node: Path, tmp_path: Path) -> None:
    step = {"do": "get", "in": "posts", "id": "absent", "fails": "CONFLICT"}
    (tmp_path / "wrong.json").write_text(json.dumps({"steps": [{"do": "signOut"}, step]}))
    with pytest.raises(AssertionError, match=r"step 1 \(.*NOT_FOUND.*not CONFLICT"):
        node(in_node, board.url, tmp_path / "wrong.json", "socket")


def test_the_core_is_small(tmp_path: Path) -> None:
    entry = tmp_path / "entry.ts"
    core = [RUNTIME / "index.ts", RUNTIME / "platforms" / "web.ts"]
    entry.write_text("".join(f"export * from {str(path)!r}\n" for path in core))
    out = tmp_path / "core.js"
    options = ("--bundle", "--minify", "--format=esm", "--target=es2019", "--log-level=error")
    tool("esbuild", entry, *options, f"--outfile={out}")
    assert len(gzip.compress(out.read_bytes())) < CORE_BYTES
