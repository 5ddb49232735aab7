"""`baas storage get` and `sync` write where they are told to, whatever a gateway calls files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from baas.cli.storage.local import Unfit, excluded, files_below, place, written

LEADING_OUT = [
    "../x",
    "a/../../x",
    "/etc/x",
    "a//x",
    "a/./x",
    "..",
    ".",
    "",
    "a/",
    "..\\x",
    "a\\..\\x",
    "C:\\x",
    "\\\\host\\share",
    "a\x00b",
    "a\nb",
    "%2e%2e/x",
    "a%2Fb",
    "e\u0301",
    "\ud800",
    "x" * 851,
]
#: Names that only Windows reads otherwise.
WINDOWS = [
    "CON",
    "nul.txt",
    "a/com1.log",
    "LPT9",
    "C:x",
    "a:stream",
    "dot.",
    "space ",
    "a/b?",
    "com¹",
]


@pytest.mark.parametrize("name", LEADING_OUT)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Unfit):
        place(tmp_path, name)


@pytest.mark.parametrize("name", WINDOWS)
def test_a_name_that_windows_reads_otherwise_is_refused_there(tmp_path: Path, name: str) -> None:
    assert place(tmp_path, name, windows=False).parent in (tmp_path, tmp_path / "a")
    with pytest.raises(Unfit, match="Windows"):
        place(tmp_path, name, windows=True)


@pytest.mark.parametrize(
    "name", ["a", "a/b/c.txt", ".hidden", "..a", "a...b", "猫/ü", "-rf", "~", "console"]
)
def test_any_other_name_is_a_place_below_the_folder(tmp_path: Path, name: str) -> None:
    for windows in (False, True):
        assert place(tmp_path, name, windows=windows) == tmp_path / name


def test_no_folder_that_is_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("a/x", "a/b/x", "dangling/x"):
        with pytest.raises(Unfit, match="is no folder here"):
            place(tmp_path / "root", name)


def test_a_link_at_the_place_itself_is_replaced_not_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / "x").symlink_to(precious)
    with written(place(tmp_path, "x")) as file:
        file.write(b"new")
    assert precious.read_bytes() == b"mine"
    assert not (tmp_path / "x").is_symlink()


def test_what_breaks_off_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def write_half() -> None:
        with written(tmp_path / "x") as file:
            file.write(b"half")
            raise OSError("cable")

    with pytest.raises(OSError, match="cable"):
        write_half()
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"old"


def test_a_new_file_has_the_permissions_of_any_other(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        with written(tmp_path / "x") as file:
            file.write(b"1")
    finally:
        os.umask(old)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640


def test_only_regular_files_are_sent_and_names_are_in_one_form(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "e\u0301").write_bytes(b"1")
    (tmp_path / "half.baas-part").write_bytes(b"1")
    (tmp_path / "link").symlink_to(tmp_path / "sub" / "e\u0301")
    (tmp_path / "loop").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert [file.name for file in files_below(tmp_path)] == ["sub/é"]


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("a.tmp", "*.tmp", True),
        ("sub/a.tmp", "*.tmp", True),
        (".git/objects/x", ".git", True),
        ("sub/.git/x", ".git", True),
        ("sub/a", "sub/*", True),
        ("other/a", "sub/*", False),
        ("atmp", "*.tmp", False),
    ],
)
def test_patterns(name: str, pattern: str, fits: bool) -> None:
    assert excluded(name, (pattern,)) == fits


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sync --delete` would delete at the other side what lies in it."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "a").write_text("1")
    real = os.scandir

    def scandir(folder: str) -> object:
        if folder.endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        list(files_below(tmp_path))
