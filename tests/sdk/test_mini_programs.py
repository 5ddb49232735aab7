"""The TypeScript SDK inside fakes of mini-programs (fakes/): the same scenario as everywhere, where
there is no fetch, no WebSocket, no URL, and callbacks for all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from scripts.node import FOLDER
from tests.support.gateway import Gateway
from tests.support.node import bundle, node, tool

INSIDE: Final = FOLDER.parent / "inside"


#: The fakes lie beside the folder that has the packages.
WS: Final = f"--alias:ws={FOLDER / 'node_modules' / 'ws'}"


@pytest.fixture(scope="module")
def in_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle(FOLDER / "in-mini.ts", tmp_path_factory.mktemp("mini") / "in-mini.mjs", WS)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What a mini-program's build makes of inside/NAME.ts: one script, of ES2019."""
    folder = tmp_path_factory.mktemp("inside")

    def made(name: str) -> Path:
        out = folder / f"{name}.js"
        if not out.exists():
            form = ("--format=iife", "--global-name=inside", "--target=es2019")
            told = ("--platform=neutral", "--log-level=error", f"--outfile={out}")
            tool("esbuild", INSIDE / f"{name}.ts", "--bundle", *form, *told)
        return out

    return made


@pytest.mark.parametrize(
    ("place", "script", "transport"),
    [
        ("wechat", "wechat", "socket"),
        ("wechat", "wechat", "poll"),
        ("alipay", "alipay", "socket"),
        ("alipay", "alipay", "poll"),
        ("alipay-old", "alipay", "socket"),  # one socket, with events of the app
        ("uni", "uni", "socket"),
        ("taro", "taro", "socket"),
    ],
)
def test_the_scenario_in_a_mini_program(
    board: Gateway,
    scenario: Path,
    in_mini: Path,
    inside: Callable[[str], Path],
    place: str,
    script: str,
    transport: str,
) -> None:
    said = node(in_mini, place, board.url, scenario, inside(script), transport)
    assert said == f"{len(json.loads(scenario.read_text())['steps'])} steps\n"


@pytest.mark.parametrize("place", ["wechat", "alipay"])
def test_what_a_mini_program_meets(
    board: Gateway, inside: Callable[[str], Path], tmp_path: Path, place: str
) -> None:
    """A case each stands in inside/cases.ts."""
    program = bundle(FOLDER / "in-cases.ts", tmp_path / "in-cases.mjs", WS)
    said = json.loads(node(program, place, board.url, inside("cases")))
    assert len(said) == (INSIDE / "cases.ts").read_text().count("\n  async '")
    assert said == dict.fromkeys(said, "ok")


def test_adapters_and_the_face_of_wx_cloud_fit_the_platforms_own_types() -> None:
    tool("tsc", "-p", INSIDE.parent / "typing" / "tsconfig.mini.json")
