"""Ten thousand files, listed by cursor: each once, in order, hidden ones left out, page by page at
a cost that does not grow with how far the list has come."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import pytest

from baas.ports.documents import Insert, WriteInfo
from baas.schema.values import encode
from baas.settings import LimitSettings, Settings
from baas.storage.rows import FILES, new_row
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

FILES_WANTED = 10_000
RULES = """
- {path: 'open/{name}', read: true}
- {path: 'mine/{uid}/{name}', read: auth.uid == params.uid}
"""
_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"rules/_storage.yaml": RULES})
    with running_app(folder, Settings(limits=_OFF)) as harness:
        paths = [f"open/{i:05}" for i in range(FILES_WANTED)]
        paths += [f"mine/u{i % 10}/{i:05}" for i in range(FILES_WANTED // 4)]
        harness.run(insert(harness, paths))
        yield harness


async def insert(app: Harness, paths: list[str]) -> None:
    """Rows alone: a list does not look at bytes."""
    for start in range(0, len(paths), 500):
        steps = []
        for path in paths[start : start + 500]:
            row = new_row(
                None,
                path=path,
                size=1,
                content_type="text/plain",
                metadata={},
                openid=None,
                now_ms=1,
            )
            row |= {"hash": "0" * 64, "blob": "0" * 40}
            steps.append(Insert(collection=FILES, id=row["_id"], document=row, body=encode(row)))
        await app.app.store.write(tuple(steps), WriteInfo())


def listed(app: Harness, prefix: str) -> tuple[list[str], list[float]]:
    """All paths, and how long each page took."""
    paths: list[str] = []
    times: list[float] = []
    after = None
    while True:
        started = perf_counter()
        body = {"prefix": prefix, "limit": 500, "after": after}
        answer = app.post("/v1/storage/list", body)
        times.append(perf_counter() - started)
        assert answer.status == 200, answer.body
        page = answer.json()
        assert len(page["files"]) <= 500
        paths += [file["path"] for file in page["files"]]
        after = page["next"]
        if after is None:
            return paths, times


def test_every_file_is_there_once_and_in_order(app: Harness) -> None:
    paths, times = listed(app, "open/")
    assert paths == [f"open/{i:05}" for i in range(FILES_WANTED)]
    first, last = sorted(times[:5])[0], sorted(times[-5:])[0]
    assert last < 10 * first + 0.05, (first, last)


def test_files_that_one_may_not_list_are_passed_over(app: Harness) -> None:
    """2,500 hidden ones stand before: pages may be short, the list still comes to its end."""
    paths, _ = listed(app, "")
    assert paths == [f"open/{i:05}" for i in range(FILES_WANTED)]
    assert listed(app, "mine/") == ([], [pytest.approx(0, abs=5)] * 2)
