"""The function that blocks the loop is named, with its line, once."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.invoking import Shop, shop

SOURCE = """
import asyncio, time

def compute():
    time.sleep(0.5)

@fn.event()
async def blocks(ctx, event):
    compute()

@fn.event()
async def waits(ctx, event):
    await asyncio.sleep(0.5)

@fn.event()
def in_a_thread(ctx, event):
    compute()
"""


@shop(SOURCE)
async def test_a_blocking_function_is_named_once_with_file_and_line(shop: Shop) -> None:
    await asyncio.gather(shop.call("blocks"), shop.call("waits"))
    (stall,) = shop.functions.watch.stalls
    assert (stall.function, stall.file, stall.line) == ("blocks", "main.py", 5)


@shop(
    """
    import time

    @fn.initializer
    async def load(ctx):
        time.sleep(0.5)

    @fn.event()
    async def ready(ctx, event):
        return 1
    """
)
async def test_a_blocking_initializer_is_named_too(shop: Shop) -> None:
    await shop.call("ready")
    assert [(one.function, one.line) for one in shop.functions.watch.stalls] == [("ready", 6)]


@shop(SOURCE)
async def test_those_that_wait_or_have_a_thread_are_not(shop: Shop) -> None:
    await asyncio.gather(shop.call("waits"), shop.call("in_a_thread"))
    assert shop.functions.watch.stalls == []


def test_it_is_said_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    @shop(SOURCE)
    async def play(shop: Shop) -> None:
        await shop.call("blocks")

    play()
    (said,) = [one.getMessage() for one in caplog.records if "blocks the event loop" in one.msg]
    assert "the function blocks blocks the event loop at main.py:5" in said
