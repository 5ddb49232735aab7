"""Triggers of files: which of what happens to them starts which functions, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from baas.functions.triggers.storage import storage_event
from baas.ports.changes import ChangeEvent
from baas.schema.actor import SERVER, Actor
from baas.schema.values import encode
from baas.storage.attributes import Checksums
from baas.storage.bodies import DeleteFilesBody, FileName, TransferBody, UploadsBody
from baas.storage.parts import Caller
from tests.support.background import Yard, yard
from tests.support.files import pieces, put
from tests.support.functions import refused

ALL = """
@fn.on("storage.put")
async def written(ctx, event):
    await note(ctx, what="put", path=event.path, size=event.size)

@fn.on("storage.delete")
async def deleted(ctx, event):
    await note(ctx, what="delete", path=event.path, size=event.size)
"""
ANN = Actor(uid="ann", trusted=True, cache_key="ann")


async def what(app: Yard) -> list[tuple[str, str, int]]:
    return [(one["what"], one["path"], one["size"]) for one in await app.seen()]


async def transfer(app: Yard, source: str, target: str, *, move: bool) -> None:
    body = TransferBody(from_=source, to=target)
    await app.storage.transfer(body, Caller(SERVER), move=move)


async def delete(app: Yard, *paths: str) -> None:
    body = DeleteFilesBody(files=[FileName(path=path) for path in paths])
    await app.storage.delete(body, Caller(SERVER))


@yard(ALL)
async def test_uploads_copies_and_moves_put_files_and_deletes_and_moves_delete_them(
    app: Yard,
) -> None:
    await app.settle()
    await put(app.storage, "a.txt", b"one")
    await app.settle()
    assert await what(app) == [("put", "a.txt", 3)]
    await put(app.storage, "a.txt", b"other")  # replaced
    await transfer(app, "a.txt", "b.txt", move=False)
    await app.settle()
    assert sorted(await what(app)) == sorted(
        [("put", "a.txt", 3), ("put", "a.txt", 5), ("put", "b.txt", 5)]
    )
    await transfer(app, "a.txt", "c.txt", move=True)
    await delete(app, "b.txt", "not-there.txt")
    await app.settle()
    assert sorted((await what(app))[3:]) == sorted(
        [("put", "c.txt", 5), ("delete", "a.txt", 5), ("delete", "b.txt", 5)]
    )


@yard(ALL)
async def test_an_upload_in_parts_puts_a_file_when_it_is_complete(app: Yard) -> None:
    await app.settle()
    uploads, caller = app.storage.uploads, Caller(SERVER)
    begun = await app.storage.begin_upload(UploadsBody(path="big.bin", size=6), caller)
    document = await uploads.find(begun.upload_id, caller)
    await uploads.put_part(document, 1, pieces(b"abc", b"def"), Checksums())
    await app.settle()
    assert await what(app) == []
    await uploads.complete(begun.upload_id, caller)
    await app.settle()
    assert await what(app) == [("put", "big.bin", 6)]


@yard(
    """
    @fn.on("storage.put", prefix="avatars/", suffix=".jpg")
    async def picture(ctx, event):
        await note(ctx, event=ctx.raw_event, depth=ctx.depth, auth=ctx.auth,
                   kind=ctx.trigger.kind, details=ctx.trigger.details)
    """
)
async def test_the_event_says_what_was_written_and_by_whom(app: Yard) -> None:
    await app.settle()
    for path in ("avatars/ann.png", "other/avatars/ann.jpg", "avatars/x.jpg/y", "avatars.jpg"):
        await put(app.storage, path, b"x", ANN)
    file = await put(app.storage, "avatars/ann.jpg", b"picture", ANN)
    await app.settle()
    (seen,) = await app.seen()
    event = seen["event"]
    assert event.pop("time") == file["updateTime"]
    assert event == {
        "path": "avatars/ann.jpg", "size": 7, "contentType": "image/jpeg", "hash": file["hash"],
        "openid": "ann", "operation": "put", "actor": "ann",
    }  # fmt: skip
    assert (seen["depth"], seen["auth"], seen["kind"]) == (1, None, "storage")
    assert seen["details"] == {"operation": "put", "prefix": "avatars/", "suffix": ".jpg"}


def test_bookkeeping_on_a_row_is_no_event() -> None:
    row = {
        "_id": "x", "path": "a", "size": 1, "contentType": "t", "hash": "h", "openid": None,
        "blob": "b1", "updateTime": {"$date": "2026-11-20T08:00:00.000Z"},
    }  # fmt: skip

    def event(after: dict[str, Any]) -> Any:
        return storage_event(
            ChangeEvent(
                cursor="e.1", transaction="1", time=0, collection="_files", operation="update",
                id="x", before=encode(row), after=encode(after),
            )
        )  # fmt: skip

    assert event({**row, "variants": ["w200"]}) is None
    assert event({**row, "blob": "b2"})["operation"] == "put"


@yard(
    """
    @fn.on("storage.put", suffix=".txt")
    async def slow(ctx, event):
        await note(ctx, hash=event.hash, attempt=ctx.attempt)
        if ctx.attempt < 3:
            raise RuntimeError("not yet")
    """
)
async def test_it_is_tried_again_and_once_for_each_event(app: Yard) -> None:
    await app.settle()
    await put(app.storage, "a.txt", b"one")
    await app.settle(1, 2, 4)
    assert [one["attempt"] for one in await app.seen()] == [1, 2, 3]
    assert await app.dead() == []


@yard(
    """
    @fn.on("storage.put", ordered=True, retries="default")
    async def in_turn(ctx, event):
        await note(ctx, path=event.path, size=event.size, attempt=ctx.attempt)
        if event.size == 1 and ctx.attempt == 1:
            raise RuntimeError("not yet")
    """
)
async def test_ordered_events_of_one_file_wait_for_the_one_before(app: Yard) -> None:
    await app.settle()
    for size in (1, 2, 3):
        await put(app.storage, "a", b"x" * size)
    await put(app.storage, "b", b"xxxx")
    await app.settle()
    assert sorted((one["path"], one["size"]) for one in await app.seen()) == [("a", 1), ("b", 4)]
    await app.settle(1, 1)
    of_a = [(one["size"], one["attempt"]) for one in await app.seen() if one["path"] == "a"]
    assert of_a == [(1, 1), (1, 2), (2, 1), (3, 1)]


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('"storage.puts"', "did you mean 'put'?"),
        ('"storage.put", where={"size": 1}', "'where' means nothing for storage events"),
        ('"storage.put", prefix="/avatars"', "no path has the prefix '/avatars'"),
        ('"storage.put", suffix="/"', "no path has the suffix '/'"),
        ('"storage.put", prefix="a//b"', "no path has the prefix 'a//b'"),
        ('"storage.put", suffix=7', "suffix is a text like '.jpg', not 7"),
        ('"storage.put", ordered="yes"', "ordered is true or false, not 'yes'"),
        ('"queue.mails", ordered=True', "'ordered' means nothing for queue events"),
    ],
)
def test_what_could_never_fire_is_refused_with_its_line(declared: str, said: str) -> None:
    fault = refused(f"@fn.on({declared})\nasync def f(ctx, event): ...\n")
    assert said in str(fault)
    assert "main.py:2" in str(fault)


@yard(
    ALL,
    """
    functions:
      written: {triggers: {off: [storage]}}
      deleted: {triggers: {add: [{on: storage.put, prefix: only/}]}}
    """,
)
async def test_baas_yaml_switches_them_off_and_adds_them(app: Yard) -> None:
    await app.settle()
    await put(app.storage, "else/a", b"1")
    await put(app.storage, "only/a", b"22")
    await app.settle()
    assert await what(app) == [("delete", "only/a", 2)]
