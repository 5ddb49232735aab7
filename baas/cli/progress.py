"""How far a long command is: a bar on a terminal, one line per part elsewhere."""

from __future__ import annotations

import sys
from typing import Any, Final, TextIO

import click

#: Of a part's name in front of its bar.
_NAME_WIDTH: Final = 18


class Bars:
    """One bar after the other on standard error; of parts whose size is not known, a count."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: Any = None
        self._what = ""
        self._count = 0

    def begin(self, what: str, total: int | None = None) -> None:
        self._what, self._count = what, 0
        if self._stream.isatty() and total:
            self._bar = click.progressbar(
                length=total, label=f"{what:<{_NAME_WIDTH}}", file=self._stream, show_pos=True
            )
            self._bar.__enter__()

    def add(self, number: int) -> None:
        self._count += number
        if self._bar is not None:
            self._bar.update(number)

    def end(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.__exit__(None, None, None)
        elif self._count:
            click.echo(f"{self._what:<{_NAME_WIDTH}}  {self._count:,}", file=self._stream)
