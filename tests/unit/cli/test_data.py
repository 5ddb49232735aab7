"""`baas data export | import`: what goes out comes in again, and bad lines are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from baas.cli.jsonlines import GROUP

RULES = """
schema:
  type: object
  required: [n]
  additionalProperties: false
  properties:
    n: {type: integer}
    tag: {type: string}
    done: {type: boolean, default: false}
indexes:
  - {fields: [tag], unique: true}
acl: PRIVATE
"""


@pytest.fixture(autouse=True)
def _in_an_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "notes.yaml").write_text(RULES)


def data(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["data", *arguments])


def write(name: str, *documents: Any) -> None:
    lines = (one if isinstance(one, str) else json.dumps(one) for one in documents)
    Path(name).write_text("".join(f"{line}\n" for line in lines))


def exported(collection: str = "notes") -> list[dict[str, Any]]:
    result = data("export", collection)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def failed(*arguments: str) -> str:
    result = data(*arguments)
    assert result.exit_code == 1
    return result.stderr


def test_an_export_imports_as_it_was(tmp_path: Path) -> None:
    write(
        "notes.jsonl",
        {"_id": "b", "n": 1, "_openid": "u1", "_createTime": {"$date": "2026-01-02T03:04:05Z"}},
        {"_id": "a", "n": 2, "tag": "x", "done": True},
    )
    assert data("import", "notes.jsonl").exit_code == 0
    assert data("export", "-o", "out").exit_code == 0
    copy = tmp_path / "copy"
    again = data("import", "out/notes.jsonl", "--data", str(copy))
    assert again.exit_code == 0, again.stderr
    first = data("export", "notes").stdout
    assert data("export", "notes", "--data", str(copy)).stdout == first
    assert [json.loads(line)["_id"] for line in first.splitlines()] == ["a", "b"]


def test_server_fields_are_kept_or_made_and_defaults_applied() -> None:
    time = {"$date": "2026-01-02T03:04:05.000Z"}
    write("notes.jsonl", {"_id": "a", "n": 1, "_openid": "u1", "_updateTime": time}, "", {"n": 2})
    assert data("import", "notes.jsonl").exit_code == 0
    named, made = sorted(exported(), key=lambda document: document["n"])
    assert (named["_openid"], named["_updateTime"], named["done"]) == ("u1", time, False)
    assert len(made["_id"]) == 20
    assert "_openid" not in made
    assert made["_createTime"] == made["_updateTime"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"n": ', "not JSON"),
        ("[1]", "must be an object"),
        ('{"n": "one"}', "document.n"),
        ('{"n": 1, "more": 2}', "more"),
        ('{"n": 1, "_id": "no good"}', "_id"),
        ('{"n": 1, "_openid": 7}', "_openid"),
        ('{"n": 1, "_createTime": "today"}', "_createTime"),
        ('{"n": 1, "$set": 2}', "$set"),
    ],
)
def test_a_bad_line_is_named_and_nothing_of_its_group_is_in(line: str, message: str) -> None:
    write("bad.jsonl", {"n": 1}, line, {"n": 3})
    complaint = failed("import", "bad.jsonl", "--collection", "notes")
    assert complaint.startswith("Error: bad.jsonl:2: ")
    assert message in complaint
    assert "nothing is imported" in complaint
    assert exported() == []


def test_groups_before_a_bad_line_are_in_and_the_message_says_so() -> None:
    write("notes.jsonl", *({"n": n} for n in range(GROUP + 1)), "{")
    complaint = failed("import", "notes.jsonl")
    assert f"notes.jsonl:{GROUP + 2}:" in complaint
    assert f"lines 1 to {GROUP} are imported" in complaint
    assert len(exported()) == GROUP


def test_what_is_there_already_is_replaced_only_on_request() -> None:
    write("notes.jsonl", {"_id": "a", "n": 1}, {"_id": "b", "n": 2})
    data("import", "notes.jsonl")
    write("notes.jsonl", {"_id": "c", "n": 3}, {"_id": "a", "n": 4})
    assert "notes.jsonl:2: another document has the same _id" in failed("import", "notes.jsonl")
    assert {document["_id"]: document["n"] for document in exported()} == {"a": 1, "b": 2}
    assert data("import", "notes.jsonl", "--replace").exit_code == 0
    assert {document["_id"]: document["n"] for document in exported()} == {"a": 4, "b": 2, "c": 3}


def test_a_unique_index_holds_for_imports() -> None:
    write("notes.jsonl", {"n": 1, "tag": "x"}, {"n": 2, "tag": "x"})
    complaint = failed("import", "notes.jsonl")
    assert "notes.jsonl:2:" in complaint
    assert "unique index" in complaint
    assert exported() == []


def test_reserved_collections_cannot_be_named() -> None:
    write("_users.jsonl", {"n": 1})
    assert "not the name of a collection" in failed("import", "_users.jsonl")
    assert "not the name of a collection" in failed("export", "_users")


def test_what_is_not_there_is_named() -> None:
    assert "no data folder" in failed("export", "notes")
    write("notes.jsonl", {"n": 1})
    data("import", "notes.jsonl")
    assert "no collection 'posts'; there are: notes" in failed("export", "posts")


def test_standard_output_takes_one_collection() -> None:
    write("notes.jsonl", {"n": 1})
    data("import", "notes.jsonl")
    data("import", "notes.jsonl", "--collection", "other")
    assert "-o DIR" in failed("export")
    assert data("export", "-o", "out").exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["notes.jsonl", "other.jsonl"]


def test_an_export_that_fails_leaves_the_older_file(tmp_path: Path) -> None:
    write("notes.jsonl", {"n": 1})
    data("import", "notes.jsonl")
    (tmp_path / "kept.jsonl").write_text("older")
    failed("export", "nothing", "-o", "kept.jsonl")
    assert (tmp_path / "kept.jsonl").read_text() == "older"
    assert data("export", "notes", "-o", "kept.jsonl").exit_code == 0
    assert (tmp_path / "kept.jsonl").stat().st_mode & 0o077 == 0


def test_a_collection_without_rules_is_told_of() -> None:
    """A name that was misspelt, most likely."""
    write("nots.jsonl", {"n": 1})
    done = data("import", "nots.jsonl")
    assert done.exit_code == 0
    assert "note: no rule file names nots" in done.stderr
    write("notes.jsonl", {"n": 1})
    assert "note:" not in data("import", "notes.jsonl").stderr
