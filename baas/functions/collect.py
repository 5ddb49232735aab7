"""Declarations on their way from decorators to a release.

A decorator only writes down what it was told, with its line; `load` checks all of it afterwards,
so that every fault is told with file and line in one manner. Outside of a load nothing is written
down: a functions file can be imported by a test like any other module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec


class Declared(msgspec.Struct):
    """One decorator of a function: the kind of trigger and what it was given."""

    kind: str
    fields: dict[str, Any]
    line: int


class FunctionDeclaration(msgspec.Struct):
    """A function with all its decorators. `options`: name, value, line of each given."""

    handler: Callable[..., Any]
    module: str
    line: int
    triggers: list[Declared] = []
    options: list[tuple[str, Any, int]] = []


class Extra(msgspec.Struct):
    """A mount, hook, middleware or initializer: `kind`, what it runs, and what it was given."""

    kind: str
    run: Any
    module: str
    line: int
    fields: dict[str, Any] = {}


class Collector:
    """What the modules of one release declared, in the order of their import."""

    def __init__(self) -> None:
        self.functions: list[FunctionDeclaration] = []
        self.extras: list[Extra] = []

    def function(self, handler: Callable[..., Any], module: str, line: int) -> FunctionDeclaration:
        """The declaration of `handler`, the same for each of its decorators."""
        for known in self.functions:
            if known.handler is handler:
                return known
        made = FunctionDeclaration(handler, module, line)
        self.functions.append(made)
        return made


_collector: ContextVar[Collector | None] = ContextVar("baas_functions_collector", default=None)


def begin(collector: Collector | None) -> None:
    """What is declared in this context from now on goes to `collector`."""
    _collector.set(collector)


def current() -> Collector | None:
    return _collector.get()


def caller(depth: int = 2) -> tuple[str, int]:
    """The module and line of the code `depth` calls up: by default that which called the function
    that calls this."""
    frame = sys._getframe(depth)
    return str(frame.f_globals.get("__name__", "")), frame.f_lineno
