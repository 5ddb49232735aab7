"""Texts of an app inside source files: they stay what they are, and where they are."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

#: Controls, marks of direction and separators of lines: seen by readers and compilers as they like.
_UNSEEN: Final = frozenset(("Cc", "Cf", "Zl", "Zp"))
_LAST_OF_FOUR_DIGITS: Final = 0xFFFF


def quoted(text: str) -> str:
    """Between double quotes, as Python and ECMAScript both read it."""
    return "".join(map(_visible, json.dumps(text, ensure_ascii=False)))


def lines_of(text: str) -> list[str]:
    """For comments: without what cannot be seen; none for no text."""
    lines = text.strip().splitlines()
    return ["".join(" " if _is_unseen(one) else one for one in line).strip() for line in lines]


def _visible(letter: str) -> str:
    code = ord(letter)
    return f"\\u{code:04x}" if _is_unseen(letter) and code <= _LAST_OF_FOUR_DIGITS else letter


def _is_unseen(letter: str) -> bool:
    return unicodedata.category(letter) in _UNSEEN
