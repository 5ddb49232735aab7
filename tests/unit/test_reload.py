"""Changed rule files: in force when they are good, without effect when they are not."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.observe.metrics import Metrics
from baas.reload import FAILURES, RELOADS, RuleWatcher, stamp_of
from baas.rules.model import RuleBook

LATER_NS = 3_600 * 1_000_000_000


class Bench:
    """A watcher over a folder, with the loading and the applying counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.applied: list[str] = []
        self.loads = 0
        self.refuse_to_apply: Exception | None = None
        self.metrics = Metrics("1")
        self.ahead_ns = LATER_NS  # as if every file had been written an hour ago
        self.watcher = RuleWatcher(
            folder, self.load, self.apply, self.metrics, "start", self.now_ns
        )

    def now_ns(self) -> int:
        return time.time_ns() + self.ahead_ns

    def load(self, folder: Path) -> RuleBook:
        self.loads += 1
        text = "".join(path.read_text() for path in sorted(folder.glob("*.yaml")))
        if "bad" in text:
            raise ConfigurationError("not a rule", file="posts.yaml", line=3)
        if "crash" in text:
            raise RuntimeError("a fault of ours")
        return RuleBook(collections={}, revision=text)

    async def apply(self, book: RuleBook) -> None:
        if self.refuse_to_apply is not None:
            raise self.refuse_to_apply
        self.applied.append(book.revision)

    def write(self, text: str, name: str = "posts.yaml") -> None:
        """A change that the file system's clock can tell from the one before."""
        path = self.folder / name
        before = path.stat().st_ctime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_ctime_ns == before:
            path.write_text(text)

    def look(self) -> bool:
        return asyncio.run(self.watcher.look())

    def count(self, name: str) -> float:
        return self.metrics.value(name)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_an_unchanged_folder_is_not_read(bench: Bench) -> None:
    assert not bench.look()
    assert bench.loads == 0


def test_a_changed_file_is_put_in_force_once(bench: Bench) -> None:
    bench.write("one")

    assert bench.look()
    assert not bench.look()
    assert bench.applied == ["one"]
    assert bench.count(RELOADS) == 1


@pytest.mark.parametrize("change", ["new text", "new name", "gone", "touched"])
def test_every_kind_of_change_is_noticed(bench: Bench, change: str) -> None:
    bench.write("one")
    bench.look()
    before = bench.loads

    if change == "new text":
        bench.write("two")
    elif change == "new name":
        bench.write("two", "more.yaml")
    elif change == "gone":
        (bench.folder / "posts.yaml").unlink()
    else:
        bench.write("one")
    bench.look()

    assert bench.loads == before + 1


def test_the_same_rules_again_are_not_applied_again(bench: Bench) -> None:
    bench.write("one")
    bench.look()
    bench.write("one")

    assert not bench.look()
    assert bench.applied == ["one"]


@pytest.mark.parametrize("text", ["bad", "crash"])
def test_a_file_that_does_not_load_changes_nothing_and_is_shown(
    bench: Bench, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write("one")
    bench.look()
    bench.write(text)

    with caplog.at_level(logging.ERROR):
        assert not bench.look()

    assert bench.applied == ["one"]
    assert bench.count(FAILURES) == 1
    assert bench.watcher.stale
    assert "stay in force" in caplog.text
    if text == "bad":
        assert "posts.yaml:3: not a rule" in caplog.text


def test_a_book_that_the_store_cannot_fit_is_refused_too(bench: Bench) -> None:
    bench.refuse_to_apply = ConfigurationError("the unique index slug meets duplicates")
    bench.write("one")

    assert not bench.look()
    assert bench.watcher.stale
    assert bench.watcher.revision == "start"


def test_a_bad_file_is_refused_once_not_at_every_look(bench: Bench) -> None:
    bench.write("bad")
    for _ in range(5):
        bench.look()

    assert (bench.loads, bench.count(FAILURES)) == (1, 1)


def test_mending_the_file_ends_the_alarm(bench: Bench) -> None:
    bench.write("one")
    bench.look()
    bench.write("bad")
    bench.look()
    bench.write("one")

    assert bench.look()
    assert not bench.watcher.stale


def test_what_was_written_just_now_is_looked_at_once_more(bench: Bench) -> None:
    """Two changes within one tick of the file system's clock leave equal stamps."""
    bench.ahead_ns = 0
    bench.write("one")
    bench.look()
    bench.look()
    assert bench.loads == 2

    bench.ahead_ns = LATER_NS
    bench.look()
    bench.look()
    assert bench.loads == 3
    assert bench.applied == ["one"]


def test_a_folder_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert stamp_of(tmp_path / "none") == ()


def test_a_fault_is_said_once_though_fresh_files_are_looked_at_twice(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.ahead_ns = 0  # written just now
    bench.write("bad")
    bench.look()
    bench.ahead_ns = LATER_NS
    bench.look()

    assert bench.loads == 2
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1
