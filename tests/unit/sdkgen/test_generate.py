"""What the generator makes of an app with hard names, and of one that means harm."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from baas_sdkgen import ManifestError, compare, generate, read_manifest, write
from baas_sdkgen.names import NamesCollideError, pascal, snake
from baas_sdkgen.output import LANGUAGES

from tests.support.sdkgen import GOLDEN, HARM, harmful_manifest, manifest_of, odd_manifest


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_golden_tree(language: str) -> None:
    """Its own files; the runtime's are copied as they are. After a change that is meant:
    `python -m tests.unit.sdkgen.accept`."""
    made = {
        path: content.decode()
        for path, content in generate(odd_manifest(), language).items()
        if "/runtime/" not in path
    }
    folder = GOLDEN / language
    kept = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    del made[".generated"]
    assert made.keys() == kept.keys()
    for path, text in made.items():
        assert text == kept[path], path


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_the_runtime_is_copied_as_it_is(language: str) -> None:
    runtime = Path(__file__).parents[3] / "sdk" / "baas_sdkgen" / "runtime"
    folder = {"python": runtime / "py", "typescript": runtime / "ts"}[language]
    made = generate(odd_manifest(), language)
    copied = {path.partition("/runtime/")[2]: path for path in made if "/runtime/" in path}
    kind = {"python": "*.py", "typescript": "*.ts"}[language]
    assert copied.keys() == {path.relative_to(folder).as_posix() for path in folder.rglob(kind)}
    for name, path in copied.items():
        assert made[path] == (folder / name).read_bytes()


def test_the_licence_of_the_runtime_is_the_kits() -> None:
    root = Path(__file__).parents[3]
    for language in LANGUAGES:
        assert generate(odd_manifest(), language)["LICENSE"] == (root / "LICENSE").read_bytes()


# -- harm ------------------------------------------------------------------------------------------


def test_no_text_of_a_manifest_becomes_a_statement_of_python() -> None:
    files = generate(harmful_manifest(), "python")
    for path, content in files.items():
        if path.endswith(".py") and "/runtime/" not in path:
            check(ast.parse(content.decode()))


def check(tree: ast.Module) -> None:
    """Nothing but what such a file is made of; of values, nothing that is called but TypedDict."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            assert node.id not in ("builtins", "__import__", "globalThis")
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            assert all(alias.name != "builtins" for alias in node.names)
    allowed = (ast.Expr, ast.ImportFrom, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign)
    for statement in tree.body:
        assert isinstance(statement, allowed), ast.dump(statement)
        value = getattr(statement, "value", None)
        if isinstance(statement, ast.Assign) and isinstance(value, ast.Call):
            assert isinstance(value.func, ast.Name)
            assert value.func.id in ("TypedDict", "TypeVar")


@pytest.mark.parametrize("text", HARM)
def test_texts_keep_what_they_say_in_python(text: str) -> None:
    schema = {"properties": {text: {"type": "string"}}, "additionalProperties": False}
    functions = {"f": {"event": schema}}
    made = generate(manifest_of(functions=functions), "python")["src/app_cloud/app_gen.py"]
    names = {node.value for node in ast.walk(ast.parse(made)) if isinstance(node, ast.Constant)} | {
        node.target.id
        for node in ast.walk(ast.parse(made))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert text in names


@pytest.mark.parametrize("app", ["a/b", "../x", "a b", 'a"', "", "a\n", "x" * 65, "é"])
def test_the_name_of_an_app_is_that_of_files_and_is_checked(app: str) -> None:
    with pytest.raises(ManifestError, match="app"):
        manifest_of(app=app)


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_profiles", "UserProfiles"),
        ("userProfiles", "UserProfiles"),
        ("user-profiles", "UserProfiles"),
        ("2fa", "_2fa"),
        ("", "_"),
        ("---", "_"),
        ("审核员", "审核员"),
        ("ﬁne", "Fine"),
        ("a b", "AB"),
        ("Page[Tree]", "PageTree"),
        ("🦄", "_"),
    ],
)
def test_names_of_types(name: str, expected: str) -> None:
    assert pascal(name) == expected
    assert pascal(name).isidentifier()
    assert snake(name).isidentifier()


def access(*roles: str) -> dict[str, Any]:
    operations = dict.fromkeys(("read", "create", "update", "delete"), "always")
    return {role: {"operations": operations} for role in roles}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_roles_that_would_have_one_name_are_named(language: str) -> None:
    manifest = manifest_of(audiences=["nobody", "user", "top_writer", "TopWriter"])
    with pytest.raises(NamesCollideError, match=r"roles 'top_writer' and 'TopWriter' .*TopWriter"):
        generate(manifest, language)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_types_of_functions_that_would_have_one_name_are_named(language: str) -> None:
    manifest = manifest_of(schemas={"a.b": {"type": "string"}, "aB": {"type": "string"}})
    with pytest.raises(
        NamesCollideError, match=r"the types 'a.b' and 'aB' would both be called AB"
    ):
        generate(manifest, language)


def test_collections_that_would_have_one_name_in_python_are_named() -> None:
    one = {"access": access("nobody", "user")}
    manifest = manifest_of(collections={"user_posts": one, "userPosts": one})
    with pytest.raises(NamesCollideError, match="collections 'user_posts' and 'userPosts'"):
        generate(manifest, "python")
    assert generate(manifest, "typescript")


def test_equal_manifests_give_equal_trees() -> None:
    for language in LANGUAGES:
        assert generate(odd_manifest(), language) == generate(odd_manifest(), language)


# -- manifests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no manifest"),
        (b"[]", "no manifest"),
        (b'{"manifest": 2, "app": "a"}', "has form 2, this generator knows 1"),
        (b'{"manifest": 1}', "missing required field `app`"),
        (b'{"manifest": 1, "app": "a", "audiences": "x"}', r"\$.audiences"),
    ],
)
def test_what_is_no_manifest_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(text)


def test_members_that_came_later_are_passed_over() -> None:
    whole = json.loads((GOLDEN / "manifest.json").read_text())
    whole["later"] = {"x": 1}
    whole["functions"]["import"]["later"] = True
    assert read_manifest(json.dumps(whole).encode()) == odd_manifest()


# -- output ----------------------------------------------------------------------------------------


def test_only_what_differs_is_written_and_what_is_gone_removed(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    first = {"a/b.ts": b"1", "c.ts": b"2", ".generated": b"a/b.ts\nc.ts\n"}
    assert {one.kind for one in write(first, tmp_path)} == {"missing"}
    assert write(first, tmp_path) == []
    second = {"a/b.ts": b"3", ".generated": b"a/b.ts\n"}
    found = compare(second, tmp_path)
    assert {(one.path, one.kind) for one in found} == {
        (".generated", "changed"),
        ("a/b.ts", "changed"),
        ("c.ts", "stale"),
    }
    write(second, tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        ".generated",
        "b.ts",
        "mine.txt",
    ]


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "a/../../outside.txt"])
def test_a_record_that_was_meddled_with_removes_nothing_outside(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("mine")
    (folder / ".generated").write_text(f"{name}\n{tmp_path}/outside.txt\n")
    write({"x": b""}, folder)
    assert (tmp_path / "outside.txt").exists()
