"""`baas secrets ...`: what functions get as `ctx.secrets`. Works beside a running gateway."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from baas.cli.common import count, data_folder, data_option, load_app_settings, open_store
from baas.cli.user import table

if TYPE_CHECKING:
    from baas.functions.secrets import SecretVault

T = TypeVar("T")


@click.group()
def secrets() -> None:
    """Keep secrets for functions, sealed at rest.

    A running gateway acts on a change within two seconds. No command and no route shows a value.
    """


@secrets.command("set")
@click.argument("name")
@data_option
def set_secret(name: str, data: Path | None) -> None:
    """Set NAME. The value is asked for, or read from standard input (less its last line break)."""
    value = _ask()
    _with_vault(data, lambda vault: vault.set(name, value))
    click.echo(f"{name} is set")


@secrets.command("list")
@data_option
def list_secrets(data: Path | None) -> None:
    """List names and times, never values."""
    found = _with_vault(data, lambda vault: vault.listed())
    rows = ((one.name, one.createTime["$date"], one.updateTime["$date"]) for one in found)
    for line in table(("NAME", "CREATED", "CHANGED"), rows):
        click.echo(line)


@secrets.command()
@data_option
def rotate(data: Path | None) -> None:
    """Seal every secret under a new key. Values stay as they are; set them anew to change them."""
    number = _with_vault(data, lambda vault: vault.rotate())
    click.echo(f"sealed under a new key: {count(number, 'secret')}")


@secrets.command()
@click.argument("name")
@data_option
def delete(name: str, data: Path | None) -> None:
    """Take NAME away."""
    _with_vault(data, lambda vault: vault.delete(name))
    click.echo(f"{name} is gone")


def _ask() -> str:
    """Never an argument: lists of processes show those, and shells remember them."""
    if sys.stdin.isatty():
        value: str = click.prompt("Value", hide_input=True)
        return value
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.ClickException("the value is not UTF-8 text") from None


def _with_vault(data: Path | None, work: Callable[[SecretVault], Awaitable[T]]) -> T:
    """What `work` makes of the secrets of the app in the current folder."""

    async def run() -> T:
        from baas.clock import SystemClock
        from baas.functions.secrets import SECRET_COLLECTIONS, SecretVault
        from baas.secret import MasterSecret

        settings = load_app_settings(Path.cwd(), data)
        async with open_store(settings) as store:
            await store.declare(SECRET_COLLECTIONS)
            master = MasterSecret.load(data_folder(Path.cwd(), settings), settings.server.secret)
            return await work(SecretVault(store, master, SystemClock()))

    return asyncio.run(run())
