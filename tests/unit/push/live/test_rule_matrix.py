"""The rule matrix again, through watch frames: whatever the rule tests write, whoever watches, the
frames lead to what `find` answers that caller then; and a watch ends where `find` is refused."""

from __future__ import annotations

import asyncio
import itertools
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from baas.errors import Code, Problem
from baas.rules.testing import Case, RuleTests, find_tests, load_tests
from baas.schema.actor import NOBODY, Actor
from tests.support.watching import SERVER, Client, World, same, user, world

ROOT = Path(__file__).parents[4]
FOLDERS = (ROOT / "rules", ROOT / "tests" / "rules" / "chat")
FILES = [path for folder in FOLDERS for path in find_tests(folder) if not path.stem.startswith("_")]
WRITES = ("insert", "update", "replace", "delete")


class Watcher:
    """One caller's one query: open whenever its rules allow it."""

    def __init__(self, there: World, actor: Actor, collection: str, query: dict[str, Any]) -> None:
        self.actor = actor
        self.query = query
        self.collection = collection
        self.client = Client()
        self.watch: Any = None
        self._there = there

    async def agree(self, because: str) -> None:
        """The view is what `find` gives, or both are refused alike."""
        there = self._there
        told = f"{self.actor.uid or self.actor.trusted} {self.collection} {self.query}: {because}"
        try:
            expected = await there.find(self.actor, self.collection, **self.query)
        except Problem as problem:
            refusal = problem
        else:
            await self._sees(expected, told)
            return
        assert self.watch is None or self.client.ended is not None, f"{told}: still open"
        self.watch = None
        with pytest.raises(Problem) as caught:
            await self._open()
        assert caught.value.code is refusal.code, told

    async def _open(self) -> None:
        self.client = Client()
        self.watch = await self._there.watch(
            self.client, self.actor, collection=self.collection, **self.query
        )

    async def _sees(self, expected: list[Any], told: str) -> None:
        if self.watch is None:
            await self._open()
        assert self.client.ended is None, f"{told}: ended with {self.client.ended}"
        assert same(self.client.result, expected), told


def text_of(folder: Path) -> dict[str, str]:
    """A read rule that looks up another document for each of its own cannot be watched at all: here
    that of `messages` is another; its mask, which looks up as well, stays."""
    files = [path for path in folder.glob("*.yaml") if not path.stem.startswith("_")]
    texts = {path.stem: path.read_text() for path in files if not path.stem.endswith(".test")}
    if "messages" in texts:
        rule = re.compile("^  read: .*$", flags=re.M)
        texts["messages"] = rule.sub("  read: auth != null", texts["messages"], count=1)
    return texts


def callers(tests: RuleTests) -> list[Actor]:
    """All of the file, each once, and nobody; told apart by a key of their own."""
    found = {repr(case.actor): case.actor for case in tests.cases if not case.actor.trusted}
    found.setdefault(repr(NOBODY), NOBODY)
    return [
        msgspec.structs.replace(actor, cache_key=f"caller{number}")
        for number, actor in enumerate(found.values())
    ]


def queries(tests: RuleTests, collection: str) -> list[dict[str, Any]]:
    """All that the file asks of this collection, and a few that every collection knows."""
    found: list[dict[str, Any]] = [{}, {"sort": {"_id": -1}, "limit": 2}]
    for case in tests.cases:
        if case.collection == collection and case.verb in ("find", "count"):
            names = ("filter", "sort", "limit", "fields")
            found.append({name: case.body[name] for name in names if name in case.body})
    unique = {msgspec.json.encode(query): query for query in found}
    return list(unique.values())


async def fill(there: World, tests: RuleTests) -> None:
    for name, documents in tests.documents.items():
        for number, document in enumerate(documents):
            await there.put(name, {"_id": f"made-{number}", **document})


async def watchers_of(there: World, tests: RuleTests) -> list[Watcher]:
    collections = {case.collection for case in tests.cases if case.verb in ("find", *WRITES)}
    return [
        Watcher(there, actor, collection, query)
        for collection in sorted(collections)
        for actor in callers(tests)
        for query in queries(tests, collection)
    ]


async def attempt(there: World, case: Case) -> None:
    with suppress(Problem):  # what may be written is the rule tests' own matter
        await there.do(case.actor, case.verb, case.collection, **case.body)


async def all_agree(watchers: list[Watcher], there: World, because: str) -> None:
    await there.caught_up()
    for one in watchers:
        await one.agree(because)


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_frames_lead_to_what_each_caller_may_find(tmp_path: Path, file: Path) -> None:
    tests = load_tests(file)

    async def scenario() -> None:
        async with world(tmp_path, **text_of(file.parent)) as there:
            if tests.now_ms is not None:
                there.clock.advance(tests.now_ms / 1000 - there.clock.monotonic())
            await fill(there, tests)
            watchers = await watchers_of(there, tests)
            await all_agree(watchers, there, "at first")
            for case in tests.cases:
                if case.verb in WRITES:
                    await attempt(there, case)
                    await all_agree(watchers, there, f"{case.file}:{case.line}")
            await without_each(there, tests, watchers)

    asyncio.run(scenario())


def test_a_rule_that_looks_up_a_document_for_each_cannot_be_watched(tmp_path: Path) -> None:
    chat = ROOT / "tests" / "rules" / "chat"
    texts = {name: (chat / f"{name}.yaml").read_text() for name in ("messages", "rooms")}

    async def scenario() -> None:
        async with world(tmp_path, **texts) as there:
            with pytest.raises(Problem) as refused:
                await there.watch(Client(), user("u1"), collection="messages")
            assert refused.value.code is Code.PERMISSION_DENIED

    asyncio.run(scenario())


async def without_each(there: World, tests: RuleTests, watchers: list[Watcher]) -> None:
    """Each document goes, comes back, and goes to another owner: those that others look up too."""
    owners = itertools.cycle(actor.uid or "nobody" for actor in callers(tests))
    for name, documents in tests.documents.items():
        for document in documents:
            if "_id" not in document:
                continue
            id = document["_id"]
            await there.do(SERVER, "delete", name, filter={"_id": id})
            await all_agree(watchers, there, f"without {name}/{id}")
            await there.put(name, document)
            await all_agree(watchers, there, f"with {name}/{id} again")
            with suppress(Problem):  # a unique index may mind
                await there.put(name, {**document, "_openid": next(owners)})
            await all_agree(watchers, there, f"with {name}/{id} of another")
            await there.put(name, document)
