"""rules/_storage.yaml: what loads, what does not and where it says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.rules.storagefile import FileOperation, load_storage_rules, read_storage_rules

READ, WRITE = FileOperation.READ, FileOperation.WRITE


@pytest.mark.parametrize(
    ("path", "name", "params"),
    [
        ("a/{x}", "a/b", {"x": "b"}),
        ("a/{x}", "a/b/c", None),
        ("a/{x}", "a", None),
        ("a/{x...}", "a/b/c", {"x": "b/c"}),
        ("a/{x...}", "a", None),
        ("{u}/{x...}", "a/b", {"u": "a", "x": "b"}),
        ("a.c", "abc", None),
        ("a/{x}", "a/b\nc", {"x": "b\nc"}),
        ("A", "a", None),
    ],
)
def test_which_paths_an_entry_speaks_of(
    path: str, name: str, params: dict[str, str] | None
) -> None:
    found = read_storage_rules(f"- path: '{path}'\n  read: true\n").find(READ, name)
    assert (None if found is None else found[1]) == params


def test_the_first_entry_that_fits_decides_alone() -> None:
    rules = read_storage_rules(
        "- {path: a/secret, read: false}\n- {path: 'a/{x...}', read: true, write: true}\n"
    )
    assert rules.find(WRITE, "a/secret") is None
    assert rules.find(WRITE, "a/other") is not None
    assert rules.find(READ, "b") is None


def test_list_follows_read_and_delete_follows_write() -> None:
    rules = read_storage_rules("- {path: a, read: true, write: auth != null, delete: false}\n")
    listed, written = rules.find(FileOperation.LIST, "a"), rules.find(WRITE, "a")
    deleted = rules.find(FileOperation.DELETE, "a")
    assert listed is not None
    assert listed[0].rule.text == "true"
    assert written is not None
    assert deleted is not None
    assert (written[0].rule.text, deleted[0].rule.text) == ("auth != null", "false")


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("path: a", 1, 1, "a list of entries"),
        ("- read: true", 1, 3, "needs a path"),
        ("- path: a\n  reed: true", 2, 3, "did you mean 'read'?"),
        ("- path: a/x{y}\n  read: true", 1, 9, "a whole segment"),
        ("- path: 'a/{x...}/b'\n", 1, 9, "it comes last"),
        ("- path: 'a/{x}/{x}'\n", 1, 9, "captured twice"),
        ("- path: a/../b\n", 1, 9, "'.' or '..'"),
        ("- path: a//b\n", 1, 9, "no file can have this path"),
        ("- path: 'a/{x}'\n- path: 'a/{y}'\n", 2, 9, "never reached"),
        ("- path: a\n  read: doc.x == 1", 2, 9, "the file is 'resource'"),
        ("- path: a\n  read: stored == null", 2, 9, "only a write"),
        ("- path: 'a/{uid}'\n  read: params.id == 1", 2, 16, "id"),
        ("- path: a\n  write: resource.sise < 1", 2, 19, "size"),
        ("- path: a\n  write: 7", 2, 10, "an expression"),
    ],
)
def test_faults_say_where(text: str, line: int, column: int, says: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        read_storage_rules(text)
    assert (fault.value.file, fault.value.line) == ("_storage.yaml", line)
    assert abs((fault.value.column or 0) - column) <= 8, fault.value
    assert says in fault.value.message


def test_a_write_open_to_everyone_is_remarked_on() -> None:
    (remark,) = read_storage_rules("- {path: a, write: true}\n").advice
    assert "everyone" in remark.message


def test_without_a_file_nothing_is_allowed(tmp_path: Path) -> None:
    assert load_storage_rules(tmp_path).find(READ, "a") is None
    (tmp_path / "_storage.yaml").write_text("- {path: a, read: true}\n")
    assert load_storage_rules(tmp_path).find(READ, "a") is not None
    (tmp_path / "_storage.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="one of them must go"):
        load_storage_rules(tmp_path)
