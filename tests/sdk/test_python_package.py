"""The Python distribution of the sample app's client, as it would be published."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import httpx
import pytest

from tests.support.gateway import ROOT, Gateway


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            *options,
            "--wheel-dir",
            folder,
            ROOT / "sdk/python",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_the_client_its_types_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = Parser().parsestr(archive.read("board_cloud-0.1.0.dist-info/METADATA").decode())
    assert {name.partition("/")[0] for name in names} == {
        "board_cloud",
        "board_cloud-0.1.0.dist-info",
    }
    assert {"board_cloud/py.typed", "board_cloud/board_gen.py"} <= set(names)
    assert "board_cloud-0.1.0.dist-info/licenses/LICENSE" in names
    needs = [need.partition("<")[0].partition(">")[0] for need in metadata.get_all("Requires-Dist")]
    assert sorted(needs) == ["httpx", "websockets"]


def test_it_works_where_nothing_of_the_kit_is(wheel: Path, tmp_path: Path, board: Gateway) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    program = f"""
import sys
sys.path[:0] = [{str(tmp_path / "site")!r}, {str(Path(httpx.__file__).parents[1])!r}]
from board_cloud import create_cloud
with create_cloud({board.url!r}, trust_env=False) as cloud:
    cloud.auth().sign_in_anonymously()
    print(cloud.call_function("my_numbers").result["posts"])
print([name for name in sys.modules if name.partition(".")[0] in ("baas", "baas_sdkgen")])
"""
    # Isolated, and without the site's own paths: an editable installation of the kit is one.
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("0\n[]\n", "")
