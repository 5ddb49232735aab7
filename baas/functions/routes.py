"""Routes below `/http`: patterns of paths, conflicts between them, and which one answers.

A pattern's segments are literal, `{name}` (one segment) or, last, `{name...}` (the rest). Where
several match, the one with the earlier literal wins, so `/orders/new` goes before `/orders/{id}`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import msgspec

from baas.functions.model import FunctionSpec, HttpTrigger, Mount, Release, WebhookTrigger

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_PARAM = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}", re.ASCII)
_LITERAL = re.compile(r"[^{}?#\s\\\x00-\x1f]+")
_MAX_PATH: Final = 500

# Ranks of a segment: the smaller goes first.
_TEXT, _ONE, _REST = 0, 1, 2


class Pattern(msgspec.Struct, frozen=True):
    """A parsed path. `segments` are (rank, literal text or parameter's name)."""

    text: str
    segments: tuple[tuple[int, str], ...]

    @property
    def shape(self) -> tuple[tuple[int, str], ...]:
        """Equal for two patterns that match the same paths."""
        return tuple((rank, name if rank == _TEXT else "") for rank, name in self.segments)

    @property
    def is_literal(self) -> bool:
        return all(rank == _TEXT for rank, _ in self.segments)

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """The parameters of a path's segments, or None."""
        params: dict[str, str] = {}
        for position, (rank, name) in enumerate(self.segments):
            if rank == _REST:
                params[name] = "/".join(parts[position:])
                return params
            if position >= len(parts) or (rank == _TEXT and parts[position] != name):
                return None
            if rank == _ONE:
                if not parts[position]:
                    return None
                params[name] = parts[position]
        return params if len(parts) == len(self.segments) else None


def parse_pattern(text: Any) -> Pattern:
    """ValueError where it is no path."""
    if not isinstance(text, str) or not text.startswith("/") or len(text) > _MAX_PATH:
        raise ValueError(f"a path begins with '/', as /orders/{{id}}, not {text!r}")
    parts = split_path(text)
    segments = tuple(_segment(part, text, i == len(parts) - 1) for i, part in enumerate(parts))
    names = [name for rank, name in segments if rank != _TEXT]
    if len(names) != len(set(names)):
        raise ValueError(f"a parameter is twice in {text!r}")
    return Pattern(text, segments)


def _segment(part: str, text: str, last: bool) -> tuple[int, str]:
    match = _PARAM.fullmatch(part)
    if match is not None:
        if match[2] and not last:
            raise ValueError(f"{part} stands for all that follows, so it must be last in {text!r}")
        return (_REST if match[2] else _ONE), match[1]
    if part in (".", "..") or not _LITERAL.fullmatch(part):
        raise ValueError(f"{part!r} is no segment of a path, in {text!r}")
    return _TEXT, part


def split_path(path: str) -> list[str]:
    """The segments of `/a/b`; none for `/`."""
    return path[1:].split("/") if path != "/" else []


def parse_mount(text: Any) -> str:
    """A mount's path without its trailing slash; `/` is everything."""
    pattern = parse_pattern(text.rstrip("/") or "/" if isinstance(text, str) else text)
    if not pattern.is_literal:
        raise ValueError(f"a mount's path has no parameters, as {text!r} has")
    return "" if pattern.text == "/" else pattern.text


def check_method(text: Any) -> str:
    method = text.upper() if isinstance(text, str) else text
    if method != "*" and method not in METHODS:
        raise ValueError(f"unknown method {text!r}; there are {', '.join(METHODS)} and *")
    return str(method)


# -- the table ------------------------------------------------------------------------------------


class Route(msgspec.Struct, frozen=True):
    """One declared route."""

    method: str
    pattern: Pattern
    spec: FunctionSpec
    trigger: HttpTrigger | WebhookTrigger


class FunctionMatch(msgspec.Struct, frozen=True):
    """A request's function, the trigger that declared the route, and the path's parameters."""

    spec: FunctionSpec
    trigger: HttpTrigger | WebhookTrigger
    params: dict[str, str]


class MountMatch(msgspec.Struct, frozen=True):
    """A request's mounted app, and the path below it (begins with `/`)."""

    mount: Mount
    path: str


class WrongMethod(msgspec.Struct, frozen=True):
    """The path is there, the method is not; `allowed` are those that are."""

    allowed: tuple[str, ...]


Answer: TypeAlias = FunctionMatch | MountMatch | WrongMethod | None


class RouteTable:
    """The routes and mounts of one release."""

    def __init__(self, release: Release) -> None:
        routes = routes_of(release)
        self._routes = sorted(routes, key=lambda r: (r.pattern.shape, r.method == "*"))
        self._mounts = sorted(release.mounts, key=lambda m: -len(m.path))

    def find(self, method: str, path: str) -> Answer:
        """What answers `method` at `path` (decoded, without `/http`, beginning with `/`)."""
        parts = split_path(path)
        allowed: list[str] = []
        for route in self._routes:
            params = route.pattern.match(parts)
            if params is None:
                continue
            if _serves(route.method, method):
                return FunctionMatch(route.spec, route.trigger, params)
            allowed += ("GET", "HEAD") if route.method == "GET" else (route.method,)
        for mount in self._mounts:
            if path == mount.path or path.startswith(f"{mount.path}/"):
                return MountMatch(mount, path[len(mount.path) :] or "/")
        return WrongMethod(tuple(dict.fromkeys(allowed))) if allowed else None

    def __bool__(self) -> bool:
        return bool(self._routes or self._mounts)


def _serves(declared: str, method: str) -> bool:
    return declared in ("*", method) or (declared == "GET" and method == "HEAD")


def routes_of(release: Release) -> list[Route]:
    """Every route of every function; a webhook takes POSTs."""
    routes = [
        Route(trigger.method, parse_pattern(trigger.path), spec, trigger)
        for spec, trigger in release.with_trigger(HttpTrigger)
    ]
    routes += [
        Route("POST", parse_pattern(trigger.path), spec, trigger)
        for spec, trigger in release.with_trigger(WebhookTrigger)
    ]
    return routes
