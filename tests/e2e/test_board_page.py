"""The sample app's page in a real browser, as a newcomer meets it after `make run`."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.async_api import expect

from tests.support.board import serving_board
from tests.support.browser import Browser, Page
from tests.support.gateway import ROOT, Gateway
from tests.support.panel import axe_is_content

#: Pictures for people to look at; not in the repository.
PICTURES: Final = ROOT / "tmp" / "board-screenshots"
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1180, "height": 860}
MARKUP: Final = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving_board(tmp_path_factory.mktemp("page") / "app") as gateway:
        yield gateway


def picture(red: int, green: int, blue: int, side: int = 320) -> bytes:
    """A PNG of one colour, lighter to the right."""
    row = b"".join(
        bytes(min(255, part + 90 * x // side) for part in (red, green, blue)) for x in range(side)
    )
    raw = (b"\0" + row) * side
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(raw)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


async def shot(page: Page, name: str) -> None:
    await page.screenshot(path=PICTURES / f"{name}.png", animations="disabled")


async def opened(page: Page, board: Gateway) -> Page:
    """The page once it shows its list."""
    await page.goto(board.url)
    await page.locator("#posts > *").first.wait_for()
    return page


async def write(page: Page, title: str, text: str, *pictures: bytes) -> None:
    await page.fill("[name=title]", title)
    await page.fill("[name=text]", text)
    if pictures:
        files: Any = [
            {"name": f"{place}.png", "mimeType": "image/png", "buffer": content}
            for place, content in enumerate(pictures)
        ]
        await page.set_input_files("[name=pictures]", files)
    await page.click("#post")
    await page.locator("article h3", has_text=title).first.wait_for()


async def sign_up(page: Page, name: str, account: str) -> None:
    await page.click("#account")
    await page.fill("dialog [name=nickname]", name)
    await page.fill("dialog [name=username]", account)
    await page.fill("dialog [name=password]", "correct horse")
    await shot(page, f"sign-up-{account}")
    await page.click("dialog .button")
    await page.locator("#account", has_text=name).wait_for()


def test_a_newcomer_finds_their_way(browser: Browser, board: Gateway) -> None:
    """Posts as a guest, gets an account and keeps the post; another window sees it all live."""

    async def visit(page: Page) -> None:
        await opened(page, board)
        assert await page.locator(".empty").is_visible()
        other = await opened(await page.context.browser.new_page(), board)  # type: ignore[union-attr]
        try:
            await together(page, other)
        finally:
            await other.context.close()

    async def together(page: Page, other: Page) -> None:
        await write(page, "Hello, board", "My first post.\nIt has two lines.")
        card = other.locator("article", has=other.locator("h3", has_text="Hello, board"))
        await card.wait_for()
        await sign_up(page, "Ann", "ann-page")
        assert await page.locator("article .plain[title=Delete]").count() == 1
        garden = picture(40, 110, 60), picture(150, 60, 30)
        await write(page, "Two pictures", "From the garden.", *garden)
        await expect(other.locator(".pictures img")).to_have_count(2)
        await other.evaluate("Promise.all(Array.from(document.images, (one) => one.decode()))")
        await card.locator(".like").click()
        await page.locator(".like", has_text="1").wait_for()
        await other.locator(".like.on", has_text="1").wait_for()
        await card.get_by_text("Comments").click()
        await card.locator("input").fill(MARKUP)
        await card.locator("input").press("Enter")
        await card.locator(".comments p", has_text="<script>").wait_for()
        await page.locator(".here .count", has_text="2").wait_for()
        mine = page.locator("article", has=page.locator("h3", has_text="Hello, board"))
        await mine.get_by_text("Comments").click()
        await mine.locator(".comments p", has_text="onerror").wait_for()
        await card.locator("input").press_sequentially("so")
        await mine.locator(".typing", has_text="typing").wait_for()
        await mine.locator(".reading .count", has_text="2").wait_for()
        assert await page.evaluate("window.hit") is None
        await page.fill("#search", "GARDEN")
        await expect(page.locator("article")).to_have_count(1)
        await page.fill("#search", "")
        await expect(page.locator("article")).to_have_count(2)

    browser.run(visit, viewport=DESK, locale="en-GB")
    assert not [line for line in board.log() if line["level"] == "error"]


@pytest.mark.parametrize(
    ("scheme", "size", "locale"),
    [
        ("light", DESK, "en-GB"),
        ("dark", PHONE, "zh-CN"),
        ("light", PHONE, "en-GB"),
    ],
)
def test_it_fits_every_screen(
    browser: Browser, board: Gateway, scheme: Any, size: Any, locale: str
) -> None:
    async def visit(page: Page) -> None:
        asked: list[str] = []
        page.on("console", lambda message: asked.append(message.text))
        await opened(page, board)
        if "article" not in await page.inner_html("#posts"):
            await write(page, "Long words", "unbreakable" * 30)
        await page.locator(
            "article .plain", has_text="评论" if locale == "zh-CN" else "Comments"
        ).first.click()
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width <= size["width"]
        assert ("新鲜事" in await page.content()) == (locale == "zh-CN")
        await shot(page, f"{scheme}-{size['width']}-{locale}")
        await axe_is_content(page)
        await page.click("#account")
        await page.locator("dialog[open]").wait_for()
        await shot(page, f"{scheme}-{size['width']}-{locale}-dialog")
        await axe_is_content(page)
        assert asked == []

    browser.run(visit, viewport=size, color_scheme=scheme, locale=locale)


def test_who_comes_back_to_a_server_that_forgot_them_is_a_guest(
    browser: Browser, board: Gateway
) -> None:
    """As after `rm -rf data`: the browser still has a session, and nobody knows it."""

    async def visit(page: Page) -> None:
        await opened(page, board)
        forgotten = """() => {
          const kept = JSON.parse(localStorage['baas.board'])
          kept.accessToken = kept.refreshToken = 'forgotten.by.all'
          localStorage['baas.board'] = JSON.stringify(kept)
        }"""
        await page.evaluate(forgotten)
        await opened(page, board)
        await write(page, "Still here", "As somebody else.")
        assert await page.locator(".toast").all_inner_texts() == []

    browser.run(visit, locale="en-GB")


def test_a_server_that_is_away_is_said(browser: Browser, board: Gateway) -> None:
    async def visit(page: Page) -> None:
        await opened(page, board)
        await page.route("**/v1/database/posts/insert", lambda route: route.abort())
        await page.fill("[name=title]", "Lost")
        await page.fill("[name=text]", "Or not?")
        await page.click("#post")
        await page.locator(".toast", has_text="cannot be reached").wait_for()
        # What was written is still there.
        assert await page.input_value("[name=title]") == "Lost"

    browser.run(visit, locale="en-GB")


def test_its_sdk_is_what_the_generated_sdk_builds_to() -> None:
    command = [sys.executable, "-m", "scripts.page", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
