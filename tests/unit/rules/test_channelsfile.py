"""rules/_channels.yaml: what loads, what does not and why, and which entry decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from baas.errors import ConfigurationError
from baas.rules.channelsfile import (
    ChannelOperation,
    History,
    load_channel_rules,
    read_channel_rules,
)

PAGE = Path(__file__).parents[3] / "docs" / "channels.md"
ONE = "- channel: {}\n  subscribe: true\n"


def test_the_file_on_the_page_loads() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    rules = read_channel_rules(block)
    assert [entry.channel for entry in rules.entries] == ["room:{id}", "notices"]
    assert rules.entries[0].needs.collections == {"rooms"}


def test_without_a_file_nothing_matches(tmp_path: Path) -> None:
    assert load_channel_rules(tmp_path).find("notices") is None
    assert read_channel_rules("").find("notices") is None


@pytest.mark.parametrize(
    ("pattern", "name", "params"),
    [
        ("room:{id}", "room:7", {"id": "7"}),
        ("room:{id}", "room:a b/c", {"id": "a b/c"}),
        ("room:{id}", "room:", None),
        ("room:{id}", "room:a:b", None),
        ("room:{id}", "xroom:a", None),
        ("{a}:{b}", "x:y", {"a": "x", "b": "y"}),
        ("a.b", "a.b", {}),
        ("a.b", "aXb", None),
        ("{name}", "anything at all", {"name": "anything at all"}),
        ("{name}", "a\nb", {"name": "a\nb"}),
        ("{a}-{b}", "x-y-z", {"a": "x-y", "b": "z"}),
    ],
)
def test_a_capture_holds_no_colon(pattern: str, name: str, params: Any) -> None:
    found = read_channel_rules(ONE.format(f'"{pattern}"')).find(name)
    assert (None if found is None else found[1]) == params


def test_the_first_that_matches_decides_alone() -> None:
    text = "- {channel: room:main, publish: true}\n- {channel: 'room:{id}', subscribe: true}\n"
    rules = read_channel_rules(text)
    entry, _ = rules.find("room:main") or (None, None)
    assert entry is not None
    assert set(entry.rules) == {ChannelOperation.PUBLISH}


@pytest.mark.parametrize(
    ("text", "history"),
    [
        ("", History(86_400, 1000)),
        ("  history: none\n", None),
        ("  history: {keep: 90s}\n", History(90, 1000)),
        ("  history: {keep: 7d, max: 5}\n", History(7 * 86_400, 5)),
        ("  history: {}\n", History()),
    ],
)
def test_how_long_messages_are_kept(text: str, history: History | None) -> None:
    (entry,) = read_channel_rules(ONE.format("a") + text).entries
    assert entry.history == history


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("channel: a", "list"),
        ("- {channel: a, suscribe: true}", "subscribe"),
        ("- {subscribe: true}", "channel"),
        (ONE.format("inbox"), "kit's own"),
        (ONE.format("_a"), "kit's own"),
        (ONE.format("'{a}:{a}'"), "twice"),
        (ONE.format("'{a}{b}'"), "between"),
        (ONE.format("'a*'"), "letters"),
        (ONE.format("'a{b'"), "letters"),
        (ONE.format("x" * 129), "128"),
        (ONE.format("'a:{b}'") + ONE.format("'a:{c}'"), "never reached"),
        ("- {channel: a, subscribe: doc.open}", "no document"),
        ("- {channel: a, subscribe: params.id == 1}", "params"),
        ("- {channel: a, subscribe: request.data == 1}", "data"),
        ("- {channel: a, subscribe: nonsense(1)}", "nonsense"),
        (ONE.format("a") + "  history: some\n", "none, or"),
        (ONE.format("a") + "  history: {keep: 31d}\n", "30d"),
        (ONE.format("a") + "  history: {keep: 5}\n", "time"),
        (ONE.format("a") + "  history: {max: 0}\n", "number"),
        (ONE.format("a") + "  history: {max: true}\n", "number"),
        (ONE.format("a") + "  history: {most: 5}\n", "unknown key"),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_channel_rules(text)
    assert fault in str(caught.value)
    assert "_channels.yaml:" in str(caught.value)


def test_a_publish_that_is_open_to_everyone_is_remarked() -> None:
    (advice,) = read_channel_rules("- {channel: a, publish: true}").advice
    assert "publish" in advice.message


def test_what_may_change_an_answer_is_known() -> None:
    text = (
        "- channel: a\n  subscribe: exists('database.rooms.a')\n  presence: now < 5\n"
        "  publish: get('database.other.x').y == 1\n"
    )
    (entry,) = read_channel_rules(text).entries
    # Publishing is decided message by message.
    assert (entry.needs.collections, entry.needs.time) == ({"rooms"}, True)
