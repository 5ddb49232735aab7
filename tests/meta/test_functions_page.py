"""docs/functions.md says what can be declared: every decorator, option, hook, event and preset."""

from __future__ import annotations

import re

import msgspec
import pytest

from baas.functions import api, events
from baas.functions.bundle import MAX_BUNDLE_BYTES, MAX_FILE_BYTES, MAX_FILES
from baas.functions.model import (
    AUTH_EVENTS,
    CONTRACTS,
    HOOKS,
    MAX_DEPTH,
    RETRY_PRESETS,
    TRIGGER_KINDS,
    WEBHOOK_SCHEMES,
    FunctionSpec,
)
from baas.functions.options import DECORATOR_OPTIONS
from baas.functions.versions import KEEP_VERSIONS
from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    match = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no heading {title}"
    return match[1]


def rows(text: str) -> dict[str, str]:
    """First cells, each name of them apart, with the second cell."""
    found = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            names, second = line.strip("| ").split(" | ")[:2]
            found.update(dict.fromkeys(re.findall(r"`([^`]+)`", names), second))
    return found


def test_every_option_has_its_row_and_default() -> None:
    options = rows(section("Options"))
    assert set(options) == set(DECORATOR_OPTIONS)
    fields = {field.name: field.default for field in msgspec.structs.fields(FunctionSpec)}
    for name in ("timeout", "min_workers", "max_workers", "idle_timeout"):
        assert options[name] == f"{fields[name]:g}", name


def test_decorators_and_types_it_names_exist_and_all_are_named() -> None:
    named = set(re.findall(r"\bfn\.([A-Za-z_]+)", PAGE))
    assert named <= set(api.__all__)
    assert set(api.__all__) - named <= {
        "Backoff",
        "Options",
        "QueueMessage",
        "Transaction",
    }


@pytest.mark.parametrize(
    "kind", ["database", "storage", "timer", "auth", "queue", "custom", "http", "before"]
)
def test_the_fields_of_events_are_those_of_the_structs(kind: str) -> None:
    struct = events.EVENT_TYPES[kind]
    line = next(one for one in PAGE.splitlines() if f"`fn.{struct.__name__}`: " in one)
    shown = re.search(r"`fn\.\w+`: `([^`]+)`", line)
    assert shown is not None
    assert shown[1].split() == [f.name for f in msgspec.structs.fields(struct) if f.name != "actor"]


@pytest.mark.parametrize(
    "names", [HOOKS, AUTH_EVENTS, CONTRACTS[1:], WEBHOOK_SCHEMES, tuple(RETRY_PRESETS)]
)
def test_every_name_there_is_stands_on_the_page(names: tuple[str, ...]) -> None:
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", PAGE)] == []


def test_the_kinds_that_can_be_switched_off_are_those_there_are() -> None:
    comment = re.search(r"# kinds: (.*); or all", PAGE)
    assert comment is not None
    assert set(comment[1].split()) == set(TRIGGER_KINDS)


def test_limits_are_those_of_the_source() -> None:
    assert f"a depth of {MAX_DEPTH}" in PAGE
    assert f"The newest {KEEP_VERSIONS} are kept" in PAGE
    assert f"{MAX_FILES:,} files" in PAGE
    assert (
        f"{MAX_BUNDLE_BYTES // 1024**2} MiB, a file at most {MAX_FILE_BYTES // 1024**2} MiB" in PAGE
    )
