"""A real browser for tests: Chromium without a window, which reaches the loopback alone.

It lives in a thread with an event loop of its own, so that a test can use it whether or not it
runs a loop itself:

    def test_a_page_greets(browser: Browser, gateway: Gateway) -> None:
        async def visit(page: Page) -> None:
            await page.goto(gateway.url)
            assert await page.title() == "notes"

        browser.run(visit)

`page` is Playwright's (async API), in a new context: no cookies, no storage, nothing cached.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, Playwright, async_playwright

from scripts.chromium import program

__all__ = ["Browser", "Page", "browsing"]

T = TypeVar("T")
Visit = Callable[[Page], Awaitable[T]]

#: For one wait of Playwright's, and for a whole visit.
WAIT_SECONDS: Final = 15.0
VISIT_SECONDS: Final = 90.0
_ARGUMENTS: Final = (
    # A proxy that nothing listens at: the loopback is reached beside it, all else fails.
    "--proxy-server=http://127.0.0.1:9",
    "--disable-dev-shm-usage",  # containers give it 64 MiB
)


class Browser:
    """A running one. A visit fails with what its page did not catch, unless it says otherwise."""

    def __init__(self, chromium: Chromium, loop: asyncio.AbstractEventLoop) -> None:
        self._chromium = chromium
        self._loop = loop

    def run(self, visit: Visit[T], *, faults: bool = False, **context: Any) -> T:
        """What `visit(page)` returns; blocks. `faults`: uncaught errors of scripts are no failure.
        `context` as for Playwright's `new_context`: `viewport`, `locale`, `storage_state` ..."""
        return self.start(visit, faults=faults, **context).result(VISIT_SECONDS)

    def start(self, visit: Visit[T], *, faults: bool = False, **context: Any) -> Future[T]:
        """The same beside the test: `await asyncio.wrap_future(browser.start(visit))`."""
        return asyncio.run_coroutine_threadsafe(
            asyncio.wait_for(self._visit(visit, faults, context), VISIT_SECONDS), self._loop
        )

    async def _visit(self, visit: Visit[T], faults: bool, options: dict[str, Any]) -> T:
        context = await self._chromium.new_context(**options)
        context.set_default_timeout(WAIT_SECONDS * 1000)
        uncaught: list[str] = []
        context.on("weberror", lambda error: uncaught.append(str(error.error)))
        try:
            answer = await visit(await context.new_page())
        finally:
            await context.close()
        assert faults or not uncaught, f"the page's scripts failed: {uncaught}"
        return answer


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser for the length of a `with`, its profile in a temporary folder of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="browser")
    thread.start()

    def do(work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return asyncio.run_coroutine_threadsafe(awaited(), loop).result(VISIT_SECONDS)

    try:
        playwright, chromium = do(_launch())
        try:
            yield Browser(chromium, loop)
        finally:
            do(chromium.close())
            do(playwright.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _launch() -> tuple[Playwright, Chromium]:
    playwright = await async_playwright().start()
    try:
        chromium = await playwright.chromium.launch(
            executable_path=program(),
            args=[*_ARGUMENTS],
            # Only pages of these tests are opened, and as root Chromium has no other way.
            chromium_sandbox=False,
        )
    except BaseException:
        await playwright.stop()
        raise
    return playwright, chromium
