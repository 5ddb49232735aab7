"""Errors of the server as callers hear of them; what it said goes to the log alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from baas.engines.mongo.driver import PyMongoError, unavailable

_log: Final = logging.getLogger("baas.mongo")


@asynccontextmanager
async def telling(what: str) -> AsyncIterator[None]:
    """UNAVAILABLE for whatever goes wrong on the way to the server or there."""
    try:
        yield
    except PyMongoError as error:
        _log.error("%s failed: %r", what, error)
        raise unavailable() from None
