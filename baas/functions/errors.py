"""What a function raises to be heard: its own code, status and detail."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

CODE_PATTERN: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)


class Error(Exception):
    """`raise fn.Error("SOLD_OUT", status=409, detail="...")` reaches the client as that problem.

    `code` is upper case with underscores; `status` is 400 to 599. Any other exception of a
    function is FUNCTION_FAILED, without its text.
    """

    def __init__(self, code: str, *, status: int = 400, detail: str = "") -> None:
        if not CODE_PATTERN.fullmatch(code):
            raise ValueError(f"a code is upper case, digits and '_', at most 64: {code!r}")
        if not 400 <= status <= 599:
            raise ValueError(f"an error's status is 400 to 599, not {status}")
        super().__init__(code, detail)
        self.code = code
        self.status = status
        self.detail = detail

    @property
    def title(self) -> str:
        """The status in words, as the problem document's `title`."""
        try:
            return HTTPStatus(self.status).phrase
        except ValueError:
            return "The function refused"
