"""Files as folders: what a person sees who opens one, however much lies below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from baas.auth.steps import insert, write
from baas.storage.folders import folder_page
from baas.storage.rows import FILES, new_row
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

#: More than one look at the store holds, below one folder and beside it.
DEEP = [f"deep/a/{n:03}" for n in range(130)]
WIDE = [f"wide/{n:03}/x" for n in range(130)]
PATHS = ["a", "a-b/x", "a/b", "a0", "deep/z", "deep.txt", *DEEP, *WIDE]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with running_app(write_app(tmp_path_factory.mktemp("app"), {})) as harness:
        for path in PATHS:
            row = new_row(
                None,
                path=path,
                size=1,
                content_type="text/plain",
                metadata={},
                openid=None,
                now_ms=0,
            )
            row |= {"hash": "0", "blob": path}
            harness.run(write(harness.app.store, insert(FILES, row)))
        yield harness


def look(app: Harness, **body: Any) -> Any:
    return app.post("/v1/admin/storage/folder", body, app.admin_key("storage:read"))


def names(page: Any) -> tuple[list[str], list[str]]:
    return page["folders"], [one["path"] for one in page["files"]]


def test_a_folder_shows_what_lies_directly_in_it(app: Harness) -> None:
    assert names(look(app).json()) == (["a-b/", "a/", "deep/", "wide/"], ["a", "a0", "deep.txt"])
    assert names(look(app, folder="deep/").json()) == (["deep/a/"], ["deep/z"])
    assert names(look(app, folder="a/").json()) == ([], ["a/b"])
    assert names(look(app, folder="nothing/").json()) == ([], [])
    assert len(look(app, folder="wide/").json()["folders"]) == 130


def test_pages_follow_each_other_without_gap_or_repeat(app: Harness) -> None:
    found: list[str] = []
    after: str | None = None
    for _ in range(4):
        page = app.run(folder_page(app.app.store, "board", "", after, 2))
        found += [*page.folders, *(one.path for one in page.files)]
        after = page.next
        if after is None:
            break
    assert sorted(found) == ["a", "a-b/", "a/", "a0", "deep.txt", "deep/", "wide/"]


def test_a_bad_folder_is_refused_by_name(app: Harness) -> None:
    assert look(app, folder="deep").json()["errors"][0]["path"] == "folder"
    assert look(app, folder="deep/", after="wide/").json()["errors"][0]["path"] == "after"
