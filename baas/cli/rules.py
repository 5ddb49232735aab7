"""`baas rules check | test | explain | import`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from baas.cli.callables import function_advice
from baas.cli.common import count, data_folder, data_option, load_app_settings, open_store
from baas.clock import SystemClock
from baas.errors import ConfigurationError, Problem
from baas.functions.rules import load_function_rules
from baas.guard import RequestFacts, rule_variables
from baas.ports.documents import Find, KnownLookups, LookupNeeded, resolve
from baas.rules.channelsfile import load_channel_rules
from baas.rules.coverage import Coverage
from baas.rules.explain import Explanation, explain
from baas.rules.importer import import_rules
from baas.rules.load import load_file, load_rules, rule_files
from baas.rules.model import Advice, CollectionRules, Operation, RuleBook
from baas.rules.storagefile import load_storage_rules
from baas.rules.testing import find_tests
from baas.schema.actor import NOBODY, Actor
from baas.schema.validate import SchemaValidator
from baas.schema.values import decode
from baas.settings import Settings

_OPERATIONS = [operation.value for operation in Operation]


@click.group()
def rules() -> None:
    """Check, test, explain and import rule files."""


def _folder(settings: Settings) -> Path:
    return Path.cwd() / settings.app.rules


# -- check ----------------------------------------------------------------------------------------


@rules.command()
@click.option("--data", "with_data", is_flag=True, help="Count documents that fail their schema.")
def check(with_data: bool) -> None:
    """Say what is wrong, and what is odd, with the rule files.

    Every file with a fault is named, not only the first. Exit code 1 where there is one.
    """
    settings = load_app_settings(Path.cwd())
    faults = list(_faults(_folder(settings)))
    for fault in faults:
        click.echo(f"error: {fault}")
    if faults:
        raise SystemExit(1)
    book = load_rules(_folder(settings))
    files = load_storage_rules(_folder(settings))
    channels = load_channel_rules(_folder(settings))
    advice = [*book.advice, *files.advice, *channels.advice, *function_advice(Path.cwd(), settings)]
    for one in advice:
        click.echo(f"warning: {_placed(one)}")
    click.echo(f"{count(len(book.collections), 'collection')}, {count(len(advice), 'warning')}")
    if with_data:
        asyncio.run(_check_data(settings, book))


def _faults(folder: Path) -> Any:
    clean = True
    for load in (load_function_rules, load_storage_rules, load_channel_rules):
        try:
            load(folder)
        except ConfigurationError as fault:
            yield fault
    for path in rule_files(folder):
        try:
            load_file(path)
        except ConfigurationError as fault:
            clean = False
            yield fault
    if clean:
        try:
            load_rules(folder)
        except ConfigurationError as fault:
            yield fault


def _placed(advice: Advice) -> str:
    place = ":".join(str(part) for part in (advice.file, advice.line, advice.column) if part)
    return f"{place}: {advice.message}"


async def _check_data(settings: Settings, book: RuleBook) -> None:
    if not data_folder(Path.cwd(), settings).is_dir():
        click.echo("no data yet")
        return
    async with open_store(settings) as store:
        for name, found in book.collections.items():
            await _check_collection(store, name, found)


async def _check_collection(store: Any, name: str, found: CollectionRules) -> None:
    validator = SchemaValidator(found.spec.schema)
    total, failing, first = 0, 0, ""
    async for row in store.scan(name):
        document, total = decode(row), total + 1
        try:
            validator.check(document)
        except Problem as problem:
            failing += 1
            first = first or f"{document['_id']}: {problem.detail}"
    example = f"; first {first}" if first else ""
    click.echo(f"{name}: {failing} of {total} documents fail the schema{example}")


# -- test -----------------------------------------------------------------------------------------


@rules.command()
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def test(files: tuple[Path, ...]) -> None:
    """Run rules/*.test.yaml, or the named files, through the real guard and engine, in memory.

    Prints a table of the cases and the rule clauses that none of them reached. Exit code 1 on a
    failure.
    """
    from baas.ruletests import run_tests, table  # the engine: not for `--help`

    settings = load_app_settings(Path.cwd())
    folder = _folder(settings)
    book = load_rules(folder)
    coverage = Coverage(book)
    paths = list(files) or find_tests(folder)
    outcomes = asyncio.run(run_tests(book, paths, coverage, load_function_rules(folder)))
    for line in table(outcomes):
        click.echo(line)
    failed = sum(bool(outcome.fault) for outcome in outcomes)
    click.echo(f"\n{count(len(outcomes), 'case')}, {failed} failed")
    gaps = list(coverage.gaps())
    if gaps:
        click.echo("\nClauses to write a case for:")
        for gap in gaps:
            click.echo(f"  {gap}")
    if failed:
        raise SystemExit(1)


# -- explain --------------------------------------------------------------------------------------


@rules.command("explain")
@click.argument("collection")
@click.argument("operation", metavar="OPERATION", type=click.Choice(_OPERATIONS))
@click.option(
    "--as",
    "caller",
    multiple=True,
    metavar="KEY=VALUE",
    help="uid=u1 or roles=a,b or loginType=WECHAT; may be repeated. Nobody unless given.",
)
@data_option
def explain_rule(
    collection: str, operation: str, caller: tuple[str, ...], data: Path | None
) -> None:
    """Show what a rule comes to for a caller: the reduced filter, each clause, the index used.

    OPERATION is read, count, aggregate, watch, create, update or delete.
    """
    settings = load_app_settings(Path.cwd(), data)
    book = load_rules(_folder(settings))
    if collection not in book.collections:
        raise ConfigurationError(_unknown(collection, book))
    asyncio.run(
        _explain(settings, book.collections[collection], Operation(operation), _actor(caller))
    )


def _unknown(collection: str, book: RuleBook) -> str:
    near = get_close_matches(collection, book.collections, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return f"no file names the collection '{collection}', so all is denied{hint}"


def _actor(parts: tuple[str, ...]) -> Actor:
    if not parts:
        return NOBODY
    members: dict[str, Any] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or key not in _CALLER:
            raise click.UsageError(
                f"--as takes {', '.join(_CALLER)}: --as uid=u1; leave it out for nobody"
            )
        separated = _AND_MEMBER.split(part)
        if len(separated) > 1:
            meant = " ".join(f"--as {member}" for member in separated)
            raise click.UsageError(f"one member per --as: {meant}")
        members[_CALLER[key]] = tuple(value.split(",")) if key == "roles" else value
    if "uid" not in members:
        raise click.UsageError("--as needs uid=... too")
    return Actor(**members)


_CALLER = {
    "uid": "uid",
    "roles": "roles",
    "loginType": "login_type",
    "unionid": "unionid",
    "appid": "appid",
}
_AND_MEMBER = re.compile(f",(?=(?:{'|'.join(_CALLER)})=)")


async def _explain(
    settings: Settings, found: CollectionRules, operation: Operation, actor: Actor
) -> None:
    facts = RequestFacts(time_ms=SystemClock().now_ms())
    variables = rule_variables(operation, actor, facts)
    async with _store_to_explain(settings, found) as store:
        lookups = KnownLookups()
        while True:
            try:
                explanation = explain(found, operation, variables, lookups)
                break
            except LookupNeeded as need:
                row = await resolve(store.get(need.collection, need.id))
                lookups.known[need.collection, need.id] = decode(row) if row else None
        _show(explanation)
        await _show_plan(store, explanation)


@asynccontextmanager
async def _store_to_explain(settings: Settings, found: CollectionRules) -> AsyncIterator[Any]:
    """The app's documents; where there are none yet, an empty store with the rules' indexes."""
    if data_folder(Path.cwd(), settings).is_dir():
        async with open_store(settings) as store:
            yield store
        return
    from baas.engines.sqlite.store import SqliteStore  # the engine: not for `--help`

    empty = SqliteStore.memory()
    await empty.open()
    try:
        await empty.declare({found.spec.name: found.spec})
        yield empty
    finally:
        await empty.close()


def _show(explanation: Explanation) -> None:
    click.echo(f"{explanation.collection} {explanation.operation}  ({explanation.place})")
    click.echo(f"  rule     {explanation.text.strip()}")
    click.echo(f"  reduced  {explanation.reduced}")
    for clause in explanation.clauses:
        rest = f"  ->  {clause.rest}" if clause.verdict == "depends" else ""
        click.echo(f"  {clause.verdict:<8} {clause.text}{rest}")


async def _show_plan(store: Any, explanation: Explanation) -> None:
    query = Find(collection=explanation.collection, filter=explanation.filter)
    for line in await resolve(store.explain(query)):
        click.echo(f"  engine   {line}")


# -- import ---------------------------------------------------------------------------------------


@rules.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option("--force", is_flag=True, help="Replace rule files that are there.")
def import_files(files: tuple[Path, ...], force: bool) -> None:
    """Turn cloud-dev JSON rules into rule files.

    A file holds one collection's rules, {"read": ..., "write": ...}, and is named after it; or an
    object of such rules by collection. Nothing is written unless all of it can be.
    """
    folder = _folder(load_app_settings(Path.cwd()))
    made: dict[Path, str] = {}
    for file in files:
        text = file.read_text("utf-8-sig")
        for collection, converted, advice in import_rules(file.stem, text, file.name):
            made[folder / f"{collection}.yaml"] = converted
            for item in advice:
                click.echo(f"warning: {_placed(item)}")
    _refuse_existing(folder, made, force)
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in made.items():
        path.write_text(text, "utf-8")
        click.echo(f"wrote {path.relative_to(Path.cwd())}")


def _refuse_existing(folder: Path, made: dict[Path, str], force: bool) -> None:
    there = {path.stem.lower(): path for path in rule_files(folder)}
    for path in made:
        other = there.get(path.stem.lower())
        if other is not None and not (force and other == path):
            raise ConfigurationError(
                f"{other.name} has rules for '{path.stem}' already (--force replaces a .yaml file)"
            )
