"""`baas storage make-bucket`: what compose.yaml runs before the first gateway."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from tests.support.s3 import Server


@pytest.fixture(autouse=True)
def _in_an_app_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def make_bucket(*arguments: str, **settings: str) -> Result:
    variables = {f"BAAS_STORAGE__{name.upper()}": value for name, value in settings.items()}
    return CliRunner(env=variables).invoke(main, ["storage", "make-bucket", *arguments])


def test_once_made_it_is_there(s3_servers: Callable[[str], Server]) -> None:
    server = s3_servers("versitygw")
    given = server.settings(s3_bucket="made-by-the-kit")
    settings = {
        name: str(getattr(given, name))
        for name in ("engine", "s3_endpoint", "s3_bucket", "s3_access_key", "s3_secret_key")
    }
    assert make_bucket(**settings).output == "made-by-the-kit: made\n"
    assert make_bucket(**settings).output == "made-by-the-kit: is there\n"
    assert server.client().bucket_exists("made-by-the-kit")
    refused = make_bucket(**{**settings, "s3_secret_key": "another"})
    assert refused.exit_code == 1
    assert "storage.s3_secret_key" in refused.stderr


def test_a_store_that_is_not_there() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}"
        given = {"s3_endpoint": endpoint, "s3_bucket": "files", "s3_region": "us-east-1"}
        result = make_bucket(engine="s3", s3_access_key="a", s3_secret_key="b" * 8, **given)
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr


def test_without_s3_there_is_nothing_to_make() -> None:
    assert "storage.engine is not s3" in make_bucket().stderr
