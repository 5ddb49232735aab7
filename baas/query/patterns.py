"""Regular expressions of queries and rules: RE2, so time is linear in the text, always."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import re2

#: Bytes that one compiled pattern may take, and how many are kept: measured, hostile patterns fill
#: some 50 MiB of this process. RE2's own 8 MiB each would be 2 GiB. `.{1000}` fits; counted
#: repetitions of large Unicode classes (`\pL{30}`) do not, and are refused.
_MAX_MEMORY: Final = 512 * 1024
_KEPT: Final = 256
FLAGS: Final = frozenset("ims")


@lru_cache(maxsize=_KEPT)
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
