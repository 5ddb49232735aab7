"""compose.yaml and the Dockerfiles, as far as that can be told where no engine runs containers."""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from baas.settings import load_settings
from scripts import make_env
from scripts.s3servers import VERSIONS
from tests.support.gateway import ROOT

COMPOSE = ROOT / "compose.yaml"
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(:[?-][^}]*)?\}")
SECRET = re.compile(r"PASSWORD|SECRET|KEY\b|_KEY|URL")
DOCKERFILES = ["Dockerfile", "tests/Dockerfile"]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def test_compose_accepts_it() -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "check_jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            COMPOSE,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_has_a_default(services: dict[str, Any]) -> None:
    given = dict(VARIABLE.findall(COMPOSE.read_text()))
    assert {name for name, text in given.items() if text.startswith(":?")} == set(make_env.NAMES)
    assert {name for name, text in given.items() if not text.startswith(":?")} == {"PORT"}
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if SECRET.search(variable) and "S3_LINKS" not in variable:
                is_address = re.fullmatch(r"https?://[a-z0-9-]+(:\d+)?", value)
                assert VARIABLE.search(value) or is_address, f"{name}: {variable}"


def test_what_make_env_makes_is_strong_and_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_env, "ENV", tmp_path / ".env")
    assert make_env.main() == 0
    made = (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    assert make_env.main() == 1, "it is not replaced"
    assert (tmp_path / ".env").read_text() == made
    assert not re.search("|".join(re.findall(r"=(.*)", made)), capsys.readouterr().out)


def test_gateways_take_the_settings(services: dict[str, Any], tmp_path: Path) -> None:
    secrets = {name: "0123456789abcdef"[: size // 2] for name, size in make_env.NAMES.items()}
    for name in ("gateway-a", "gateway-b", "bucket"):
        environment = {
            variable: VARIABLE.sub(lambda found: secrets[found[1]], value)
            for variable, value in services[name]["environment"].items()
        }
        settings = load_settings(ROOT, environment)
        assert settings.database.engine == "mongo"
        assert settings.database.mongo_url.endswith("replicaSet=rs0&authSource=admin")
        assert settings.storage.engine == "s3"


def test_images_have_versions(services: dict[str, Any]) -> None:
    images = [service["image"] for service in services.values() if "image" in service]
    for file in DOCKERFILES:
        images += re.findall(r"^FROM (\S+)", (ROOT / file).read_text(), re.MULTILINE)
    for image in images:
        assert re.search(r":v?\d", image), image
    assert services["s3"]["image"].endswith(f":{VERSIONS['versitygw'][1]}"), "as the tests run it"


def test_nobody_but_the_proxy_is_reached_from_outside(services: dict[str, Any]) -> None:
    for name, service in services.items():
        if name == "proxy":
            continue
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
            assert service["profiles"] == ["dev"], name
    for name in ("mongo", "s3"):
        assert services[name]["networks"] == ["inside"]


def test_the_database_is_healthy_when_it_takes_writes(services: dict[str, Any]) -> None:
    (_, script) = services["mongo"]["healthcheck"]["test"]
    program = re.search(r"--eval '(.*)'$", script)
    assert program is not None
    # What a server answers: not told yet, on its way, a lone one while it is being set up, ready.
    for status, hello, expected in (
        ("throw {codeName: 'NotYetInitialized'}", "{isWritablePrimary: false}", "initiate 1"),
        ("", "{setName: 'rs0', isWritablePrimary: false}", "1"),
        ("throw {codeName: 'NoReplicationEnabled'}", "{isWritablePrimary: true}", "1"),
        ("", "{setName: 'rs0', isWritablePrimary: true}", "0"),
    ):
        javascript = (
            "const said = []; const quit = code => said.push(code);"
            f"const db = {{hello: () => ({hello})}};"
            f"const rs = {{status() {{ {status} }}, initiate: () => said.push('initiate')}};"
            f"{{ {program[1]} }} console.log(said.join(' '))"
        )
        done = subprocess.run(
            ["node", "-e", javascript], check=True, capture_output=True, text=True, timeout=30
        )
        assert done.stdout.strip() == expected


# -- the image -------------------------------------------------------------------------------------


def copied(dockerfile: str) -> list[str]:
    """What it takes from this folder."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", (ROOT / dockerfile).read_text(), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1] if source[0] != "-"]


def test_the_image_does_not_run_as_root() -> None:
    for file in DOCKERFILES:
        users = re.findall(r"^USER (\S+)", (ROOT / file).read_text(), re.MULTILINE)
        assert users
        assert users[-1] not in ("root", "0")


def test_all_that_is_copied_is_there_and_sent() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = [line[1:] for line in lines if line.startswith("!")]
    for source in copied("Dockerfile"):
        assert (ROOT / source).exists(), source
        assert any(source == one or fnmatch.fnmatch(source, one) for one in sent), source


def test_the_wheel_is_built_from_what_is_copied(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text().partition("pip wheel")[0]
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, tmp_path / target, ignore=ignore)
            else:
                shutil.copy(ROOT / source, tmp_path / target)
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path / "out")]
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(tmp_path)], check=True, timeout=120
    )
    (wheel,) = (tmp_path / "out").iterdir()
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"baas/cli/__init__.py", "baas_sdkgen/__init__.py", "baas/panel/index.html"} <= names
