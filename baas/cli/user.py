"""`baas user ...`: the operator's view of accounts. Works beside a running gateway."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from baas.cli.auth import with_auth
from baas.cli.common import data_option

if TYPE_CHECKING:
    from baas.auth.directory import UserSummary
    from baas.auth.service import AuthService

stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, its first line."
)
_HEADINGS = ("UID", "NAME", "TYPE", "ROLES", "STATE", "CREATED")


@click.group()
def user() -> None:
    """Create users and give them roles.

    USER is a uid or a user name. A running gateway acts on a change within two seconds.
    """


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, help="A role to give; may be repeated.")
@stdin_option
@data_option
def create(name: str, roles: tuple[str, ...], password_stdin: bool, data: Path | None) -> None:
    """Create a user who signs in with NAME and a password."""
    password = ask_password(password_stdin)
    made = with_auth(data, lambda auth: auth.users.create(name, password, roles))
    click.echo(f"created {name}, uid {made.uid}{_roles(made)}")


@user.command()
@click.argument("name", metavar="USER")
@click.option("--add", multiple=True, metavar="ROLE", help="A role to give; may be repeated.")
@click.option("--remove", multiple=True, metavar="ROLE", help="A role to take; may be repeated.")
@data_option
def roles(name: str, add: tuple[str, ...], remove: tuple[str, ...], data: Path | None) -> None:
    """Show a user's roles, or change them."""

    async def work(auth: AuthService) -> UserSummary:
        found = await auth.users.find(name)
        if add or remove:
            await auth.users.set_roles(found.uid, add, remove)
        return await auth.users.find(found.uid)

    click.echo(" ".join(with_auth(data, work).roles) or "no roles")


@user.command("list")
@data_option
def list_users(data: Path | None) -> None:
    """List every user, the oldest first."""

    async def work(auth: AuthService) -> list[UserSummary]:
        return [found async for found in auth.users.list()]

    for line in table(_HEADINGS, (_row(found) for found in with_auth(data, work))):
        click.echo(line)


@user.command()
@click.argument("name", metavar="USER")
@data_option
def disable(name: str, data: Path | None) -> None:
    """Keep a user out, and end all sessions."""
    _set_disabled(name, True, data)


@user.command()
@click.argument("name", metavar="USER")
@data_option
def enable(name: str, data: Path | None) -> None:
    """Let a disabled user in again."""
    _set_disabled(name, False, data)


@user.command()
@click.argument("name", metavar="USER")
@stdin_option
@data_option
def password(name: str, password_stdin: bool, data: Path | None) -> None:
    """Set a user's password, and end all sessions."""
    new = ask_password(password_stdin)

    async def work(auth: AuthService) -> None:
        await auth.users.set_password((await auth.users.find(name)).uid, new)

    with_auth(data, work)
    click.echo(f"{name} has a new password")


@user.command()
@click.argument("name", metavar="USER")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
def delete(name: str, yes: bool, data: Path | None) -> None:
    """Delete a user's account. Documents that the user owns stay."""
    if not yes:
        click.confirm(f"Delete the account of {name}?", abort=True)

    async def work(auth: AuthService) -> None:
        await auth.users.delete((await auth.users.find(name)).uid)

    with_auth(data, work)
    click.echo(f"{name} is deleted")


def table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Lines with columns as wide as their widest cell."""
    every = [headings, *rows]
    widths = [max(len(row[column]) for row in every) for column in range(len(headings))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in every
    ]


def _row(found: UserSummary) -> tuple[str, ...]:
    return (
        found.uid,
        found.username or "-",
        found.login_type,
        ",".join(found.roles) or "-",
        "disabled" if found.disabled else "active",
        found.create_time["$date"],
    )


def _roles(found: UserSummary) -> str:
    return f", roles {' '.join(found.roles)}" if found.roles else ""


def _set_disabled(name: str, disabled: bool, data: Path | None) -> None:
    async def work(auth: AuthService) -> None:
        await auth.users.set_disabled((await auth.users.find(name)).uid, disabled)

    with_auth(data, work)
    click.echo(f"{name} is {'disabled' if disabled else 'enabled'}")


def ask_password(from_stdin: bool) -> str:
    """Never an argument: those stay in shell histories and show in lists of processes."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at: give --password-stdin")
    asked: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return asked
