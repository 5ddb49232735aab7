"""Files become modules of a release: side by side with other releases, and never half."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.functions.bundle import (
    MAX_FILE_BYTES,
    make_bundle,
    read_bundle,
    remove_copies,
    write_bundle,
)
from baas.functions.load import load_release, unload
from baas.functions.model import Release
from tests.support.functions import bundle_of, refused, released

ONE = "from baas import fn\n@fn.event()\ndef one(): return {}\n"


def call(release: Release, name: str) -> object:
    return release.functions[name].handler()


def test_siblings_import_each_other_as_in_a_folder() -> None:
    files = {
        "main.py": """
            from baas import fn
            import helpers
            from helpers import word as again
            from orders import prices
            import orders.prices as aliased
            import orders.prices
            from . import helpers as relative
            from functions import helpers as by_folder
            from functions.orders.prices import total
            import functions.orders.taxes
            import json

            @fn.event()
            def all_ways():
                import late
                same = helpers is relative is by_folder and prices is aliased is orders.prices
                same = same and total is prices.total and functions.orders.taxes.tax == 2
                return [helpers.word, again, prices.total(), late.word, same, json.dumps(1)]
            """,
        "helpers.py": "word = 'hi'\n",
        "late.py": "word = 'late'\n",
        "orders/prices.py": "from .taxes import tax\ndef total(): return 1 + tax\n",
        "orders/taxes.py": "import helpers\ntax = len(helpers.word)\n",
        "json.py": "raise RuntimeError('the standard library keeps its names')\n",
        "_private.py": "raise RuntimeError('not imported unless somebody asks')\n",
        "_old/main.py": "raise RuntimeError('not imported unless somebody asks')\n",
    }
    del files["json.py"]
    with released(files) as release:
        assert call(release, "all_ways") == ["hi", "hi", 3, "late", True, "1"]


def test_the_standard_library_keeps_its_names() -> None:
    files = {
        "main.py": "from baas import fn\nimport calendar\n"
        "@fn.event()\ndef f(): return calendar.isleap(2028)\n",
        "calendar.py": "shadow = True\n",
    }
    with released(files) as release:
        assert call(release, "f") is True


def test_two_versions_live_side_by_side() -> None:
    text = "from baas import fn\nimport data\n@fn.event()\ndef f():\n    return data.n\n"
    with (
        released({"main.py": text, "data.py": "n = 1\n"}) as old,
        released({"main.py": text, "data.py": "n = 2\n"}) as new,
        released({"main.py": text, "data.py": "n = 2\n"}) as twin,
    ):
        assert old.hash != new.hash == twin.hash
        assert (call(old, "f"), call(new, "f"), call(twin, "f")) == (1, 2, 2)
        assert len({old.namespace, new.namespace, twin.namespace}) == 3
        assert sys.modules[f"{old.namespace}.data"] is not sys.modules[f"{new.namespace}.data"]


def test_what_is_imported_late_comes_from_the_same_version(tmp_path: Path) -> None:
    text = "from baas import fn\n@fn.event()\ndef f():\n    import late\n    return late.n\n"
    folder = tmp_path / "functions"
    folder.mkdir()
    (folder / "main.py").write_text(text)
    (folder / "late.py").write_text("n = 1\n")
    bundle = read_bundle(folder, {})
    release = load_release(bundle, write_bundle(bundle, tmp_path / "copies"))
    (folder / "late.py").write_text("n = 2\n")
    assert call(release, "f") == 1
    unload(release)


def test_files_beside_the_code_are_there() -> None:
    files = {
        "main.py": "from baas import fn\nfrom pathlib import Path\n"
        "@fn.event()\ndef f(): return (Path(__file__).parent / 'page.html').read_text()\n",
        "page.html": "<p>",
    }
    with released(files) as release:
        assert call(release, "f") == "<p>"


def test_an_unloaded_release_leaves_nothing_behind() -> None:
    with released({"main.py": ONE, "pkg/__init__.py": "", "pkg/sub.py": ""}) as release:
        assert any(name.startswith(release.namespace) for name in sys.modules)
    assert not any(name.startswith(release.namespace) for name in sys.modules)


def test_a_release_with_a_fault_leaves_nothing_behind() -> None:
    before = set(sys.modules)
    refused({"a.py": ONE, "b.py": "1 / 0\n"})
    assert not [name for name in set(sys.modules) - before if name.startswith("baas_functions_")]


@pytest.mark.parametrize(
    ("files", "message", "file", "line"),
    [
        ({"a.py": "x = 1\ndef f(:\n"}, "SyntaxError", "a.py", 2),
        ({"a.py": "\nimport nowhere_to_be_found\n"}, "ModuleNotFoundError", "a.py", 2),
        ({"a.py": "import b\n", "b.py": "\n\n1 / 0\n"}, "ZeroDivisionError", "b.py", 3),
        ({"a.py": "raise SystemExit(3)\n"}, "SystemExit: 3", "a.py", 1),
        ({"a.py": "import os\nos.fspath(1)\n"}, "TypeError", "a.py", 2),
        ({"pkg/two-words.py": ""}, "cannot be a module's name", "pkg/two-words.py", None),
    ],
)
def test_a_file_that_does_not_import_says_where(
    files: dict[str, str], message: str, file: str, line: int | None
) -> None:
    fault = refused(files)
    assert message in fault.message
    assert (fault.file, fault.line) == (f"functions/{file}", line)


def test_async_code_may_be_loaded_on_a_running_loop() -> None:
    async def inside() -> object:
        bundle = bundle_of({"main.py": ONE})
        with released({"main.py": ONE}) as release:
            assert release.hash == bundle.hash
            return call(release, "one")

    assert asyncio.run(inside()) == {}


# -- bundles --------------------------------------------------------------------------------------


def test_the_hash_is_that_of_files_and_settings() -> None:
    base = make_bundle({"a.py": b"1", "b.py": b"2"}, {"functions": {}})
    assert base.hash == make_bundle({"b.py": b"2", "a.py": b"1"}, {"functions": {}}).hash
    others = [
        make_bundle({"a.py": b"1"}, {"functions": {}}),
        make_bundle({"a.py": b"1", "b.py": b"3"}, {"functions": {}}),
        make_bundle({"a.py": b"1", "c.py": b"2"}, {"functions": {}}),
        make_bundle({"a.py": b"1", "b.py": b"2"}, {"functions": {"a": {"timeout": 1}}}),
        make_bundle({"a.py": b"1\0b.py\x002"}, {"functions": {}}),
    ]
    assert len({base.hash, *(other.hash for other in others)}) == 6


@pytest.mark.parametrize("path", ["../a.py", "/a.py", "a//b.py", "a/./b.py", "a\\b.py", "c:/a.py"])
def test_no_path_leads_out_of_the_folder(path: str) -> None:
    with pytest.raises(ConfigurationError):
        make_bundle({path: b""}, {})


def test_too_large_a_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="more than 8 MiB"):
        make_bundle({"a.bin": bytes(MAX_FILE_BYTES + 1)}, {})


def test_a_folder_is_read_without_caches_hidden_files_and_links_that_lead_out(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "functions"
    for path in ("a.py", "pkg/b.py", ".env", ".git/c.py", "__pycache__/d.pyc", "e.py~"):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path)
    (tmp_path / "outside.py").write_text("secret")
    (folder / "out.py").symlink_to(tmp_path / "outside.py")
    (folder / "in.py").symlink_to(folder / "a.py")
    (folder / "up").symlink_to(tmp_path)
    assert read_bundle(folder, {}).files == {
        "a.py": b"a.py",
        "in.py": b"a.py",
        "pkg/b.py": b"pkg/b.py",
    }
    assert read_bundle(tmp_path / "absent", {}).files == {}


def test_a_copy_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    bundle = bundle_of({"a.py": "x = 1\n", "pkg/b.py": "y = 2\n"})
    folder = write_bundle(bundle, tmp_path)
    assert write_bundle(bundle, tmp_path) == folder
    (folder / "a.py").write_text("")
    assert (write_bundle(bundle, tmp_path) / "a.py").read_bytes() == bundle.files["a.py"]
    assert [path.name for path in tmp_path.iterdir()] == [bundle.hash]


def test_copies_of_forgotten_versions_go_after_a_while(tmp_path: Path) -> None:
    kept, old, new = (bundle_of({"a.py": f"n = {n}"}) for n in range(3))
    for bundle in (kept, old, new):
        write_bundle(bundle, tmp_path)
    for bundle in (kept, old):
        os.utime(tmp_path / bundle.hash, (1, 1))
    remove_copies(tmp_path, {kept.hash}, 60)
    assert {path.name for path in tmp_path.iterdir()} == {kept.hash, new.hash}
    remove_copies(tmp_path / "nowhere", set(), 60)
