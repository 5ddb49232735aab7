"""docs/rules.md shows rule files and tests that work."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from baas.rules.coverage import Coverage
from baas.rules.load import load_rules
from baas.rules.testing import find_tests
from baas.rules.vocabulary import AUTH_MEMBERS, FUNCTION_ARGUMENTS, REQUEST_MEMBERS
from baas.ruletests import run_tests

PAGE = Path(__file__).parents[3] / "docs" / "rules.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)


@pytest.mark.parametrize("block", [block for block in BLOCKS if "cases:" not in block])
def test_every_rule_file_on_the_page_loads(tmp_path: Path, block: str) -> None:
    if "define:" not in block:
        block = f"define:\n  mine: doc._openid == auth.uid\n{block}"
    (tmp_path / "posts.yaml").write_text(block, "utf-8")
    assert list(load_rules(tmp_path).collections) == ["posts"]


def test_the_rule_test_on_the_page_passes(tmp_path: Path) -> None:
    (tmp_path / "posts.yaml").write_text(BLOCKS[0], "utf-8")
    (tmp_path / "posts.test.yaml").write_text(BLOCKS[-1], "utf-8")
    loaded = load_rules(tmp_path)
    outcomes = asyncio.run(run_tests(loaded, find_tests(tmp_path), Coverage(loaded)))
    assert len(outcomes) == 4
    assert [outcome.fault for outcome in outcomes] == [""] * 4


@pytest.mark.parametrize("name", [*FUNCTION_ARGUMENTS, *AUTH_MEMBERS, *REQUEST_MEMBERS])
def test_every_name_is_on_the_page(name: str) -> None:
    assert re.search(rf"\b{name}\b", PAGE.read_text("utf-8"))
