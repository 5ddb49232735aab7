"""`ctx.storage`: files in functions, wherever these run."""

from __future__ import annotations

import os

import pytest

from baas.functions.filehost import MAX_STREAMS, MAX_STREAMS_PER_CALL
from baas.functions.files import PIECE_BYTES
from baas.schema.actor import Actor
from tests.support.background import Yard, yard
from tests.support.database import ANN, BOB
from tests.support.files import file_rules, put
from tests.support.invoking import Shop, shop

HOME = """
- path: home/{uid}/{file...}
  read: auth.uid == params.uid
  write: auth.uid == params.uid && resource.size <= 10
"""

EVERYTHING = """
import io
from baas import Context, fn

@fn.event()
async def awaited(ctx: Context, event):
    files = ctx.storage
    made = await files.put("r/a.csv", b"1,2,3", metadata={"rows": 1})
    await files.put("r/b.txt", "text \\u00e9")
    await files.put("r/c.bin", io.BytesIO(b"x" * 600_000))

    async def pieces():
        for n in range(3):
            yield bytes([n]) * 300_000

    await files.put("r/d.bin", pieces())
    async with files.open("r/d.bin", start=299_999, end=600_001) as file:
        sizes = [len(piece) async for piece in file]
        info = file.info["size"]
    async with files.open("r/a.csv") as file:
        parts = [await file.read(2), await file.read(2), await file.read(9), await file.read(9)]
    await files.copy("r/a.csv", "r/e.csv")
    await files.move("r/e.csv", "r/f.csv")
    gone = await files.delete("r/f.csv")
    some = await files.delete(["r/c.bin", "r/none"])
    link = await files.sign("r/a.csv", expires=60)
    page = await files.list("r/", limit=2)
    rest = await files.list("r/", after=page["next"])
    return {
        "made": made, "text": (await files.get("r/b.txt")).decode(), "sizes": sum(sizes),
        "info": info, "parts": [part.decode() for part in parts], "gone": gone,
        "some": [one.get("code") for one in some["files"]], "url": link["url"],
        "paths": [one["path"] for one in page["files"] + rest["files"]],
        "stat": await files.stat(made["fileId"]) == made, "zone": str(made["createTime"].tzinfo),
    }

@fn.event()
def plain(ctx: Context, event):
    files = ctx.storage
    made = files.put("r/a.csv", b"1,2,3", metadata={"rows": 1})
    files.put("r/b.txt", "text \\u00e9")
    files.put("r/c.bin", io.BytesIO(b"x" * 600_000))
    # What makes the pieces may use the kit itself.
    files.put("r/d.bin", (bytes([len(files.list("r/")["files"]) - 3]) * 300_000 for _ in range(3)))
    with files.open("r/d.bin", start=299_999, end=600_001) as file:
        sizes = [len(piece) for piece in file]
        info = file.info["size"]
    with files.open("r/a.csv") as file:
        parts = [file.read(2), file.read(2), file.read(9), file.read(9)]
    files.copy("r/a.csv", "r/e.csv")
    files.move("r/e.csv", "r/f.csv")
    gone = files.delete("r/f.csv")
    some = files.delete(["r/c.bin", "r/none"])
    link = files.sign("r/a.csv", expires=60)
    page = files.list("r/", limit=2)
    rest = files.list("r/", after=page["next"])
    return {
        "made": made, "text": files.get("r/b.txt").decode(), "sizes": sum(sizes),
        "info": info, "parts": [part.decode() for part in parts], "gone": gone,
        "some": [one.get("code") for one in some["files"]], "url": link["url"],
        "paths": [one["path"] for one in page["files"] + rest["files"]],
        "stat": files.stat(made["fileId"]) == made, "zone": str(made["createTime"].tzinfo),
    }
"""


@pytest.mark.parametrize("isolation", ["inline", "thread", "process"])
@pytest.mark.parametrize("function", ["awaited", "plain"])
@shop()
async def test_every_verb_works_wherever_a_function_runs(
    shop: Shop, function: str, isolation: str
) -> None:
    if (function, isolation) == ("plain", "inline"):
        return  # it would hold up the loop that answers it
    shop.deploy({"main.py": EVERYTHING}, f"functions: {{'*': {{isolation: {isolation}}}}}")
    answer = await shop.call(function)
    made = answer.pop("made")
    assert (made["path"], made["size"], made["contentType"]) == ("r/a.csv", 5, "text/csv")
    assert (made["openid"], made["metadata"]) == (None, {"rows": 1})
    url = answer.pop("url")
    assert url.startswith("https://files.example/v1/storage/files/r/a.csv?expires=")
    assert answer.pop("gone") == {"path": "r/f.csv", "fileId": made["fileId"][:-5] + "f.csv"}
    assert answer == {
        "text": "text é", "sizes": 300_002, "info": 900_000, "parts": ["1,", "2,", "3", ""],
        "some": [None, "NOT_FOUND"], "paths": ["r/a.csv", "r/b.txt", "r/d.bin"], "stat": True,
        "zone": "UTC",
    }  # fmt: skip
    assert shop.functions.files is not None
    assert shop.functions.files.slots.free == MAX_STREAMS


