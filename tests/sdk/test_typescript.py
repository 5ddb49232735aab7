"""The TypeScript SDK: in Node, as a package, and as what its types let through."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from scripts.node import install
from tests.support.gateway import Gateway
from tests.support.node import FOLDER, RUNTIME, SDK, bundle, node, npm, tool

TYPING: Final = Path(__file__).parent / "typing"

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
    assert core_bytes(tmp_path) < CORE_BYTES


def core_bytes(folder: Path) -> int:
    """Of the core with the browser's platform, minified and compressed."""
    entry, out = folder / "entry.ts", folder / "core.js"
    core = [RUNTIME / "index.ts", RUNTIME / "platforms" / "web.ts"]
    entry.write_text("".join(f"export * from {str(path)!r}\n" for path in core))
    options = ("--bundle", "--minify", "--format=esm", "--target=es2019", "--log-level=error")
    tool("esbuild", entry, *options, f"--outfile={out}")
    return len(gzip.compress(out.read_bytes()))


def test_types_let_through_what_is_right_and_nothing_else() -> None:
    tool("tsc", "-p", TYPING, "--noEmit", "--pretty", "false")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with the board's client, as npm installs it from what `npm pack` made."""
    folder = tmp_path_factory.mktemp("npm")
    build = folder / "build"
    shutil.copytree(SDK, build, ignore=shutil.ignore_patterns("dist", "node_modules", "*.tgz"))
    (build / "node_modules").symlink_to(install() / "node_modules")
    npm("pack", "--pack-destination", folder, folder=build)
    (tarball,) = folder.glob("*.tgz")
    project = folder / "project"
    project.mkdir()
    (project / "package.json").write_text('{"private": true}')
    npm("install", "--no-audit", "--no-fund", "--offline", tarball, folder=project)
    return project


@pytest.mark.parametrize("kind", ["mjs", "cjs"])
def test_the_package_loads_in_an_empty_project(packed: Path, kind: str) -> None:
    names = ("", "/web", "/node", "/wechat", "/alipay", "/uni", "/taro", "/wx-cloud")
    load = "await import" if kind == "mjs" else "require"
    lines = [f"console.log(Object.keys({load}('board-cloud{name}')).length > 0)" for name in names]
    (packed / f"try.{kind}").write_text("\n".join(lines))
    assert node(f"try.{kind}", folder=packed) == "true\n" * len(names)


def test_the_package_brings_nothing_along(packed: Path) -> None:
    folder = packed / "node_modules" / "board-cloud"
    assert "dependencies" not in json.loads((folder / "package.json").read_text())
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "LICENSE",
        "package.json",
        "dist",
        "src",
    }
    assert [path.name for path in (packed / "node_modules").iterdir() if path.name[0] != "."] == [
        "board-cloud"
    ]


def test_modules_are_typed_for_both_kinds(packed: Path) -> None:
    """As `moduleResolution: node16` finds them."""
    for kind in ("mts", "cts"):
        wrong = "// @ts-expect-error\ncreateCloud({ url: 7 })\n"
        (packed / f"use.{kind}").write_text(f"import {{ createCloud }} from 'board-cloud'\n{wrong}")
    options = {"module": "node16", "target": "es2022", "strict": True, "skipLibCheck": True}
    config = {"compilerOptions": options, "include": ["use.*"]}
    (packed / "tsconfig.json").write_text(json.dumps(config))
    tool("tsc", "-p", packed, "--noEmit")


def test_a_mini_programs_compiler_finds_the_types(packed: Path) -> None:
    """Set up as WeChat's templates are: no DOM, and modules found as they were before `exports`."""
    names = ("wechat", "alipay", "uni", "taro", "wx-cloud")
    lines = [f"import * as p{at} from 'board-cloud/{name}'" for at, name in enumerate(names)]
    use = "import { createCloud } from 'board-cloud'\nexport const cloud = "
    use += "createCloud({ url: 'https://x', platform: p0.wechat() })\n"
    use += "// @ts-expect-error\ncloud.database().collection('no such')\n"
    use += "export const other = [p1.alipay, p2.uniapp, p3.taro, p4.cloud]\n"
    (packed / "mini.ts").write_text("\n".join(lines) + f"\n{use}")
    options = {
        **{"module": "commonjs", "moduleResolution": "node10", "target": "es2018"},
        **{"lib": ["es2020"], "types": [], "strict": True},
    }
    config = {"compilerOptions": options, "files": ["mini.ts"]}
    (packed / "tsconfig.mini.json").write_text(json.dumps(config))
    tool("tsc", "-p", packed / "tsconfig.mini.json", "--noEmit")
