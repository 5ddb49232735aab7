"""The browser that tests drive does what they count on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.browser import Browser, Page, browsing
from tests.support.gateway import NOTES_APP, Gateway, running, wait_until, write_app


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), NOTES_APP)) as started:
        yield started


def test_it_shows_a_page_of_the_gateway(browser: Browser, gateway: Gateway) -> None:
    async def visit(page: Page) -> str:
        await page.goto(gateway.url)
        return await page.title()

    assert browser.run(visit) == "notes"


def test_it_can_be_used_from_a_running_loop(browser: Browser, gateway: Gateway) -> None:
    async def visit(page: Page) -> object:
        await page.goto(gateway.url)
        return await page.evaluate("fetch('/v1/auth/me').then((answer) => answer.status)")

    async def both() -> list[object]:
        started = [browser.start(visit), browser.start(visit)]
        return await asyncio.gather(*map(asyncio.wrap_future, started))

    assert asyncio.run(both()) == [401, 401]


def test_visits_know_nothing_of_each_other(browser: Browser, gateway: Gateway) -> None:
    async def visit(page: Page) -> object:
        await page.goto(gateway.url)
        return await page.evaluate("[localStorage.n, localStorage.n = 1][0] ?? null")

    assert [browser.run(visit), browser.run(visit)] == [None, None]


def test_what_a_script_does_not_catch_fails_the_test(browser: Browser, gateway: Gateway) -> None:
    async def visit(page: Page) -> None:
        await page.goto(gateway.url)
        async with page.context.expect_event("weberror"):
            await page.evaluate("void setTimeout(() => { throw new Error('broken') }, 0)")

    with pytest.raises(AssertionError, match="broken"):
        browser.run(visit)
    browser.run(visit, faults=True)


def test_it_reaches_the_loopback_alone(browser: Browser, gateway: Gateway) -> None:
    async def visit(page: Page) -> object:
        await page.goto(gateway.url)
        return await page.evaluate(
            "fetch('http://192.0.2.1/', {mode: 'no-cors'}).catch((fault) => fault.name)"
        )

    assert browser.run(visit) == "TypeError"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="processes are looked up in /proc")
def test_it_leaves_no_process_and_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not `tmp_path`: the browser makes a socket in there, whose path may not be long.
    with TemporaryDirectory(prefix="baas-") as name:
        folder = Path(name)
        monkeypatch.setenv("TMPDIR", name)
        with browsing():
            assert _processes_with(folder)
            assert list(folder.iterdir())
        wait_until(lambda: not _processes_with(folder))
        assert list(folder.iterdir()) == []


def _processes_with(folder: Path) -> list[bytes]:
    """The command lines that name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        found += [line] if bytes(folder) in line else []
    return found
