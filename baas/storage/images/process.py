"""Starts the worker on one picture, waits, kills it at its limit."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from baas.errors import Code, Problem
from baas.settings import StorageSettings
from baas.storage.images.spec import Spec
from baas.storage.images.worker import TOO_LARGE, UNREADABLE, Order

log = logging.getLogger("baas.storage")

_MODULE: Final = "baas.storage.images.worker"
_ROOT: Final = Path(__file__).resolve().parents[3]
#: Largest variant: raw pixels of the largest side would be more, no picture worth sending is.
MAX_OUTPUT_BYTES: Final = 64 * 1024**2


class Undecodable(Problem):
    """No picture, or one beyond the limits, whatever is asked of it."""


async def render(spec: Spec, source: Path, target: Path, settings: StorageSettings) -> None:
    """Writes the variant of `source` to `target`. UNSUPPORTED_MEDIA_TYPE for what is no picture,
    PAYLOAD_TOO_LARGE for one that cannot be decoded within the limits."""
    order = Order(
        spec=spec,
        pixels=settings.image_pixels,
        memory=settings.image_memory_bytes,
        seconds=max(1, round(settings.image_seconds)),
        output=MAX_OUTPUT_BYTES,
    )
    status = await _run(order, source, target, settings.image_seconds)
    if status == UNREADABLE:
        raise Undecodable(
            Code.UNSUPPORTED_MEDIA_TYPE, "The file is not a picture that variants can be made of."
        )
    if status == TOO_LARGE:
        raise Undecodable(Code.PAYLOAD_TOO_LARGE, "The picture is too large for variants.")
    if status != 0:
        log.warning("a worker for a variant ended with status %d", status)
        raise Problem(Code.PAYLOAD_TOO_LARGE, "The picture could not be decoded within the limits.")


async def _run(order: Order, source: Path, target: Path, seconds: float) -> int:
    with source.open("rb") as given, target.open("wb") as made:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            _MODULE,
            msgspec.json.encode(order).decode(),
            stdin=given,
            stdout=made,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
    try:
        return await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        return -1
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _environment() -> dict[str, str]:
    """No setting of the gateway, so no secret."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