@shop(
    """
    @fn.event()
    async def act(ctx, event):
        files = ctx.as_caller().storage
        found = []
        for work in (
            lambda: files.put("home/ann/a", b"mine"),
            lambda: files.put("home/bob/a", b"mine"),
            lambda: files.put("home/ann/b", b"more than ten"),
            lambda: files.put("home/ann/b", iter([b"more ", b"than ten"])),
            lambda: files.put("home/ann/b", b"x", openid="bob"),
            lambda: files.get("home/bob/other"),
            lambda: files.get("home/ann/a"),
            lambda: files.get("home/ann/a", most=3),
            lambda: files.sign("home/bob/other"),
            lambda: files.stat("no//path"),
        ):
            try:
                answer = await work()
                found.append(answer.get("openid") if isinstance(answer, dict) else answer.decode())
            except Exception as problem:
                found.append(problem.code.name)
        return found

    @fn.event()
    async def give(ctx, event):
        made = await ctx.storage.put("home/bob/other", b"x" * 20, openid="bob")
        again = await ctx.storage.put("home/bob/other", b"y", openid="ann")
        return [made["openid"], again["openid"]]
    """
)
async def test_the_caller_s_rights_are_those_of_the_rules(shop: Shop) -> None:
    shop.storage.parts.guard.rules = file_rules(HOME)
    assert await shop.call("give") == ["bob", "bob"]
    assert await shop.call("act", actor=ANN) == [
        "ann", "PERMISSION_DENIED", "PERMISSION_DENIED", "PERMISSION_DENIED", "INVALID_ARGUMENT",
        "NOT_FOUND", "mine", "LIMIT_EXCEEDED", "NOT_FOUND", "INVALID_ARGUMENT",
    ]  # fmt: skip
    refused = await shop.call("act", actor=BOB)
    assert (refused[0], refused[5]) == ("PERMISSION_DENIED", "y")


@shop(
    """
    @fn.event()
    async def names(ctx, event):
        files, bad, found = ctx.storage, event["bad"], {}
        await files.put("r/there", b"x")
        for name, work in {
            "put": lambda: files.put(bad, b"x"), "get": lambda: files.get(bad),
            "open": lambda: files.open(bad).__aenter__(), "stat": lambda: files.stat(bad),
            "copy": lambda: files.copy("r/there", bad), "from": lambda: files.copy(bad, "r/new"),
            "move": lambda: files.move("r/there", bad), "delete": lambda: files.delete(bad),
            "sign": lambda: files.sign(bad), "of several": lambda: files.delete([bad]),
            "upload": lambda: files.sign(bad, operation="upload", size=1),
        }.items():
            try:
                await work()
                found[name] = "it was done"
            except Exception as problem:
                found[name] = problem.code.name
        return found
    """
)
async def test_no_verb_takes_a_name_that_is_no_path(shop: Shop) -> None:
    for bad in ("../x", "/etc/x", "a//b", "a\\b", "a\0b", "%2e%2e/x", "e\u0301", "", "x" * 851):
        found = await shop.call("names", {"bad": bad})
        assert set(found.values()) == {"INVALID_ARGUMENT"}, (bad, found)


@shop(
    """
    @fn.event()
    async def swap(ctx, event):
        files, found = ctx.storage, []
        first = await files.put("r/a", b"one")
        await files.put("r/a", b"two")
        for path, there in (("r/a", first["hash"]), ("r/none", first["hash"])):
            try:
                await files.put(path, b"late", replaces=there)
            except Exception as problem:
                found.append(problem.code.name)
        now = await files.stat("r/a")
        await files.put("r/a", b"three", replaces=now["hash"])
        listed = await files.list("r/")
        return found + [(await files.get("r/a")).decode(), len(listed["files"])]
    """
)
async def test_a_put_may_name_the_one_file_that_it_replaces(shop: Shop) -> None:
    assert await shop.call("swap") == ["TRANSACTION_CONFLICT"] * 2 + ["three", 1]


