"""A server for the tests of engine `mongo`.

`BAAS_TEST_MONGO_URL` names a real replica set, and then every test runs there. Without it they run
on mongo-java-server, a reimplementation in memory, started here with the transactions and snapshots
that it lacks (`mongoserver/TransactionServer.java`). What that one cannot do is listed in `LACKS`,
and a test that needs it is skipped with the reason.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import pytest

from baas.engines.mongo.catalogue import Catalogue, CollectionInfo, IndexInfo
from baas.engines.mongo.compile import compile_filter
from baas.engines.mongo.driver import Driver, PyMongoError
from baas.engines.mongo.reads import Reads
from baas.engines.mongo.values import array_paths, row_of
from baas.ports.documents import Find
from baas.query.ast import BY_ID, Filter, Sort
from baas.schema.model import IndexSpec
from baas.schema.values import Document, decode, encode
from baas.settings import DatabaseSettings
from scripts import mongoserver

VARIABLE: Final = mongoserver.VARIABLE
#: What the reimplementation lacks, and why a test cannot do without.
LACKS: Final = {
    "explain": "mongo-java-server has no explain command, so there is no plan to name an index",
    "timeout": "mongo-java-server ignores maxTimeMS, so the server never ends a long query",
    "nested": "mongo-java-server looks into arrays in arrays where MongoDB does not",
    "elements": "mongo-java-server fails at $and, $or, $nor in $elemMatch over plain elements",
}


def is_real() -> bool:
    return bool(os.environ.get(VARIABLE))


def need(capability: str) -> None:
    """Skips the test where the server cannot do this."""
    if not is_real() and capability in LACKS:
        pytest.skip(f"{LACKS[capability]}; set {VARIABLE} to run it")


@lru_cache(maxsize=1)
def server_url() -> str:
    """The server of this test process, started when it is first asked for."""
    return os.environ.get(VARIABLE) or start()[0]


def start() -> tuple[str, subprocess.Popen[str]]:
    """Another one in memory, for tests that harm it: where it is, and its process."""
    process = subprocess.Popen(
        mongoserver.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_stop, process)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, "the test server did not start"
    return f"mongodb://{address}/?replicaSet=rs0", process


def _stop(process: subprocess.Popen[str]) -> None:
    """It ends when its input does."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def understood(documents: Iterable[Document]) -> list[Document]:
    """Without those that the reimplementation is known to match wrongly (`LACKS["nested"]`)."""
    if is_real():
        return list(documents)
    return [row for row in documents if not _has_nested_arrays(row)]


def _has_nested_arrays(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_nested_arrays(item) for item in value.values())
    if not isinstance(value, list):
        return False
    return any(isinstance(item, list) or _has_nested_arrays(item) for item in value)


async def fail(
    driver: Driver, command: str, code: int, labels: list[str], times: int, *, after: bool = False
) -> None:
    """Makes coming commands of that name fail; `after`: though they have been done.

    A real server needs `--setParameter enableTestCommands=1`, and knows no `after`.
    """
    if not is_real():
        given = {"command": command, "code": code, "labels": labels, "times": times, "after": after}
        await driver.command("testFail", given)
        return
    if after:
        pytest.skip("a real server does not fail after what it did")
    data = {"failCommands": [command], "errorCode": code, "errorLabels": labels}
    mode = {"times": times}
    await driver.admin("configureFailPoint", value="failCommand", mode=mode, data=data)


async def step_down(driver: Driver, seconds: int) -> None:
    """Leaves the set without a primary for so long; one of one member then elects itself."""
    with suppress(PyMongoError):  # a real one may hang up before it answers
        await driver.admin("replSetStepDown", seconds, force=True, secondaryCatchUpPeriodSecs=0)


async def fail_no_more(driver: Driver) -> None:
    if not is_real():
        await driver.command("testFail", {})
        return
    await driver.admin("configureFailPoint", value="failCommand", mode="off")


class Crashed(Exception):
    """The reimplementation failed by itself (`LACKS["elements"]`)."""


class Rows:
    """One collection beside the compiler, filled anew for every example; no store around it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.name = f"test-{secrets.token_hex(6)}"
        self.info = CollectionInfo("c")
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        self.driver = Driver(server_url(), self.name, 10)
        catalogue = lambda: Catalogue(0, {"c": self.info})  # noqa: E731 - one expression
        self.reads = Reads(self.driver, DatabaseSettings(), catalogue)

    def fill(self, documents: Iterable[Document], *indexes: IndexSpec) -> None:
        """`indexes` of places and words, by which the rows are filed."""
        rows = list(documents)
        arrays = [path for row in rows for path in array_paths(row)]
        infos = [IndexInfo(f"i{number}", spec) for number, spec in enumerate(indexes)]
        self.info = CollectionInfo("c").with_arrays(arrays).with_indexes(infos)
        self.run(self._fill(rows))

    async def _fill(self, documents: list[Document]) -> None:
        await self.driver.delete("c", {})
        rows = [row_of(one["_id"], one, encode(one), self._filed(one)) for one in documents]
        await self.driver.insert("c", rows)

    def _filed(self, document: Document) -> dict[str, Any]:
        found = {index.physical: index.derive(document) for index in self.info.indexes}
        return {name: value for name, value in found.items() if value is not None}

    def find(self, filter: Filter, sort: Sort = BY_ID, **more: Any) -> list[str]:
        query = Find(collection="c", filter=filter, sort=sort, **more)
        return [decode(body)["_id"] for body in self.run(self._caught(self.reads.find(query)))]

    def native(self, filter: Filter) -> tuple[list[str], bool]:
        """What the server alone finds, and whether that is said to be exact."""
        compiled = compile_filter(filter, self.info)
        found = self.driver.find("c", compiled.filter, {"_id": 1}, sort=[("_id", 1)])
        rows = self.run(self._caught(found))
        return [row["_id"] for row in rows], compiled.exact

    async def _caught(self, work: Any) -> Any:
        try:
            return await work
        except PyMongoError as error:
            if not is_real() and "cannot be cast" in str(error):
                raise Crashed from error
            raise

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        self.run(self.driver.drop_database())
        self.driver.close()
        self.loop.close()
