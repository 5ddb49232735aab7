"""The master secret: the one value from which every other key of this installation is derived.

It seals the token signing keys at rest, signs refresh tokens and encrypts cursors. It comes from
the setting `server.secret`, else from the file `secret` in the data folder, made at first start
and readable by its owner alone. Whoever has it can be anyone, so weak ones are refused.
"""

from __future__ import annotations

import os
import re
import secrets
from itertools import pairwise
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from baas.errors import ConfigurationError

FILE_NAME: Final = "secret"
MIN_LENGTH: Final = 32
#: Random hexadecimal of 32 characters has fewer than 9 different ones once in a million.
MIN_DISTINCT: Final = 9
KEY_BYTES: Final = 32
_MADE_BYTES: Final = 48

# Words of secrets that were copied from a manual. Long enough never to turn up by chance.
_KNOWN_WORDS: Final = re.compile(
    r"changeme|changethis|replaceme|replacethis|secret|password|passw0rd|default|example|"
    r"placeholder|yourkey|letmein|qwerty|insecure|deadbeef|abcdefgh|12345678|01234567"
)
_HINT: Final = (
    'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))", '
    "or leave server.secret empty and one is made in the data folder"
)


class MasterSecret:
    """Derives keys by purpose. Holds the secret in memory only; never shows it."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._derived: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return "MasterSecret(...)"

    @classmethod
    def load(cls, data_folder: Path, configured: str) -> MasterSecret:
        """From the setting if it is given, else from the data folder, made there if need be.

        ConfigurationError for a weak secret and for a file that others may read.
        """
        if configured:
            check_strength(configured, "server.secret")
            return cls(configured.encode())
        path = data_folder / FILE_NAME
        text = _read(path)
        if text is None:
            text = _make(path)
        check_strength(text, str(path))
        return cls(text.encode())

    def derive(self, purpose: str) -> bytes:
        """32 bytes that only this installation has, independent for each purpose (RFC 5869)."""
        key = self._derived.get(purpose)
        if key is None:
            # No salt: the input is a uniformly random secret (RFC 5869, 3.1).
            kdf = HKDF(SHA256(), KEY_BYTES, salt=None, info=f"baas/{purpose}".encode())
            key = self._derived[purpose] = kdf.derive(self._secret)
        return key


def check_strength(secret: str, where: str) -> None:
    """ConfigurationError, naming `where`, for a secret that could be guessed.

    Catches what people really leave in place: short ones, manuals' examples, repetitions and
    runs. It cannot measure entropy; a long sentence passes.
    """
    if fault := _weakness(secret):
        raise ConfigurationError(f"the secret {fault}; {_HINT}", file=where)


def _weakness(secret: str) -> str | None:
    if len(secret) < MIN_LENGTH:
        return f"is too short: {len(secret)} of at least {MIN_LENGTH} characters"
    if _KNOWN_WORDS.search(re.sub(r"[\W_]", "", secret).lower()):
        return "is a known default or example"
    if len(set(secret)) < MIN_DISTINCT or _repeats(secret) or _runs(secret):
        return "is too regular to be random"
    return None


def _repeats(text: str) -> bool:
    """Whether a piece of at most half its length, repeated, makes the text."""
    return any(text[period:] == text[:-period] for period in range(1, len(text) // 2 + 1))


def _runs(text: str) -> bool:
    """Whether at least half of the steps between neighbours are the same (abcd..., 2468...)."""
    steps = [ord(right) - ord(left) for left, right in pairwise(text)]
    return max(steps.count(step) for step in set(steps)) * 2 >= len(steps)


def _read(path: Path) -> str | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigurationError("the secret cannot be read", file=str(path)) from fault
    if os.name == "posix" and mode & 0o077:
        raise ConfigurationError(
            "others may read the secret; run: chmod 600 on this file", file=str(path)
        )
    return text


def _make(path: Path) -> str:
    """Makes the file in one step that only the first of several processes can do.

    Written aside and linked into place, so that nobody ever reads half a secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = path.with_name(f".{FILE_NAME}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(_MADE_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _place(aside, path)
    except OSError as fault:
        raise ConfigurationError("the secret cannot be written", file=str(path)) from fault
    finally:
        aside.unlink(missing_ok=True)
    made = _read(path)
    if made is None:
        raise ConfigurationError("the secret vanished while it was made", file=str(path))
    return made


def _place(aside: Path, path: Path) -> None:
    """Another process may have been first; then its secret is the one."""
    try:
        os.link(aside, path)
    except FileExistsError:
        return
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
