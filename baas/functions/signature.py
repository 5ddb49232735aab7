"""What a handler's signature says: how it is called and what it wants for an event."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Final

import msgspec

_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)
_MOST: Final = 2


class Signature(msgspec.Struct, frozen=True):
    """`takes` 0 to 2 positional arguments; `event_type` and `result_type` are None where there is
    no annotation, or for the result one that says nothing of JSON."""

    takes: int
    is_async: bool
    event_type: Any
    result_type: Any = None


def read_signature(handler: Callable[..., Any], *, native: bool = True) -> Signature:
    """ValueError where it cannot be called with `(ctx, event)`, `(ctx)` or `()`, or wants an
    event that JSON cannot be decoded to. A foreign contract's handler is given its own two."""
    if inspect.isasyncgenfunction(handler) or inspect.isgeneratorfunction(handler):
        raise ValueError("a function returns one value; it cannot yield")
    is_async = _is_async(handler)
    if not native:
        return Signature(_MOST, is_async, None)
    parameters = _positional(handler)
    event_type = _event_type(handler, parameters) if len(parameters) == _MOST else None
    return Signature(len(parameters), is_async, event_type, _result_type(handler))


def _is_async(handler: Callable[..., Any]) -> bool:
    call = getattr(handler, "__call__", None)  # noqa: B004  an object may have an async one
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)


def _positional(handler: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):
        raise ValueError("it has no signature that can be read") from None
    found = [p for p in parameters if p.kind in _POSITIONAL]
    needed = [p for p in parameters if p.default is p.empty and p.kind in _POSITIONAL]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(needed) > _MOST or keywords:
        wants = ", ".join([p.name for p in needed] + keywords)
        raise ValueError(f"a function is called with (ctx, event), (ctx) or (); it wants ({wants})")
    return found[:_MOST]


def _event_type(handler: Callable[..., Any], parameters: list[inspect.Parameter]) -> Any:
    event = parameters[1]
    if event.annotation is event.empty:
        return None
    wanted = _resolved(handler, event)
    if wanted in (Any, object):
        return None
    try:
        known = msgspec.inspect.type_info(wanted)
    except TypeError as fault:
        raise ValueError(f"the type of '{event.name}' cannot be decoded: {fault}") from None
    if isinstance(known, msgspec.inspect.CustomType):
        raise ValueError(
            f"the type of '{event.name}' is {getattr(wanted, '__name__', wanted)!r}: an event is a"
            " msgspec Struct, a dataclass, a TypedDict or a built-in type"
        )
    return wanted


def _result_type(handler: Callable[..., Any]) -> Any:
    """For descriptions alone: a result is not held to it, so one that cannot be read is none."""
    annotation = inspect.signature(handler).return_annotation
    if annotation is inspect.Signature.empty:
        return None
    try:
        wanted = _meant(handler, annotation)
        msgspec.json.schema_components([wanted])
    except Exception:
        return None
    return wanted


def _resolved(handler: Callable[..., Any], event: inspect.Parameter) -> Any:
    try:
        return _meant(handler, event.annotation)
    except Exception as fault:
        raise ValueError(f"the type of '{event.name}' cannot be resolved: {fault}") from None


def _meant(handler: Callable[..., Any], annotation: Any) -> Any:
    """The annotation itself, even where it is written as text."""
    if not isinstance(annotation, str):
        return annotation
    function = inspect.unwrap(handler)
    return eval(annotation, getattr(function, "__globals__", {}))  # noqa: S307  the operator's own
