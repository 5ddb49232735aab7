"""What the pages say is there, is there."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from baas.cli import main
from tests.support.repository import ROOT, code_of, name, pages, without_code

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
#: Pages of the guide's subfolders that are listed in an index of their own.
INDEXES = {"docs": "docs/README.md", "docs/decisions": "docs/decisions/README.md"}


def links(page: Path) -> list[str]:
    found = _LINK.findall(without_code(page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """As common renderers make them of headings."""
    headings = (title for _, title in _HEADING.findall(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.is_relative_to(ROOT), f"{link} leads out of the repository"
        assert path.exists(), link
        if anchor:
            assert anchor in anchors(path), link


@pytest.mark.parametrize("folder", INDEXES)
def test_the_index_lists_every_page(folder: str) -> None:
    index = ROOT / INDEXES[folder]
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    there = {path.resolve() for path in (ROOT / folder).glob("*.md")} - {index.resolve()}
    assert sorted(map(name, there - listed)) == []


@pytest.mark.parametrize("page", pages(), ids=name)
def test_make_verbs_that_pages_name_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))
    code = code_of(page.read_text(encoding="utf-8"))
    assert set(re.findall(r"^make ([a-z]+)", code, flags=re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", pages(), ids=name)
def test_commands_that_pages_name_exist(page: Path) -> None:
    """`baas verb sub ...`, as far as the words before the first option or operand go."""
    code = code_of(page.read_text(encoding="utf-8"))
    for line in re.findall(r"^(?:\S*/)?baas((?: +[a-z][a-z-]*)+)", code, flags=re.MULTILINE):
        assert exists(line.split()), f"baas{line}"


def exists(words: list[str]) -> bool:
    """A group's word must be one of its commands; what follows a command is an operand."""
    command: click.Command | None = main
    context = click.Context(main)
    for word in words:
        if not isinstance(command, click.Group):
            return True
        command = command.get_command(context, word)
        if command is None:
            return False
    return True


def test_the_chinese_readme_has_the_headings_and_links_of_the_english_one() -> None:
    english, chinese = (ROOT / "README.md", ROOT / "README.zh-CN.md")
    levels = [
        [len(marks) for marks, _ in _HEADING.findall(without_code(page.read_text("utf-8")))]
        for page in (english, chinese)
    ]
    assert levels[0] == levels[1]
    each_other = {"README.md", "README.zh-CN.md"}
    assert set(links(english)) - each_other == set(links(chinese)) - each_other


def test_the_chinese_readme_shows_the_same_blocks() -> None:
    """But for comments."""

    def blocks(page: str) -> list[str]:
        text = (ROOT / page).read_text("utf-8")
        found = re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.S | re.M)
        return [
            re.sub(r" +#.*", "", body) if kind in ("sh", "yaml") else body for kind, body in found
        ]

    assert blocks("README.md") == blocks("README.zh-CN.md")
