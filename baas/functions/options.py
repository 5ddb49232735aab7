"""Options of a function, each checked in one place for decorators and baas.yaml alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from baas.functions.model import (
    CONTRACTS,
    ISOLATIONS,
    RETRY_PRESETS,
    Backoff,
    RetryPolicy,
)
from baas.functions.names import (
    check_name,
    parse_destinations,
    parse_seconds,
    parse_size,
    suggestion,
)

MAX_TIMEOUT: Final = 86_400.0
#: Less than this and a Python interpreter does not start.
MIN_MEMORY: Final = 32 * 1024**2
_MAX_COUNT: Final = 10_000


def read_option(name: str, value: Any) -> Any:
    """The value of an option as FunctionSpec holds it; ValueError where it is wrong."""
    reader = _READERS.get(name)
    if reader is None:
        hint = suggestion(name, _READERS) or f"; there are {', '.join(_READERS)}"
        raise ValueError(f"unknown option '{name}'{hint}")
    try:
        return reader(value)
    except ValueError as fault:
        raise ValueError(f"{name}: {fault}") from None


def _name(value: Any) -> str:
    return check_name(value, "a function")


def _one_of(known: tuple[str, ...]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in known:
            hint = suggestion(str(value), known) or f"; there are {', '.join(known)}"
            raise ValueError(f"{value!r} is unknown{hint}")
        return str(value)

    return read


def _timeout(value: Any) -> float:
    seconds = parse_seconds(value)
    if not 0 < seconds <= MAX_TIMEOUT:
        raise ValueError(f"a time limit is more than 0 and at most {MAX_TIMEOUT:g} seconds")
    return seconds


def _idle(value: Any) -> float:
    seconds = parse_seconds(value)
    if not 0 <= seconds <= MAX_TIMEOUT:
        raise ValueError(f"0 to {MAX_TIMEOUT:g} seconds")
    return seconds


def _memory(value: Any) -> int:
    size = parse_size(value)
    if size < MIN_MEMORY:
        raise ValueError(f"at least {MIN_MEMORY // 1024**2}MB: Python itself needs that")
    return size


def _count(least: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if type(value) is not int or not least <= value <= _MAX_COUNT:
            raise ValueError(f"a whole number from {least} to {_MAX_COUNT}, not {value!r}")
        return value

    return read


def _retries(value: Any) -> RetryPolicy:
    """A preset's name, a number of further tries, or the policy itself."""
    if isinstance(value, RetryPolicy):
        return value
    if isinstance(value, str):
        if value not in RETRY_PRESETS:
            hint = suggestion(value, RETRY_PRESETS) or f"; there are {', '.join(RETRY_PRESETS)}"
            raise ValueError(f"unknown preset '{value}'{hint}")
        return RETRY_PRESETS[value]
    if type(value) is int and 0 <= value <= _MAX_COUNT:
        return RetryPolicy(function=Backoff(tries=value))
    if not isinstance(value, Mapping):
        raise ValueError(f"a preset's name, a number of tries or a policy, not {value!r}")
    try:
        return msgspec.convert(dict(value), RetryPolicy)
    except msgspec.ValidationError as fault:
        raise ValueError(str(fault)) from None


def _texts(value: Any) -> dict[str, str]:
    """Names and values of environment or labels; numbers and booleans become their text."""
    if not isinstance(value, Mapping):
        raise ValueError("a mapping of names to texts")
    out: dict[str, str] = {}
    for key, item in value.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise ValueError(f"{key!r} is no name")
        if isinstance(item, bool):
            item = "true" if item else "false"
        if not isinstance(item, (str, int, float)):
            raise ValueError(f"the value of {key} is no text")
        out[key] = str(item)
    return out


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "name": _name,
    "timeout": _timeout,
    "isolation": _one_of(ISOLATIONS),
    "memory": _memory,
    "concurrency": _count(1),
    "min_workers": _count(0),
    "max_workers": _count(1),
    "idle_timeout": _idle,
    "retries": _retries,
    "on_success": parse_destinations,
    "on_failure": parse_destinations,
    "env": _texts,
    "labels": _texts,
    "contract": _one_of(CONTRACTS),
}
#: What a decorator may say.
DECORATOR_OPTIONS: Final = tuple(set(_READERS) - {"labels", "contract"})
#: What `functions: {NAME: ...}` may say beside `handler`, `enabled` and `triggers`.
MANIFEST_OPTIONS: Final = tuple(set(_READERS) - {"name"})
#: What `services: {NAME: ...}` may say for all its members, and `functions: {"*": ...}` for all.
SHARED_OPTIONS: Final = tuple(set(_READERS) - {"name", "contract"})
