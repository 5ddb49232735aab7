"""`baas fn ...`: the functions of a running gateway, this machine's or another's."""

from __future__ import annotations

import json
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from baas.cli.common import count, data_option, load_app_settings
from baas.cli.remote import Remote, gateway
from baas.cli.user import table
from baas.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

_url_option = click.option("--url", help="Another gateway than that of the current folder.")
_key_option = click.option(
    "--key", help="An admin key with functions:read and functions:write (better: BAAS_KEY)."
)
#: Seconds that one question of `logs -f` waits for something to come.
_FOLLOW_SECONDS = 20


def _to_gateway(command: F) -> F:
    """`--url --key --data`, for `gateway`."""
    return _url_option(_key_option(data_option(command)))


@click.group()
def fn() -> None:
    """Call, watch and release functions.

    Speaks to the running gateway of the current folder, or to another with --url and --key.
    """


# -- what is there, and calling it -----------------------------------------------------------------


@fn.command("list")
@_to_gateway
def list_functions(url: str | None, key: str | None, data: Path | None) -> None:
    """List functions, what triggers them, and what keeps others from being in force."""
    with gateway(url, key, data) as remote:
        status = remote.get("/v1/admin/functions")
    rows = [
        (one["name"], one["isolation"], f"{one['file']}:{one['line']}", _triggers(one["triggers"]))
        for one in status["functions"]
    ]
    rows += [(path, "mount", "", f"/http{path}") for path in status["mounts"]]
    for line in table(("NAME", "ISOLATION", "DECLARED", "TRIGGERS"), rows):
        click.echo(line)
    if status["error"]:
        raise click.ClickException(f"not in force: {status['error']}")


def _triggers(triggers: list[dict[str, Any]]) -> str:
    return ", ".join(_trigger(trigger) for trigger in triggers) or "-"


def _trigger(trigger: dict[str, Any]) -> str:
    """Such as `queue mails batch=10`: texts as they are, the rest with its name."""
    shown = [trigger["kind"]]
    for name, value in trigger.items():
        if name == "kind" or value is None or value in ("", False):
            continue
        if value is True or isinstance(value, str):
            shown.append(name if value is True else value)
        else:
            shown.append(f"{name}={json.dumps(value, ensure_ascii=False)}")
    return " ".join(shown)


