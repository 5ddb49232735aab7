"""`baas storage ...`: the files of a running gateway, this machine's or another's."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from baas.cli.common import count, data_option
from baas.errors import ConfigurationError

if TYPE_CHECKING:
    from baas.cli.storage.sync import Step
    from baas.cli.storage.wire import Refused, Stored, Wire
    from baas.settings import StorageSettings

F = TypeVar("F", bound=Callable[..., Any])

_SCOPES: Final = ("storage:read", "storage:write")
#: What marks the side of `sync` that is the gateway's; elsewhere it may stand before a path.
_CLOUD: Final = "cloud:"
_url_option = click.option("--url", help="Another gateway than that of the current folder.")
_key_option = click.option(
    "--key", help="An admin key with storage:read and storage:write (better: BAAS_KEY)."
)
_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress, no lines.")
#: Between two tries to reach a store that is starting.
_AGAIN_SECONDS: Final = 1.0
#: Characters of a name beside the bar.
_LABEL: Final = 32
_LINES: Final = {"upload": "up", "download": "down", "delete": "delete"}


def _remote(_context: object, _parameter: object, value: Any) -> Any:
    """Paths at the gateway, with or without `cloud:` before them."""
    if isinstance(value, tuple):
        return tuple(one.removeprefix(_CLOUD) for one in value)
    return value.removeprefix(_CLOUD)


def _to_gateway(command: F) -> F:
    """`--url --key --data`, for `_wire`."""
    return _url_option(_key_option(data_option(command)))


@contextmanager
def _wire(url: str | None, key: str | None, data: Path | None) -> Iterator[Wire]:
    """What goes wrong on it ends the command with one line."""
    from baas.cli.remote import access
    from baas.cli.storage.local import Unfit
    from baas.cli.storage.transfer import Changed
    from baas.cli.storage.wire import Broken, Refused, Wire

    with access(url, key, data, "baas storage", _SCOPES) as (address, found):
        wire = Wire(address, found)
        try:
            yield wire
        except Broken as fault:
            raise click.ClickException(f"{fault}. Is `baas serve` running there?") from None
        except (Refused, Changed, Unfit) as fault:
            raise click.ClickException(str(fault)) from None
        except BrokenPipeError:  # nobody reads on, such as `head`: no fault to speak of
            raise
        except OSError as fault:
            raise click.ClickException(_reason(fault)) from None
        finally:
            wire.close()


@click.group()
def storage() -> None:
    """List, fetch, send and synchronise files.

    Speaks to the running gateway of the current folder, or to another with --url and --key. Rules
    do not apply: an admin key may do everything. Exit code 1 where something could not be done.
    """


# -- what is there --------------------------------------------------------------------------------


@storage.command()
@click.argument("prefix", default="", callback=_remote)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object per line, all that is known."
)
@_to_gateway
def ls(prefix: str, as_json: bool, url: str | None, key: str | None, data: Path | None) -> None:
    """List files whose paths begin with PREFIX: size, time of the last write, path."""
    import msgspec

    with _wire(url, key, data) as wire:
        for file in wire.files(prefix):
            if as_json:
                click.echo(msgspec.json.encode(file))
            else:
                click.echo(f"{file.size:>13,}  {file.update_time['$date']}  {file.path}")


# -- one by one -----------------------------------------------------------------------------------


@storage.command()
@click.argument("path", callback=_remote)
@click.argument("target", required=False)
@_quiet_option
@_to_gateway
def get(
    path: str, target: str | None, quiet: bool, url: str | None, key: str | None, data: Path | None
) -> None:
    """Fetch the file PATH to TARGET: a file, a folder (here, unless given), or - for standard
    output. A file that is there is replaced once the new one is whole."""
    from baas.cli.storage.transfer import download, fetch

    with _wire(url, key, data) as wire:
        stored = wire.stat(path)
        if target == "-":
            fetch(wire, stored, sys.stdout.buffer, lambda size: None)
            return
        with _bar(stored.size, path, quiet) as bar:
            download(wire, stored, _target(stored, target), bar.moved)


def _target(stored: Stored, target: str | None) -> Path:
    from baas.cli.storage.local import place

    folder = Path(target or ".")
    if target is None or folder.is_dir() or target.endswith("/"):
        return place(folder, stored.path.rpartition("/")[2])
    return folder


@storage.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.argument("path", callback=_remote)
@click.option("--type", "content_type", help="Media type, else what the path's ending means.")
@_quiet_option
@_to_gateway
def put(
    files: tuple[Path, ...],
    path: str,
    content_type: str | None,
    quiet: bool,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Send FILES to PATH, or below it where it ends in /.

    A new file is the app's own; one that is replaced stays whose it was. Large files go in parts:
    the same command goes on where an earlier one was ended.
    """
    from baas.cli.storage.transfer import Sending, upload

    if len(files) > 1 and not path.endswith("/"):
        raise click.UsageError("several files go below a path that ends in /")
    for file in files:
        if not file.is_file():
            raise click.ClickException(f"{file}: {'is a folder' if file.is_dir() else 'not there'}")
    with _wire(url, key, data) as wire:
        for file in files:
            name = path + file.name if path.endswith("/") else path
            with _bar(file.stat().st_size, name, quiet) as bar:
                upload(wire, Sending(file, name, content_type), bar.moved)


