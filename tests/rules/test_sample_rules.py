"""The sample app's rules load without warnings of faults, and its rule tests pass."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from baas.functions.rules import load_function_rules
from baas.rules.coverage import Coverage
from baas.rules.load import load_rules
from baas.rules.testing import find_tests
from baas.ruletests import run_tests

RULES = Path(__file__).parents[2] / "rules"
CHAT = Path(__file__).parent / "chat"


def test_no_condition_is_dead() -> None:
    advice = load_rules(RULES).advice
    assert [item.message for item in advice if "never be true" in item.message] == []


@pytest.mark.parametrize("folder", [RULES, CHAT], ids=["sample", "chat"])
def test_every_case_passes(folder: Path) -> None:
    """`chat` holds what the sample app does not use: lookups, masks on them, mode reject."""
    loaded = load_rules(folder)
    files = find_tests(folder)
    assert files
    outcomes = asyncio.run(run_tests(loaded, files, Coverage(loaded), load_function_rules(folder)))
    assert [f"{o.case.file}:{o.case.line}: {o.fault}" for o in outcomes if o.fault] == []
