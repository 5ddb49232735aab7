"""What `baas manifest` tells generators: all that clients could use, and none of the rules."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from baas.cli.manifest import app_manifest
from baas.manifest.audiences import Audience, audiences, verdict
from baas.rules.load import load_rules
from baas.rules.model import Operation

APP = Path(__file__).parents[3]
USER = Audience(())
NOBODY = Audience(None)


def read_rule(folder: Path, rule: str) -> tuple[set[str], str, str]:
    """The audiences of a book of this one rule; what it could allow nobody and a user."""
    (folder / "things.yaml").write_text(f"rules:\n  read: >-\n    {rule}\n")
    book = load_rules(folder)
    read = book.collections["things"].rules[Operation.READ]
    return set(audiences(book)), verdict(read, NOBODY), verdict(read, USER)


@pytest.mark.parametrize(
    ("rule", "nobody", "user"),
    [
        ("true", "always", "always"),
        ("false", "never", "never"),
        ("auth != null", "never", "always"),
        ("auth == null", "always", "never"),
        ("null != auth", "never", "always"),
        ("doc.open", "depends", "depends"),
        ("doc._openid == auth.uid", "never", "depends"),
        ("'editor' in auth.roles", "never", "never"),
        ("doc.open || 'editor' in auth.roles", "depends", "depends"),
        ("auth.loginType != 'ANONYMOUS'", "never", "depends"),
        ("auth.unionid == doc.family", "never", "depends"),
        ("auth.claims.paid == true", "never", "depends"),
        ("!('banned' in auth.roles)", "never", "always"),
        ("get('database.rooms.' + doc.room).open", "depends", "depends"),
        ("auth.uid in get('database.rooms.' + doc.room).members", "never", "depends"),
    ],
)
def test_never_is_said_only_of_what_no_such_caller_could_do(
    tmp_path: Path, rule: str, nobody: str, user: str
) -> None:
    assert read_rule(tmp_path, rule)[1:] == (nobody, user)


def test_roles_that_rules_name_are_audiences(tmp_path: Path) -> None:
    named, _, _ = read_rule(tmp_path, "'editor' in auth.roles || 'chief' in auth.roles")
    assert named == {"nobody", "user", "editor", "chief"}


def test_the_sample_app() -> None:
    board = app_manifest(APP)
    posts = board.collections["posts"]
    assert board.audiences == ("nobody", "user", "moderator")
    assert posts.access["user"].unreadable == ("note",)
    assert posts.access["moderator"].unreadable == ()
    assert set(posts.access["user"].unwritable) == {"slug", "likes", "hidden", "note"}
    assert posts.access["nobody"].operations["create"] == "never"
    result = board.functions["my_numbers"].result
    assert result is not None
    assert set(board.schemas[result["$ref"].removeprefix("#/schemas/")]["properties"]) == {
        "posts",
        "likes",
    }
    assert "nightly_digest" not in board.functions
    assert board.storage[0].path == "avatars/{uid}/{file}"


def test_equal_apps_give_equal_texts_without_rules() -> None:
    first, second = (msgspec.json.encode(app_manifest(APP)) for _ in range(2))
    assert first == second
    assert b"auth.uid" not in first