@storage.command()
@click.argument("paths", nargs=-1, required=True, callback=_remote)
@click.option("-r", "--recursive", is_flag=True, help="All files below PATHS, as of folders.")
@click.option("--dry-run", is_flag=True, help="Only tell.")
@_quiet_option
@_to_gateway
def rm(
    paths: tuple[str, ...],
    recursive: bool,
    dry_run: bool,
    quiet: bool,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Delete the files PATHS."""
    with _wire(url, key, data) as wire:
        names = list(paths)
        if recursive:
            names = [name for path in paths for name in _below(wire, path)]
        failed = _looked_for(wire, names) if dry_run else _removed(wire, names)
        for name in names:
            if name in failed:
                click.echo(f"{name}: {failed[name]}", err=True)
            elif not quiet:
                click.echo(f"delete  {name}")
    if failed:
        raise click.ClickException(f"{count(len(failed), 'file')} not deleted")


def _below(wire: Wire, path: str) -> list[str]:
    names = [file.path for file in wire.files(path.rstrip("/") + "/")]
    if not names:
        raise click.ClickException(f"there is no file below {path}")
    return names


def _removed(wire: Wire, names: list[str]) -> dict[str, Refused]:
    """Those that could not be."""
    from baas.cli.storage.sync import AT_ONCE, delete_remote

    failed: dict[str, Refused] = {}
    for start in range(0, len(names), AT_ONCE):
        failed |= delete_remote(wire, names[start : start + AT_ONCE])
    return failed


def _looked_for(wire: Wire, names: list[str]) -> dict[str, Refused]:
    """Those that are not there."""
    from baas.cli.storage.wire import Refused

    failed: dict[str, Refused] = {}
    for name in names:
        try:
            wire.stat(name)
        except Refused as refusal:
            failed[name] = refusal
    return failed


# -- whole folders --------------------------------------------------------------------------------


@storage.command()
@click.argument("source")
@click.argument("target")
@click.option("--delete", is_flag=True, help="Also delete at TARGET what SOURCE has not.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave these names or paths alone.")
@_quiet_option
@_to_gateway
def sync(
    source: str,
    target: str,
    delete: bool,
    dry_run: bool,
    exclude: tuple[str, ...],
    quiet: bool,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Make TARGET hold what SOURCE holds. One of them is a folder here, the other one cloud:PATH,
    or cloud: for all files.

    Files are compared by size and SHA-256. With --delete, what is not at SOURCE is deleted once all
    else went well, and never all that there is. Symbolic links here are neither sent nor followed.
    """
    from baas.cli.storage.sync import Options, carry_out

    up = target.startswith(_CLOUD)
    if up == source.startswith(_CLOUD):
        raise click.UsageError(
            "one of SOURCE and TARGET is cloud:PATH, the other one a folder here"
        )
    with _wire(url, key, data) as wire:
        steps = _plan(wire, source, target, Options(delete=delete, exclude=exclude))
        with _bar(sum(step.size for step in steps), "", quiet or dry_run) as bar:
            shown = _Lines(bar, quiet)
            failed = _told(steps, shown) if dry_run else carry_out(steps, shown)
    if failed:
        raise click.ClickException(f"{count(failed, 'file')} failed")


def _plan(wire: Wire, source: str, target: str, options: Any) -> list[Step]:
    from baas.cli.storage.local import files_below
    from baas.cli.storage.sync import plan_down, plan_up

    if target.startswith(_CLOUD):
        root = Path(source)
        if not root.is_dir():
            raise click.ClickException(f"{source} is no folder")
        steps = plan_up(wire, root, _prefix(target), options)
        if steps and not any(files_below(root, options.exclude)):
            raise click.ClickException(f"there is no file below {source}; to delete all: rm -r")
        return steps
    prefix = _prefix(source)
    if next(wire.files(prefix), None) is None:
        raise click.ClickException(f"there is no file below {source}")
    return plan_down(wire, prefix, Path(target), options)


def _prefix(place: str) -> str:
    path = place.removeprefix(_CLOUD).strip("/")
    return f"{path}/" if path else ""


def _told(steps: list[Step], shown: _Lines) -> int:
    failed = 0
    for step in steps:
        if step.kind == "fail":
            shown.failed(step.name, step.why)
            failed += 1
        else:
            shown.begin(step)
    return failed


@storage.command("make-bucket")
@click.option("--wait", type=float, default=0, help="Try so many seconds until the store answers.")
def make_bucket(wait: float) -> None:
    """Make the S3 bucket that the settings name, unless it is there.

    It is private. Needs no gateway, but a key that may make buckets.
    """
    from baas.cli.common import load_app_settings

    settings = load_app_settings(Path.cwd()).storage
    if settings.engine != "s3":
        raise click.ClickException("storage.engine is not s3: there is no bucket to make")
    made = _make_bucket(settings, time.monotonic() + wait)
    click.echo(f"{settings.s3_bucket}: {'made' if made else 'is there'}")


def _make_bucket(settings: StorageSettings, deadline: float) -> bool:
    from urllib3.exceptions import HTTPError

    from baas.engines.s3.client import make_bucket

    while True:
        try:
            return make_bucket(settings)
        except ConfigurationError as fault:
            if not isinstance(fault.__cause__, HTTPError) or time.monotonic() >= deadline:
                raise
        time.sleep(_AGAIN_SECONDS)


# -- what is shown --------------------------------------------------------------------------------


class _Bar:
    """Bytes that have moved, as a bar on standard error where that is a terminal."""

    def __init__(self, bar: Any, *, is_shown: bool) -> None:
        self._bar = bar
        self.is_shown = is_shown

    def name(self, name: str) -> None:
        self._bar.label = name[-_LABEL:]

    def moved(self, size: int) -> None:
        self._bar.update(size)


@contextmanager
def _bar(size: int, label: str, quiet: bool) -> Iterator[_Bar]:
    is_shown = not quiet and sys.stderr.isatty()
    with click.progressbar(
        length=size, label=label[-_LABEL:], file=sys.stderr, hidden=not is_shown
    ) as bar:
        yield _Bar(bar, is_shown=is_shown)


class _Lines:
    """A line for each file, or its name beside the bar."""

    def __init__(self, bar: _Bar, quiet: bool) -> None:
        self._bar = bar
        self._quiet = quiet

    def begin(self, step: Step) -> None:
        if self._bar.is_shown:
            self._bar.name(step.name)
        elif not self._quiet:
            click.echo(f"{_LINES[step.kind]:6}  {step.name}")

    def moved(self, size: int) -> None:
        self._bar.moved(size)

    def failed(self, name: str, why: str) -> None:
        click.echo(f"{name}: {why}", err=True)


def _reason(fault: OSError) -> str:
    named = f"{fault.filename}: " if fault.filename else ""
    return f"{named}{fault.strerror or fault}"
