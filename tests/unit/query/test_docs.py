"""docs/queries.md says what the parser takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from baas.query import limits
from baas.query.geo import EARTH_RADIUS
from baas.query.limits import QueryLimits
from baas.query.parse import parse_filter
from baas.query.shapes import MAX_POSITIONS
from baas.query.text import MAX_TEXT

PAGE = (Path(__file__).parents[3] / "docs" / "queries.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith(("| `$", "| (a value)"))]
EXAMPLES = [row.split(" | ")[-1].strip("`| ") for row in ROWS]


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_filter(example: str) -> None:
    parse_filter(json.loads(example), QueryLimits(), now_ms=0, whole=True)


def test_every_operator_of_the_protocol_has_a_row() -> None:
    shown = set(re.findall(r"`(\$\w+)`", "\n".join(row.split("|")[1] for row in ROWS)))
    named = "eq ne gt gte lt lte in nin exists type and or nor not all elemMatch size mod regex"
    placed = "near nearSphere geoWithin geoIntersects text"
    assert shown == {f"${name}" for name in [*named.split(), *placed.split(), "options"]}


def test_the_limits_are_the_real_ones() -> None:
    default = QueryLimits()
    for fact in (
        f"{default.filter_depth} (`filter_depth`)",
        f"{default.filter_nodes} (`filter_nodes`)",
        f"{default.list_items:,} (`list_items`)",
        f"{default.document_depth} (`document_depth`)",
        f"{limits.MAX_PATH_DEPTH}, fixed",
        f"{limits.MAX_PATTERN_LENGTH} characters, fixed",
        f"{limits.MAX_SEARCH_LENGTH} characters, {limits.MAX_SEARCH_TERMS} words and phrases,"
        " fixed",
        f"the first {MAX_TEXT:,} characters",
        f"{limits.MAX_GEO_POSITIONS} in a filter, {MAX_POSITIONS:,} in a document, fixed",
        f"{EARTH_RADIUS:,.0f} m",
        f"{limits.MAX_SORT_KEYS} and {limits.MAX_PROJECTION_PATHS}, fixed",
    ):
        assert fact in PAGE
