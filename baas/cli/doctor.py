"""`baas doctor`: what would keep this app from running, each with what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import click
import msgspec

from baas import __version__
from baas.cli.common import count, data_folder, data_option, load_app_settings
from baas.cli.listener import noted_address, reason
from baas.errors import ConfigurationError
from baas.settings import Settings

Verdict = Literal["ok", "note", "fault"]
LEAST_PYTHON: Final = (3, 11)
#: Free space below which a growing database soon stops.
LEAST_FREE_MIB: Final = 500
_OTHERS: Final = 0o077


class Finding(msgspec.Struct, frozen=True):
    """`note` is worth knowing, `fault` keeps the app from running."""

    verdict: Verdict
    text: str


@click.command()
@data_option
def doctor(data: Path | None) -> None:
    """Look for what would keep this app from running.

    Reads only; a gateway may be running. Exit code 1 if anything is at fault.
    """
    findings = list(examine(Path.cwd(), data))
    for finding in findings:
        click.echo(f"{finding.verdict:<6} {finding.text}")
    if any(finding.verdict == "fault" for finding in findings):
        raise SystemExit(1)


def examine(folder: Path, data: Path | None) -> Iterator[Finding]:
    """All checks, as far as they can be made: without settings nothing below can be looked at."""
    yield _python()
    yield _sqlite()
    try:
        settings = load_app_settings(folder, data)
    except ConfigurationError as fault:
        yield Finding("fault", f"settings: {fault}")
        return
    yield Finding("ok", f"settings: app {settings.app.name}")
    place = data_folder(folder, settings)
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: _rules(folder, settings),
        lambda: _folder(place),
        lambda: _space(place),
        lambda: _secret(place, settings),
        lambda: _files(place, settings),
        lambda: _port(settings, noted_address(place) if _in_use(place) else None),
    )
    if settings.database.engine == "mongo":
        checks = (lambda: _mongo(settings), *checks)
    for check in checks:
        try:
            yield check()
        except ConfigurationError as fault:
            yield Finding("fault", str(fault))


def _python() -> Finding:
    text = f"baas {__version__} on Python {platform.python_version()}, {platform.platform()}"
    return Finding("ok" if sys.version_info >= LEAST_PYTHON else "fault", text)


def _sqlite() -> Finding:
    import apsw

    return Finding(
        "ok", f"SQLite {apsw.sqlite_lib_version()}, bundled (apsw {apsw.apsw_version()})"
    )


def _mongo(settings: Settings) -> Finding:
    """The server is asked who it is; nothing is written to it."""
    import asyncio

    from baas.engines.mongo.setup import describe

    text = asyncio.run(describe(settings.database))
    return Finding("ok", f"documents: {text}, database {settings.database.mongo_database}")


def _rules(folder: Path, settings: Settings) -> Finding:
    from baas.rules.load import load_rules

    book = load_rules(folder / settings.app.rules)
    text = f"rules: {count(len(book.collections), 'collection')}"
    if not book.collections:
        return Finding("note", f"{text}: every request for documents will be denied")
    if book.advice:
        return Finding("note", f"{text}, {count(len(book.advice), 'warning')}: baas rules check")
    return Finding("ok", text)


def _folder(place: Path) -> Finding:
    nearest = _nearest(place)
    if not os.access(nearest, os.W_OK | os.X_OK):
        return Finding("fault", f"data: {nearest} cannot be written by this user")
    if not place.is_dir():
        return Finding("ok", f"data: {place} will be made")
    if _in_use(place):
        return Finding("ok", f"data: {place}, in use by a gateway now")
    return Finding("ok", f"data: {place}")


def _space(place: Path) -> Finding:
    free = shutil.disk_usage(_nearest(place)).free // 1024**2
    return Finding("ok" if free >= LEAST_FREE_MIB else "note", f"space: {free:,} MiB free")


def _nearest(place: Path) -> Path:
    """The folder, or the one in which it would be made."""
    return next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())


def _in_use(place: Path) -> bool:
    from baas.engines.sqlite.lock import OWNER, own_folder

    if not (place / OWNER).exists():
        return False
    try:
        own_folder(place).close()
    except ConfigurationError:
        return True
    return False


def _secret(place: Path, settings: Settings) -> Finding:
    from baas.secret import FILE_NAME, check_strength

    if settings.server.secret:
        check_strength(settings.server.secret, "server.secret")
        return Finding("ok", "secret: from the settings")
    if settings.database.engine == "mongo":
        text = "secret: with the engine mongo every gateway needs the same one: set server.secret"
        return Finding("fault", text)
    path = place / FILE_NAME
    if not path.exists():
        return Finding("ok", "secret: will be made at the first start")
    if path.stat().st_mode & _OTHERS:
        return Finding("fault", f"secret: others may read {path}: chmod 600 {path}")
    return Finding("ok", f"secret: {path}")


def _files(place: Path, settings: Settings) -> Finding:
    """An S3 store is asked for its bucket; nothing is written to it."""
    import asyncio

    from baas.app import blob_store

    async def reach() -> None:
        blobs = blob_store(place, settings)
        try:
            await blobs.start()
        finally:
            await blobs.close()

    storage = settings.storage
    if storage.engine == "local" and settings.database.engine == "mongo":
        text = "files: below the data folder, where no other gateway sees them: storage.engine s3"
        return Finding("note", text)
    if storage.engine == "local":
        return Finding("ok", "files: below the data folder")
    asyncio.run(reach())
    return Finding("ok", f"files: bucket {storage.s3_bucket} at {storage.s3_endpoint}")


def _port(settings: Settings, running: str | None) -> Finding:
    """`running` is where this folder's gateway listens now."""
    if running is not None:
        return Finding("ok", f"address: {running}, of the gateway that runs now")
    server = settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    try:
        socket.create_server((server.host, server.port), family=family).close()
    except OSError as fault:
        text = f"address: {server.host} port {server.port}: {reason(fault)}"
        return Finding("fault", f"{text}; choose another: server.port, or serve --port")
    return Finding("ok", f"address: {server.host} port {server.port} is free")
