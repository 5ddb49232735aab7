"""Keeps secrets out of logs, records and captures.

Three nets: the values of the app's own secrets wherever they stand, tokens by their form, and
whatever has a telling name. What is taken out becomes `[redacted]`.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from baas.observe.logs import redact as without_tokens

REDACTED: Final = "[redacted]"
#: A shorter secret is a word like any other; taking it out would spoil every text.
LEAST_LENGTH: Final = 4
#: A line of a longer secret (a PEM key) that is worth hiding by itself.
_LEAST_LINE: Final = 16
MAX_DEPTH: Final = 12

_TELLING: Final = re.compile(
    r"passw|passphrase|secret|token|authorization|cookie|credential|api_?key|apikey|private_?key"
    r"|session_?key|^pwd$|^auth_?key$|^signature$",
    re.IGNORECASE,
)


def is_telling(name: str) -> bool:
    """Whether what is called so is likely to be a secret."""
    return _TELLING.search(name) is not None


class Redactor:
    """For one set of secret values."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # The longest first: one secret may begin another.
        ordered = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def text(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        return without_tokens(text)

    def value(self, value: Any, depth: int = MAX_DEPTH) -> Any:
        """A copy of a JSON value; what lies too deep is left out."""
        if isinstance(value, str):
            return self.text(value)
        if depth == 0 and isinstance(value, (dict, list, tuple)):
            return "..."
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): self._member(name, one, depth) for name, one in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(one, depth - 1) for one in value]
        return value

    def _member(self, name: Any, value: Any, depth: int) -> Any:
        is_empty = value is None or value == "" or isinstance(value, bool)
        if is_telling(str(name)) and not is_empty:
            return REDACTED
        return self.value(value, depth - 1)


def _forms(secret: str) -> Iterator[str]:
    """How a secret may look where it is quoted: as it is, escaped, encoded, by its lines."""
    if len(secret) < LEAST_LENGTH:
        return
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="")
    yield b64encode(secret.encode("utf-8", "surrogatepass")).decode().rstrip("=")
    yield from (line for line in secret.splitlines() if len(line.strip()) >= _LEAST_LINE)
