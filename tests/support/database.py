"""The database service on a real store under real rule files, with a clock moved by hand."""

from __future__ import annotations

import asyncio
import inspect
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from baas.clock import ManualClock
from baas.database.service import DatabaseService, Tagged
from baas.engines.sqlite.store import SqliteStore
from baas.errors import Code, Problem
from baas.guard import RuleGuard
from baas.ports.documents import resolve
from baas.rules.load import load_rules
from baas.rules.model import RuleBook
from baas.schema.actor import NOBODY, SERVER, Actor
from baas.schema.values import decode
from baas.secret import MasterSecret
from baas.settings import LimitSettings, Settings

SECRET = MasterSecret(b"0xT5rMuZ4m2kQ9vJ7wYb1LhN8sDcEfGa")
IP = "192.0.2.7"

ANN = Actor(uid="ann", login_type="USERNAME", cache_key="ann")
BOB = Actor(uid="bob", login_type="USERNAME", cache_key="bob")
MODERATOR = Actor(uid="mod", login_type="USERNAME", roles=("moderator",), cache_key="mod")

__all__ = ["ANN", "BOB", "IP", "MODERATOR", "NOBODY", "SERVER", "Bench", "app", "refused"]

#: One collection that shows most of the rule language.
POSTS = """
schema:
  type: object
  required: [title]
  properties:
    title: {type: string, minLength: 1, maxLength: 20}
    published: {type: boolean, default: false}
    phone: {type: string}
    score: {type: number}
indexes:
  - {fields: [slug], unique: true}
define:
  mine: doc._openid == auth.uid
rules:
  read: doc.published || mine
  create: auth != null
  update: mine
  delete: mine || 'moderator' in auth.roles
fields:
  phone: {read: mine, write: mine}
"""


def book_of(rules: dict[str, str]) -> RuleBook:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in rules.items():
            (Path(folder) / f"{name}.yaml").write_text(text, encoding="utf-8")
        return load_rules(Path(folder))


class Bench:
    """A service and its parts. Answers are decoded; `raw` gives the bytes."""

    def __init__(self, store: SqliteStore, clock: ManualClock, settings: Settings) -> None:
        self.store = store
        self.clock = clock
        self.settings = settings
        self.guard = RuleGuard(RuleBook(collections={}, revision=""))
        self.service = DatabaseService(store, self.guard, settings, clock, SECRET)

    async def load(self, rules: dict[str, str]) -> None:
        book = book_of(rules)
        await self.store.declare({name: one.spec for name, one in book.collections.items()})
        self.guard.book = book

    async def raw(
        self, actor: Actor, verb: str, collection: str, body: Any, key: str | None = None
    ) -> bytes:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await resolve(self.service.handle(verb, collection, data, actor, IP, key))

    async def do(
        self, actor: Actor, verb: str, collection: str, key: str | None = None, **body: Any
    ) -> Any:
        return decode(await self.raw(actor, verb, collection, body, key))

    async def transaction(
        self,
        actor: Actor,
        *operations: Any,
        expect: Any = (),
        key: str | None = None,
    ) -> Any:
        body = {"operations": list(operations), "expect": list(expect)}
        data = json.dumps(body).encode()
        answer = await resolve(self.service.transaction(data, actor, IP, key))
        return decode(answer)["results"]

    async def tagged(self, actor: Actor, collection: str, id: str) -> Tagged:
        return await resolve(self.service.get_document(collection, id, actor, IP))

    async def insert(self, collection: str, *documents: Any, actor: Actor = SERVER) -> list[str]:
        answer = await self.do(actor, "insert", collection, documents=list(documents))
        ids: list[str] = answer["ids"]
        return ids

    async def ids(self, actor: Actor, collection: str, **body: Any) -> list[str]:
        """The ids that a find gives, in order."""
        found = await self.do(actor, "find", collection, **body)
        return [one["_id"] for one in found["documents"]]

    async def stored(self, collection: str) -> dict[str, Any]:
        """Every stored document by id, whatever the rules say."""
        return {one["_id"]: one async for one in self._scan(collection)}

    async def _scan(self, collection: str) -> Any:
        async for body in self.store.scan(collection):
            yield decode(body)


def play(
    test: Callable[..., Awaitable[None]],
    rules: dict[str, str],
    arguments: dict[str, Any] | None = None,
    **limits: Any,
) -> None:
    """Runs `test(bench, **arguments)` on a fresh bench."""

    async def run() -> None:
        clock = ManualClock()
        store = SqliteStore.memory(clock=clock)
        await store.open()
        try:
            bench = Bench(store, clock, Settings(limits=LimitSettings(**limits)))
            await bench.load(rules)
            await test(bench, **arguments or {})
        finally:
            await store.close()

    asyncio.run(run())


def app(
    rules: dict[str, str] | None = None, **limits: Any
) -> Callable[[Callable[..., Awaitable[None]]], Any]:
    """Makes a test of an async function whose first argument is a fresh `Bench`."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Any:
        def run(**arguments: Any) -> None:
            play(test, {"posts": POSTS} if rules is None else rules, arguments, **limits)

        signature = inspect.signature(test)
        rest = list(signature.parameters.values())[1:]
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        run.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        run.pytestmark = getattr(test, "pytestmark", [])  # type: ignore[attr-defined]
        return run

    return decorate


class refused:  # reads as a statement: with refused(Code.CONFLICT): ...
    """Asserts that a Problem of this code is raised; `problem` is it, `paths` those of `errors`."""

    problem: Problem

    def __init__(self, code: Code, *words: str) -> None:
        self.code = code
        self.words = words
        self._raises = pytest.raises(Problem)

    def __enter__(self) -> refused:
        self._info = self._raises.__enter__()
        return self

    def __exit__(self, *args: Any) -> bool:
        caught = bool(self._raises.__exit__(*args))
        self.problem = self._info.value
        assert self.problem.code is self.code, self.problem
        for word in self.words:
            assert word in self.problem.detail
        return caught

    @property
    def paths(self) -> list[str]:
        return [error.path for error in self.problem.errors]
