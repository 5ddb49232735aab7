"""What cloud-dev rule texts say differently, and is taken as they mean it."""

from __future__ import annotations

import re
from typing import Final

_UNDEFINED: Final = re.compile(
    r"""
    '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*`
    | (?<![\w.$])undefined(?![\w$])
    """,
    re.S | re.X,
)


def modernised(text: str) -> str:
    """`undefined`, which cloud-dev compares with, as `null`; every offset stays what it was."""

    def plain(found: re.Match[str]) -> str:
        return "null".ljust(len(found[0])) if found[0] == "undefined" else found[0]

    return _UNDEFINED.sub(plain, text)
