"""Regular expressions of queries and rules: RE2, so time is linear in the text, always."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

#: Bytes that one compiled pattern may take. RE2's own default is 8 MiB; a pattern of 256
#: characters that needs more than this is one that counts repetitions of repetitions.
_MAX_MEMORY: Final = 1024**2
FLAGS: Final = frozenset("ims")


@lru_cache(maxsize=512)
def compile_pattern(pattern: str, flags: str = "") -> Any:
    """The compiled pattern; `.search(text)` is truthy where it is found. ValueError if RE2 refuses.

    `flags` from `i` (ignore case, Unicode), `m` (`^ $` at lines too), `s` (dot takes newlines).
    Without `m`, `$` is the very end of the text. Every engine matches through this function.
    """
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        # The flags stand before the pattern, not around it: no ")" in it can close them.
        return re2.compile(f"(?{flags}){pattern}" if flags else pattern, options)
    except re2.error as fault:
        reason = fault.args[0] if fault.args else "not a pattern"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
