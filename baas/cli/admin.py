"""`baas admin ...`: accounts at the panel, admin keys, signing keys. Works beside a running
gateway."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from baas.cli.auth import with_auth
from baas.cli.common import data_option
from baas.cli.user import ask_password, stdin_option, table

if TYPE_CHECKING:
    from baas.auth.admins import Admin
    from baas.auth.roles import Role
    from baas.auth.service import AuthService


@click.group()
def admin() -> None:
    """Make accounts at the panel and admin keys, rotate signing keys."""


@admin.group()
def key() -> None:
    """Admin keys: for servers and tools, with the rights that their scopes name.

    A running gateway acts on a change within two seconds.
    """


@key.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help="database, storage, users, functions, push or settings, with :read or :write; "
    "or '*' for all of them. May be repeated.",
)
@data_option
def create_key(name: str, scopes: tuple[str, ...], data: Path | None) -> None:
    """Make a key. It is shown this once."""
    made, text = with_auth(data, lambda auth: auth.admin_keys.create(name, scopes))
    click.echo(f"id {made.id}, scopes {' '.join(made.scopes)}", err=True)
    click.echo("Send it as the header Authorization: Bearer KEY, from servers alone.", err=True)
    click.echo("Keep it like a password; it is not shown again:", err=True)
    click.echo(text)


@key.command("list")
@data_option
def list_keys(data: Path | None) -> None:
    """List every key, the oldest first, without its secret."""
    keys = with_auth(data, lambda auth: auth.admin_keys.list())
    rows = ((k.id, k.name, k.create_time["$date"], ",".join(k.scopes)) for k in keys)
    for line in table(("ID", "NAME", "CREATED", "SCOPES"), rows):
        click.echo(line)


@key.command()
@click.argument("id")
@data_option
def revoke(id: str, data: Path | None) -> None:
    """End a key for good."""
    with_auth(data, lambda auth: auth.admin_keys.revoke(id))
    click.echo(f"{id} is revoked")


@admin.group()
def account() -> None:
    """Accounts of people who sign in to the panel at /admin."""


_ROLES = click.Choice(["owner", "developer", "viewer"])


@account.command("create")
@click.argument("name")
@click.option("--role", type=_ROLES, default="viewer", show_default=True)
@stdin_option
@data_option
def create_account(name: str, role: Role, password_stdin: bool, data: Path | None) -> None:
    """Make an account. Asks for its password."""
    password = ask_password(password_stdin)
    with_auth(data, lambda auth: auth.admins.create(name, password, role))
    click.echo(f"{name} may sign in as {role}")


@account.command("list")
@data_option
def list_accounts(data: Path | None) -> None:
    """List every account, the oldest first."""
    found = with_auth(data, lambda auth: auth.admins.list())
    rows = (
        (a.name, a.role, "disabled" if a.disabled else "", a.create_time["$date"]) for a in found
    )
    for line in table(("NAME", "ROLE", "STATE", "CREATED"), rows):
        click.echo(line)


def _state(account: Admin) -> str:
    return "disabled" if account.disabled else "active"


@account.command("password")
@click.argument("name")
@stdin_option
@data_option
def account_password(name: str, password_stdin: bool, data: Path | None) -> None:
    """Set the password of an account, and end its sessions."""
    password = ask_password(password_stdin)

    async def work(auth: AuthService) -> None:
        await auth.admins.set_password((await auth.admins.named(name)).id, password)

    with_auth(data, work)
    click.echo(f"{name} has a new password")


@account.command("delete")
@click.argument("name")
@data_option
def delete_account(name: str, data: Path | None) -> None:
    """Remove an account, and end its sessions. The last owner stays."""

    async def work(auth: AuthService) -> None:
        await auth.admins.delete((await auth.admins.named(name)).id)

    with_auth(data, work)
    click.echo(f"{name} is removed")


@admin.group()
def keys() -> None:
    """The keys that sign access tokens."""


@keys.command()
@click.option(
    "--drop-old",
    is_flag=True,
    help="Refuse tokens of older keys at once. Clients refresh theirs; nobody is signed out.",
)
@data_option
def rotate(drop_old: bool, data: Path | None) -> None:
    """Sign with a new key from now on. Tokens of the old one live out their time."""
    kid = with_auth(data, lambda auth: auth.rotate_keys(drop_old=drop_old))
    click.echo(f"new signing key {kid}")
