"""The sample mini-program (examples/board-miniprogram), page by page, on two fakes of a phone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from scripts.node import FOLDER
from tests.support.board import serving_board
from tests.support.gateway import ROOT
from tests.support.node import bundle, node
from tests.support.wechat import fake_wechat

PROGRAM: Final = ROOT / "examples" / "board-miniprogram"


def test_two_phones(tmp_path: Path) -> None:
    alias = f"--alias:ws={FOLDER / 'node_modules' / 'ws'}"
    program = bundle(FOLDER / "in-board.ts", tmp_path / "in-board.mjs", alias)
    with fake_wechat() as wechat:
        wechat.knows("ann-code", openid="o-ann")
        wechat.knows("bob-code", openid="o-bob")
        settings = {"APPID": "wx0", "SECRET": "s", "API": wechat.address}
        given = {f"BAAS_AUTH__WECHAT_{name}": value for name, value in settings.items()}
        with serving_board(tmp_path / "app", **given) as gateway:
            assert node(program, gateway.url, PROGRAM) == "ok\n"


@pytest.mark.parametrize("page", json.loads((PROGRAM / "app.json").read_text())["pages"])
def test_each_page_has_its_files(page: str) -> None:
    for ending in ("js", "json", "wxml", "wxss"):
        assert (PROGRAM / f"{page}.{ending}").is_file()


def test_devtools_can_open_it() -> None:
    project = json.loads((PROGRAM / "project.config.json").read_text())
    assert project["compileType"] == "miniprogram"
    assert (PROGRAM / project["miniprogramRoot"] / "app.json").is_file()
    app = json.loads((PROGRAM / "app.json").read_text())
    theme = json.loads((PROGRAM / app["themeLocation"]).read_text())
    wanted = {value[1:] for value in app["window"].values() if value.startswith("@")}
    assert all(wanted <= set(colours) for colours in theme.values())
