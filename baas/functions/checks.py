"""What must hold of a release as a whole: destinations that are there and lead nowhere in circles,
and routes that do not get in each other's way."""

from __future__ import annotations

from collections.abc import Iterator

from baas.errors import ConfigurationError
from baas.functions.model import (
    FunctionDestination,
    FunctionSpec,
    QueueDestination,
    QueueTrigger,
    Release,
)
from baas.functions.names import suggestion
from baas.functions.routes import parse_pattern, routes_of, split_path


def check_release(release: Release) -> None:
    """ConfigurationError at the first fault."""
    _check_destinations(release)
    _check_loops(release)
    _check_queues(release)
    _check_routes(release)
    _check_mounts(release)


def _fault(spec: FunctionSpec, message: str, line: int = 0) -> ConfigurationError:
    return ConfigurationError(message, file=spec.file, line=line or spec.line)


# -- destinations ---------------------------------------------------------------------------------


def _check_destinations(release: Release) -> None:
    for spec in release.functions.values():
        for destination in (*spec.on_success, *spec.on_failure):
            if not isinstance(destination, FunctionDestination):
                continue
            name = destination.function
            if name not in release.functions:
                hint = suggestion(name, release.functions)
                raise _fault(spec, f"there is no function '{name}' for a destination{hint}")


def _check_loops(release: Release) -> None:
    """A declared circle of destinations would never end: each outcome begets another."""
    for spec in release.functions.values():
        path = _circle(release, spec.name)
        if path:
            raise _fault(spec, f"its destinations form a loop: {' -> '.join(path)}")


def _circle(release: Release, start: str) -> list[str] | None:
    """The way from a function back to itself."""
    seen: set[str] = set()
    ways = [[start]]
    while ways:
        way = ways.pop()
        for following in _leads_to(release, way[-1]):
            if following == start:
                return [*way, start]
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return None


def _leads_to(release: Release, name: str) -> Iterator[str]:
    """The functions that a function's outcome starts, directly or by a queue that they read."""
    spec = release.functions[name]
    for destination in (*spec.on_success, *spec.on_failure):
        if isinstance(destination, FunctionDestination):
            yield destination.function
        elif isinstance(destination, QueueDestination):
            yield from _readers(release, destination.queue)


def _readers(release: Release, queue: str) -> list[str]:
    return [spec.name for spec, t in release.with_trigger(QueueTrigger) if t.queue == queue]


def _check_queues(release: Release) -> None:
    """A message goes to one reader, so a queue has one."""
    readers: dict[str, FunctionSpec] = {}
    for spec, trigger in release.with_trigger(QueueTrigger):
        other = readers.setdefault(trigger.queue, spec)
        if other is not spec:
            message = f"the queue '{trigger.queue}' is read by '{other.name}' already"
            raise _fault(spec, message, trigger.line)


# -- routes ---------------------------------------------------------------------------------------


def _check_routes(release: Release) -> None:
    seen: dict[tuple[str, object], FunctionSpec] = {}
    for route in routes_of(release):
        key = (route.method, route.pattern.shape)
        other = seen.setdefault(key, route.spec)
        if other is not route.spec:
            message = (
                f"{route.method} {route.pattern.text} is a route of '{other.name}' already"
                f" ({other.file}:{other.line})"
            )
            raise _fault(route.spec, message, route.trigger.line)


def _check_mounts(release: Release) -> None:
    seen: set[str] = set()
    for mount in release.mounts:
        if mount.path in seen:
            message = f"something is mounted at {mount.path or '/'} already"
            raise ConfigurationError(message, file=mount.file, line=mount.line)
        seen.add(mount.path)
    for route in routes_of(release):
        for mount in release.mounts:
            if mount.path and _below(route.trigger.path, mount.path):
                message = f"{route.trigger.path} lies below the mount at {mount.path}"
                raise _fault(route.spec, message, route.trigger.line)


def _below(path: str, mount: str) -> bool:
    wanted = split_path(mount)
    return [name for _, name in parse_pattern(path).segments[: len(wanted)]] == wanted
