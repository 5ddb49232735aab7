"""Prevents: running on a secret that others know or can guess."""

from __future__ import annotations

import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from baas.errors import ConfigurationError
from baas.secret import MasterSecret


@pytest.mark.parametrize(
    "secret",
    [
        "changeme",
        "x",
        "short-but-random-8f3kZq0",
        "a" * 64,
        "ab" * 32,
        "correct-horse-1!" * 4,
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
        "0123456789012345678901234567890123456789",
        "9876543210987654321098765432109876543210",
        "change-me-change-me-now-please-9f8e7d",
        "CHANGE_ME_0f3a9c5b7e1d8642aa10ffee99",
        "your-256-bit-secret-goes-here-ok-1234",
        "my super Secret key for this app 2026!",
        "password-password-password-password-1",
        "replace_this_with_a_long_random_value",
        "an-example-key-of-more-than-32-letters",
    ],
)
def test_weak_and_well_known_secrets_stop_the_start(tmp_path: Path, secret: str) -> None:
    with pytest.raises(ConfigurationError) as fault:
        MasterSecret.load(tmp_path, secret)
    assert secret not in str(fault.value)
    assert not (tmp_path / "secret").exists()


def test_random_secrets_pass(tmp_path: Path) -> None:
    for _ in range(300):
        for secret in (secrets.token_urlsafe(32), secrets.token_hex(16), secrets.token_hex(32)):
            MasterSecret.load(tmp_path, secret)


def test_without_one_a_good_one_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = MasterSecret.load(folder, "")
    path = folder / "secret"
    assert len(path.read_text().strip()) >= 43
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in folder.iterdir()] == ["secret"]
    assert MasterSecret.load(folder, "").derive("a") == first.derive("a")


def test_processes_that_start_at_once_agree_on_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: MasterSecret.load(tmp_path, "").derive("a"), range(16)))
    assert len(set(made)) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["secret"]


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    MasterSecret.load(tmp_path, "")
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        MasterSecret.load(tmp_path, "")


@pytest.mark.parametrize("content", [b"", b"changeme\n", b"\xff\xfe" * 20])
def test_a_spoilt_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError):
        MasterSecret.load(tmp_path, "")
    assert path.read_bytes() == content


def test_keys_of_different_purposes_and_secrets_differ(tmp_path: Path) -> None:
    one, other = MasterSecret.load(tmp_path, ""), MasterSecret.load(tmp_path / "b", "")
    derived = [one.derive("a"), one.derive("b"), other.derive("a")]
    assert len(set(derived)) == 3
    assert {len(key) for key in derived} == {32}
    assert one.derive("a") == derived[0]


def test_the_secret_does_not_show(tmp_path: Path) -> None:
    master = MasterSecret.load(tmp_path, "")
    assert (tmp_path / "secret").read_text().strip() not in repr(master)