@fn.command()
@click.argument("name")
@click.argument("event", default="{}")
@click.option("--async", "later", is_flag=True, help="Run it later; prints the invocation's id.")
@click.option("--delay", type=float, default=0.0, help="With --async: not before so many seconds.")
@_to_gateway
def invoke(
    name: str,
    event: str,
    later: bool,
    delay: float,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Call function NAME with EVENT, a JSON text; - reads it from standard input."""
    body = _json(sys.stdin.read() if event == "-" else event)
    query = f"?mode=async&delay={delay:g}" if later else ""
    with gateway(url, key, data) as remote:
        answer = remote.post(f"/v1/functions/{name}{query}", body)
    click.echo(answer["invocationId"] if later else _pretty(answer))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as fault:
        raise click.UsageError(f"the event is not JSON: {fault}") from None


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


@fn.command()
@click.argument("name", required=False)
def event(name: str | None) -> None:
    """Print a sample event: of a kind of trigger, or of a foreign contract. Without NAME, list
    them."""
    from baas.functions.samples import SAMPLES, sample

    if name is None:
        for line in table(("NAME", "WHAT"), ((one, SAMPLES[one].what) for one in SAMPLES)):
            click.echo(line)
        return
    found = sample(name)
    if found is None:
        raise click.UsageError(f"no sample {name!r}; there are {', '.join(SAMPLES)}")
    click.echo(_pretty(found))


# -- logs ------------------------------------------------------------------------------------------


@fn.command()
@click.argument("name", required=False, default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--grep", "text", default="", help="Only lines that hold this text.")
@click.option("-C", "--context", default=2, show_default=True, help="Lines around each hit.")
@click.option("--level", default="", help="Only lines of this level.")
@click.option("--request", default="", help="Only of the request with this id.")
@click.option("--limit", default=20, show_default=True, help="Invocations, the newest.")
@_to_gateway
def logs(
    name: str,
    follow: bool,
    text: str,
    context: int,
    level: str,
    request: str,
    limit: int,
    url: str | None,
    key: str | None,
    data: Path | None,
) -> None:
    """Show what functions (or function NAME) logged."""
    query = {
        "function": name,
        "text": text,
        "level": level,
        "requestId": request,
        "context": context,
        "limit": limit,
    }
    with gateway(url, key, data) as remote:
        start = remote.post("/v1/admin/functions/logs/tail", {})["cursor"] if follow else None
        found = remote.post("/v1/admin/functions/logs", query)["invocations"]
        for record in reversed(found):
            _show(record)
        if start is not None:
            _follow(remote, start, name)


def _follow(remote: Remote, cursor: str, name: str) -> None:
    try:
        while True:
            asked = {"cursor": cursor, "function": name, "wait": _FOLLOW_SECONDS}
            answer = remote.post("/v1/admin/functions/logs/tail", asked)
            cursor = answer["cursor"]
            for record in answer["invocations"]:
                _show(record)
    except KeyboardInterrupt:
        return


def _show(record: dict[str, Any]) -> None:
    outcome = record["result"] + (f" {record['code']}" if record.get("code") else "")
    when = record["time"]["$date"]
    head = f"{when} {record['function']} {outcome} {record['ms']:.1f} ms"
    request = f", request {record['requestId']}" if record["requestId"] else ""
    click.echo(f"{head} ({record['trigger']}{request})")
    for line in _lines(record["lines"]):
        click.echo(f"  {line}")


def _lines(lines: list[dict[str, Any]]) -> Iterator[str]:
    for line in lines:
        if "gap" in line:
            yield f"... {line['gap']} lines"
            continue
        mark = ">" if line.get("hit") else " "
        at = time.strftime("%H:%M:%S", time.gmtime(line["time"] / 1000)) if "time" in line else ""
        fields = "".join(f" {name}={value!r}" for name, value in line.get("fields", {}).items())
        yield f"{mark} {at} {line['level']:7} {line['message']}{fields}"


@fn.command()
@click.argument("name", required=False, default="")
@click.option("--limit", default=20, show_default=True)
@_to_gateway
def failures(name: str, limit: int, url: str | None, key: str | None, data: Path | None) -> None:
    """List failures that were captured; their ids are for `baas fn failure` and `replay`."""
    with gateway(url, key, data) as remote:
        asked = {"function": name, "limit": limit}
        found = remote.post("/v1/admin/functions/failures", asked)["failures"]
    rows = (
        (one["id"], one["time"]["$date"], one["function"], _error(one["error"])) for one in found
    )
    for line in table(("ID", "TIME", "FUNCTION", "ERROR"), rows):
        click.echo(line)


def _error(error: dict[str, Any]) -> str:
    return f"{error['type']}: {error['message']}".splitlines()[0][:100]


@fn.command()
@click.argument("id")
@_to_gateway
def failure(id: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Show a captured failure: the event, where it failed, with which values, what was logged."""
    with gateway(url, key, data) as remote:
        found = remote.post("/v1/admin/functions/failure", {"id": id})
    when, attempt = found["time"]["$date"], found["attempt"]
    click.echo(f"{found['function']}, {found['trigger']}, attempt {attempt}, {when}")
    click.echo(f"event: {json.dumps(found['event'], ensure_ascii=False)}")
    _show_frames(found)
    click.echo(f"{found['error']['type']}: {found['error']['message']}")
    for line in found["logs"]:
        click.echo(f"    {line['level']:7} {line['message']}")


def _show_frames(failure: dict[str, Any]) -> None:
    for frame in failure["traceback"]:
        click.echo(f"{frame['file']}:{frame['line']} in {frame['function']}: {frame['code']}")
        for name, value in frame["locals"].items():
            click.echo(f"    {name} = {value}")


@fn.command()
@click.argument("id")
@_to_gateway
def replay(id: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Run a captured call again, with the event it had, on the version in force."""
    with gateway(url, key, data) as remote:
        answer = remote.post("/v1/admin/functions/replay", {"id": id})
    if "error" not in answer:
        click.echo(_pretty(answer["result"]))
        return
    failure = answer["failure"]
    if failure:
        _show_frames(failure)
    told = _error(failure["error"]) if failure else answer["error"]["detail"]
    raise click.ClickException(f"{answer['error']['code']}: {told}")


# -- versions --------------------------------------------------------------------------------------


@fn.command()
@_to_gateway
def versions(url: str | None, key: str | None, data: Path | None) -> None:
    """List versions, the newest first; * are in force."""
    with gateway(url, key, data) as remote:
        found = remote.get("/v1/admin/functions/versions")["versions"]
        serving = remote.get("/v1/admin/functions")["serving"]
    rows = (
        (
            "*" if one["hash"] in serving else "",
            one["hash"],
            one["createTime"]["$date"],
            one["source"],
            count(one["files"], "file"),
            " ".join(one["functions"]),
        )
        for one in found
    )
    for line in table(("", "VERSION", "CREATED", "FROM", "SIZE", "FUNCTIONS"), rows):
        click.echo(line)


@fn.command()
@click.argument("version", required=False)
@_to_gateway
def rollback(version: str | None, url: str | None, key: str | None, data: Path | None) -> None:
    """Go back to VERSION, or to what was in force before."""
    with gateway(url, key, data) as remote:
        alias = remote.post("/v1/admin/functions/rollback", {"version": version})
    click.echo(f"in force: {', '.join(one['version'] for one in alias['versions'])}")


@fn.command()
@click.argument("url")
@_key_option
def deploy(url: str, key: str | None) -> None:
    """Send the functions of the current folder to the gateway at URL and put them in force."""
    from baas.functions.bundle import read_bundle
    from baas.functions.overrides import read_manifest

    folder = Path.cwd()
    settings = load_app_settings(folder)
    config, _ = read_manifest(folder)
    bundle = read_bundle(folder / settings.app.functions, config)
    files = {path: b64encode(content).decode() for path, content in bundle.files.items()}
    with gateway(url, key, None) as remote:
        made = remote.post("/v1/admin/functions/deploy", {"files": files, "config": bundle.config})
    click.echo(f"version {made['version']} is in force: {', '.join(made['functions'])}")


# -- leaving ---------------------------------------------------------------------------------------


@fn.command()
@click.option(
    "--target",
    required=True,
    type=click.Choice(("sam", "serverless-devs", "serverless", "scf")),
    help="The tool that the manifest is for.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
@click.argument("names", nargs=-1)
def export(target: str, out: Path, names: tuple[str, ...]) -> None:
    """Write the functions of the current folder (or those NAMES) for another cloud.

    A manifest, an entry file and a report of what does not carry over. Needs no gateway; values of
    secrets are not written.
    """
    from baas.functions.bundle import read_bundle
    from baas.functions.export import export as exported
    from baas.functions.export.writing import write
    from baas.functions.load import load_release, unload
    from baas.functions.overrides import read_manifest

    folder = Path.cwd()
    settings = load_app_settings(folder)
    config, yaml = read_manifest(folder)
    source = folder / settings.app.functions
    if out.resolve().is_relative_to(source.resolve()):
        raise click.UsageError("--out is a folder outside the functions")
    try:
        bundle = read_bundle(source, config)
        release = load_release(bundle, source, yaml=yaml, label=settings.app.functions)
        try:
            made = exported(release, bundle, target, settings.app.name, names)
        finally:
            unload(release)
        written = write(made, out)
    except ConfigurationError as fault:
        raise click.ClickException(str(fault)) from None
    count = len(made.plan.functions)
    click.echo(f"{count} function{'s' * (count != 1)} for {target} in {out}: {', '.join(written)}")
    for remark in made.plan.remarks:
        click.echo(f"- {remark.about}: {remark.text}")


# -- jobs ------------------------------------------------------------------------------------------


@fn.command()
@click.option("--dead", is_flag=True, help="Only the dead letters: failed for good, or expired.")
@click.option("--limit", default=50, show_default=True)
@_to_gateway
def jobs(dead: bool, limit: int, url: str | None, key: str | None, data: Path | None) -> None:
    """List asynchronous calls, messages and webhooks, the newest first."""
    states = ["failed", "expired"] if dead else []
    with gateway(url, key, data) as remote:
        found = remote.post("/v1/admin/jobs/list", {"states": states, "limit": limit})["jobs"]
    rows = (
        (
            job["id"],
            job["state"],
            str(job["attempts"]),
            job["updateTime"]["$date"],
            job["payload"].get("function") or job["queue"],
            (job.get("error") or {}).get("code", ""),
        )
        for job in found
    )
    for line in table(("ID", "STATE", "TRIES", "CHANGED", "FOR", "ERROR"), rows):
        click.echo(line)


@fn.command()
@click.argument("id")
@_to_gateway
def redrive(id: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Try a dead letter from the start."""
    with gateway(url, key, data) as remote:
        job = remote.post("/v1/admin/jobs/redrive", {"id": id})
    click.echo(f"{id} is {job['state']}")


@fn.command()
@click.argument("id")
@_to_gateway
def stop(id: str, url: str | None, key: str | None, data: Path | None) -> None:
    """Stop an asynchronous call."""
    with gateway(url, key, data) as remote:
        job = remote.post("/v1/admin/jobs/stop", {"id": id})
    click.echo(f"{id} is {job['state']}")