@shop(
    """
    import asyncio

    async def endless():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    @fn.event(timeout=0.3)
    async def never(ctx, event):
        await ctx.storage.put("never", endless())

    @fn.event(timeout=0.3, isolation="process", name="never_there")
    async def never_there(ctx, event):
        await ctx.storage.put("never", endless())

    @fn.event(isolation="thread")
    async def breaks(ctx, event):
        def pieces():
            yield b"a"
            raise ValueError("no more")
        try:
            await ctx.storage.put("never", pieces())
        except ValueError as fault:
            return str(fault)

    @fn.event()
    async def careless(ctx, event):
        await ctx.storage.put("there", b"here")
        file = await ctx.storage.open("there").__aenter__()
        return (await file.read()).decode()
    """
)
async def test_what_a_call_leaves_open_or_half_done_is_let_go(shop: Shop) -> None:
    assert (await shop.problem("never")).code.name == "FUNCTION_TIMEOUT"
    assert (await shop.problem("never_there")).code.name == "FUNCTION_TIMEOUT"
    assert await shop.call("breaks") == "no more"
    assert await shop.call("careless") == "here"
    assert [row["path"] for row in (await shop.stored("_files")).values()] == ["there"]
    assert shop.functions.files is not None
    assert shop.functions.files.slots.free == MAX_STREAMS
    assert os.listdir(shop.folder / "blobs" / "aside") == []


@shop(
    """
    import threading
    goes_on, over, told = threading.Event(), threading.Event(), []

    @fn.event(timeout=0.2)
    def lingers(ctx, event):
        ctx.storage.put("there", b"here")
        goes_on.wait(20)
        try:
            ctx.storage.open("there").__enter__()
        except Exception as problem:
            told.append(problem.code.name)
        over.set()

    @fn.event()
    async def see(ctx, event):
        goes_on.set()
        await __import__("asyncio").to_thread(over.wait, 20)
        return told
    """
)
async def test_a_thread_that_lingers_opens_nothing_more(shop: Shop) -> None:
    assert (await shop.problem("lingers")).code.name == "FUNCTION_TIMEOUT"
    assert await shop.call("see") == ["UNAVAILABLE"]
    assert shop.functions.files is not None
    assert shop.functions.files.slots.free == MAX_STREAMS


@shop(
    """
    @fn.event()
    async def many(ctx, event):
        await ctx.storage.put("there", b"here")
        files = [ctx.storage.open("there") for _ in range(event)]
        for file in files:
            await file.__aenter__()

    @fn.event()
    async def wrong(ctx, event):
        files, found = ctx.storage, []
        await files.put("there", b"here")
        closed = files.open("there")
        async with closed:
            pass
        for work in (
            lambda: files.put("a", 7),
            lambda: files.put("a", [b"x", "text"]),
            lambda: files.put("a", b"", contentType="no type"),
            lambda: files.open("there", start=3, end=1).__aenter__(),
            lambda: closed.read(),
            lambda: files.list(limit=0),
        ):
            try:
                await work()
            except Exception as problem:
                found.append(getattr(problem, "detail", "") or str(problem))
        return found
    """
)
async def test_wrong_use_is_told(shop: Shop) -> None:
    assert await shop.call("many", MAX_STREAMS_PER_CALL) is None
    assert (await shop.problem("many", MAX_STREAMS_PER_CALL + 1)).code.name == "FUNCTION_FAILED"
    told = await shop.call("wrong")
    assert [text.split(":")[0] for text in told] == [
        "a file's data are bytes, text, a file or an iterable, not int",
        "a file's data are bytes, not str",
        "contentType", "start", "a file is read within its block", "limit",
    ]  # fmt: skip


@shop(
    """
    @fn.event(isolation="process")
    async def through(ctx, event):
        async with ctx.storage.open("big") as file:
            return await ctx.storage.put("copy", file)
    """
)
async def test_a_file_is_streamed_into_another_in_a_worker(shop: Shop) -> None:
    data = bytes(range(256)) * (5 * PIECE_BYTES // 256)
    made = await put(shop.storage, "big", data + b"!")
    copied = await shop.call("through")
    assert (copied["size"], copied["hash"]) == (len(data) + 1, made["hash"])


@yard(
    """
    @fn.on("storage.put", prefix="loop/")
    async def again(ctx, event):
        await ctx.storage.put("loop/a", event.path + str(ctx.depth))
    """
)
async def test_a_function_that_writes_what_it_listens_to_ends_16_deep(app: Yard) -> None:
    await app.settle()
    await put(app.storage, "loop/a", b"begin", Actor(uid="ann", trusted=True, cache_key="ann"))
    await app.settle(1, 2)
    (letter,) = await app.dead()
    assert letter.error is not None
    assert (letter.error["code"], letter.depth) == ("LOOP_DETECTED", 16)
    (row,) = (await app.stored("_files")).values()
    assert row["size"] == len("loop/a15")
