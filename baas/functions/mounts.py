"""Telling ASGI and WSGI apps apart."""

from __future__ import annotations

import inspect
from typing import Any, Final

_WSGI_ARGUMENTS: Final = 2


def is_wsgi(app: Any) -> bool:
    """Whether `app` takes `(environ, start_response)`; an ASGI app takes three, or is a class
    whose call is async. Unreadable ones are taken for ASGI."""
    call = app if inspect.isroutine(app) else getattr(app, "__call__", app)  # noqa: B004
    if inspect.iscoroutinefunction(call):
        return False
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        return False
    required = [
        p
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(required) == _WSGI_ARGUMENTS
