"""The TypeScript SDK in a real browser: the same scenario, and what only browsers have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.node import FOLDER
from tests.support.browser import Browser, Page
from tests.support.gateway import Gateway
from tests.support.node import tool

ENTRY: Final = FOLDER.parent / "inside" / "web.ts"
PICTURE: Final = 1_900_000


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page's own build: one script, of ES2019."""
    out = tmp_path_factory.mktemp("web") / "web.js"
    form = ("--format=iife", "--global-name=inside", "--target=es2019", "--log-level=error")
    tool("esbuild", ENTRY, "--bundle", *form, f"--outfile={out}")
    return f"{out.read_text()}\nwindow.inside = inside"


async def opened(page: Page, board: Gateway, script: str) -> Page:
    """An empty page of the gateway's origin, with the script in it."""
    await page.add_init_script(script)
    await page.goto(f"{board.url}/healthz")
    return page


@pytest.mark.parametrize("transport", ["socket", "poll"])
def test_the_scenario_in_a_browser(
    browser: Browser, board: Gateway, script: str, scenario: Path, transport: str
) -> None:
    text = scenario.read_text()

    async def visit(page: Page) -> int:
        await opened(page, board, script)
        run = "([url, text, transport]) => inside.scenario(url, text, transport)"
        steps: int = await page.evaluate(run, [board.url, text, transport])
        return steps

    assert browser.run(visit) == len(json.loads(text)["steps"])


def test_a_session_outlives_the_page(browser: Browser, board: Gateway, script: str) -> None:
    async def visit(page: Page) -> tuple[str, str, dict[str, Any]]:
        await opened(page, board, script)
        sign_in = "inside.client(location.origin).auth().signInAnonymously()"
        first = (await page.evaluate(sign_in))["uid"]
        await page.reload()
        again = (await page.evaluate("inside.client(location.origin).auth().me()"))["uid"]
        path = f"avatars/{again}/big.png"
        moved = await page.evaluate("([path, size]) => inside.upload(path, size)", [path, PICTURE])
        return first, again, moved

    first, again, moved = browser.run(visit)
    assert first == again
    assert moved["size"] == moved["back"] == moved["parts"][-1] == PICTURE
    assert moved["told"] == sorted(moved["told"])
    assert moved["told"][-1] == 1


def test_tabs_share_one_session(browser: Browser, board: Gateway, script: str) -> None:
    """A refresh token works once: what one tab has traded, the other must not trade again."""

    async def visit(page: Page) -> None:
        await opened(page, board, script)
        person = {"username": "two-tabs", "password": "correct horse"}
        start = "window.cloud = inside.client(location.origin), undefined"
        await page.evaluate(start)
        await page.evaluate("(person) => cloud.auth().signUp(person)", person)
        other = await opened(await page.context.new_page(), board, script)
        await other.evaluate(start)
        for tab in (page, page, page, other, other, page):
            await tab.evaluate("cloud.auth().token().then((token) => cloud.auth().renew(token))")
            assert (await tab.evaluate("cloud.auth().me()"))["username"] == "two-tabs"
        await page.evaluate("cloud.auth().signOut()")
        await other.wait_for_function("cloud.auth().currentUser === null")

    browser.run(visit)


def test_tabs_without_a_network_send_each_write_once(
    browser: Browser, board: Gateway, script: str
) -> None:
    """Both tabs find all that waits in the store that they share, and both send it."""

    async def visit(page: Page) -> None:
        await opened(page, board, script)
        other = await opened(await page.context.new_page(), board, script)
        start = "window.cloud = inside.client(location.origin, true), undefined"
        await page.evaluate(start)
        await page.evaluate("cloud.auth().signInAnonymously()")
        made = "cloud.database().collection('drafts').doc('tabs').set({ title: 'tabs', log: [] })"
        await page.evaluate(made)
        await other.evaluate(start)
        await page.context.set_offline(True)
        for tab, letters in ((page, ["a", "b"]), (other, ["c", "d"]), (page, ["e"])):
            mark = "(letters) => inside.marks(cloud, 'tabs', letters)"
            answers = await tab.evaluate(mark, letters)
            assert all(answer["queued"] for answer in answers)
        assert len(await other.evaluate("cloud.offline.list()")) == 5
        await page.context.set_offline(False)
        await page.evaluate("cloud.offline.flush()")
        await other.wait_for_function("cloud.offline.list().length === 0")
        log = "cloud.database().collection('drafts').doc('tabs').get().then(({ data }) => data.log)"
        assert await page.evaluate(log) == ["a", "b", "c", "d", "e"]

    browser.run(visit)
