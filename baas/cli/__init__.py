"""The command `baas`: one file per verb, imported only when that verb runs.

`baas --help` must answer at once, so the table below carries each verb's one-line help and the
module is imported by the first use of the verb itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from baas import __version__
from baas.errors import ConfigurationError, Problem

#: verb -> (its line in `baas --help`). The verb `x` is the click command `x` in `baas/cli/x.py`
#: (or of a package of that name).
VERBS: Final[dict[str, str]] = {
    "init": "Make a new app folder with commented files.",
    "serve": "Run the app of the current folder.",
    "rules": "Check, test, explain and import rule files.",
    "user": "Create users and give them roles.",
    "admin": "Make accounts at the panel and admin keys, rotate signing keys.",
    "fn": "Call, watch and release functions.",
    "sdk": "Make typed clients of the app.",
    "manifest": "Print the shapes of collections, functions and paths as JSON.",
    "secrets": "Keep secrets for functions, sealed at rest.",
    "storage": "List, fetch, send and synchronise files.",
    "data": "Export and import documents, or all that the app keeps.",
    "backup": "Write a consistent copy of a live app's data to one file.",
    "restore": "Put a backup back in place.",
    "promote": "Move all that the app keeps to other engines.",
    "doctor": "Look for what would keep this app from running.",
}


class LazyGroup(click.Group):
    """A click group whose commands are modules that are not imported to be listed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command = getattr(import_module(f"baas.cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"baas.cli.{name}.{name} is not a click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as fault:
            raise click.UsageError(f"{fault.message} Try 'baas --help'.") from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Faults that the operator can mend end as one line on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as fault:
            raise click.ClickException(str(fault)) from fault
        except Problem as fault:
            raise click.ClickException(fault.detail) from fault


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="baas", message="%(prog)s %(version)s")
def main() -> None:
    """A backend for mini-programs and mobile apps, from one process.

    Run `baas init myapp`, then `baas serve` inside that folder.
    """
