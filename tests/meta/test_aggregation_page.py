"""docs/aggregation.md names every stage, operator and accumulator, and none that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from baas.query.aggregate.functions import FUNCTIONS
from baas.query.aggregate.functions.accumulators import ACCUMULATORS
from baas.query.aggregate.parse import STAGES
from baas.query.aggregate.parse_expression import FORMS

PAGE = Path(__file__).parents[2] / "docs" / "aggregation.md"
#: Names that the page uses and that are no stage, operator or accumulator.
_OTHERS = {"$expr", "$near", "$text"}


def _named() -> set[str]:
    text = PAGE.read_text(encoding="utf-8")
    return set(re.findall(r"(?<![$\"])\$[a-zA-Z]+", text))


def test_the_page_names_all_that_exists() -> None:
    known = {*STAGES, *FUNCTIONS, *FORMS, *ACCUMULATORS}
    assert known - _named() == set()


def test_the_page_names_nothing_that_does_not_exist() -> None:
    known = {*STAGES, *FUNCTIONS, *FORMS, *ACCUMULATORS, *_OTHERS}
    assert _named() - known == set()
