"""`baas admin ...`: admin keys and signing keys. Works beside a running gateway."""

from __future__ import annotations

from pathlib import Path

import click

from baas.cli.auth import with_auth
from baas.cli.common import data_option
from baas.cli.user import table


@click.group()
def admin() -> None:
    """Make admin keys and rotate signing keys."""


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
