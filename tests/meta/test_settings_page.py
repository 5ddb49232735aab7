"""docs/settings.md says what settings.py says: every setting, its default and its meaning."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from baas.settings import Settings
from tests.support.documented import Documented, documented_settings

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text(encoding="utf-8")
SETTINGS = documented_settings()


def rows(section: str) -> list[str]:
    match = re.search(rf"^## `{section}`\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no heading for {section}"
    return [line for line in match[1].splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.section}.{s.key}")
def test_every_setting_has_its_row(setting: Documented) -> None:
    assert setting.text, f"{setting.section}.{setting.key} has no docstring"
    assert setting.row in rows(setting.section)


@pytest.mark.parametrize("section", [field.name for field in msgspec.structs.fields(Settings)])
def test_the_page_names_no_setting_that_does_not_exist(section: str) -> None:
    assert rows(section) == [s.row for s in SETTINGS if s.section == section]
