"""The panel's addresses, the way back, and what keeps people from losing what they typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from playwright.async_api import FilePayload, Route, expect
from websockets.sync.client import connect

from tests.support.board import serving_board
from tests.support.browser import Browser, Page
from tests.support.gateway import wait_until
from tests.support.panel import Panel

POSTS: Final = 12


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    with serving_board(tmp_path_factory.mktemp("ways") / "app") as gateway:
        started = Panel(gateway)
        posts = [{"_id": f"p{n:02}", "title": f"Bike {n}", "text": "x"} for n in range(POSTS)]
        started.call("/v1/database/posts/insert", {"documents": posts})
        yield started


def upload(panel: Panel, path: str, content: bytes) -> None:
    answer = panel.gateway.client.post(
        "/v1/storage/upload",
        data={"path": path},
        files={"file": ("file", content, "text/plain")},
        headers={"authorization": f"Bearer {panel.token}"},
    )
    assert answer.status_code == 200, answer.text


def post(panel: Panel, id: str) -> Any:
    return panel.call("/v1/database/posts/get", {"id": id})


async def write(page: Page, label: str, text: str) -> None:
    """Replaces what an editor holds, as a paste does."""
    await page.get_by_role("textbox", name=label, exact=True).click()
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text(text)


def test_what_is_typed_into_an_editor_is_no_shortcut(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/rules/posts.yaml")
        await page.get_by_role("textbox", name="posts.yaml").click()
        await page.keyboard.press("Control+End")
        await page.keyboard.type("# gd /? gu")
        await expect(page.get_by_text("# gd /? gu")).to_be_visible()
        await expect(page).to_have_url(re.compile("#/rules/posts.yaml$"))
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await page.get_by_role("link", name="Home").click()
        await page.get_by_role("button", name="Cancel").click()
        await expect(page.get_by_text("# gd /? gu")).to_be_visible()
        await page.get_by_role("link", name="Home").click()
        await page.get_by_role("button", name="Leave").click()
        await expect(page.get_by_role("heading", name="board")).to_be_visible()

    browser.run(visit, locale="en-GB")


def test_an_address_holds_filter_order_and_document(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        rows = page.locator("[data-row]")
        await panel.open(page, '/data/posts?rows=[["title","contains","bike 1"]]&sort=-title')
        await expect(rows).to_have_count(3)
        await expect(rows.first).to_contain_text("Bike 11")
        await rows.nth(2).click()
        await expect(page).to_have_url(re.compile("doc=p01"))
        await page.go_back()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(rows).to_have_count(3)
        await page.go_forward()
        await expect(page.get_by_role("dialog")).to_contain_text("p01")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Clear").click()
        await expect(rows).to_have_count(POSTS)
        await expect(page).to_have_url(re.compile(r"#/data/posts\?sort=-title$"))
        await page.get_by_role("link", name="comments").click()
        await expect(page).to_have_url(re.compile("#/data/comments$"))

    browser.run(visit, locale="en-GB")


def test_nobodys_edit_is_lost_to_anothers(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/data/posts?doc=p05")
        edit = '{"_id": "p05", "title": "Mine", "text": "x"}'
        await write(page, "Document", edit)
        body = {"id": "p05", "update": {"$set": {"title": "Theirs"}}}
        panel.call("/v1/database/posts/update", body)
        await page.keyboard.press("Control+s")
        await expect(page.get_by_role("alert")).to_contain_text("Somebody has changed")
        assert post(panel, "p05")["title"] == "Theirs"
        await page.go_back()  # also when the way back would leave it behind
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="Take theirs").click()
        await expect(page.get_by_text('"Theirs"')).to_be_visible()
        await write(page, "Document", edit)
        await page.keyboard.press("Control+s")
        await expect(page.get_by_text("Saved")).to_be_visible()
        await expect(page.get_by_role("dialog")).to_have_count(0)

    browser.run(visit, locale="en-GB")
    assert post(panel, "p05")["title"] == "Mine"
    entry = panel.call("/v1/admin/audit", {"action": "database.transaction"})["entries"][0]
    assert '"id":"p05"' in entry["details"]["expect"]


def test_home_and_push_show_what_is_asked_of_them(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        for chart in ("Requests", "Latency", "Connections", "Queues", "Data folder"):
            await expect(page.get_by_role("heading", name=chart)).to_be_visible()
        await page.goto(f"{panel.gateway.url}/admin/#/push")
        lobby = page.get_by_role("button", name="lobby")
        await expect(lobby).to_be_visible()
        await lobby.click()
        await expect(page.get_by_text("Nobody is seen there")).to_be_visible()

    address = f"{panel.gateway.url.replace('http', 'ws')}/v1/realtime"
    with connect(address, proxy=None) as socket:
        socket.send('{"type": "auth", "token": null}')
        socket.recv()
        socket.send('{"type": "join", "id": "l", "channel": "lobby"}')
        socket.recv()
        browser.run(visit, locale="en-GB")


def test_a_file_is_replaced_only_if_that_is_wanted(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/files?in=notes/")
        await expect(page.get_by_role("button", name="a.txt")).to_be_visible()
        chosen = FilePayload(name="a.txt", mimeType="text/plain", buffer=b"second")
        await page.locator("input[type=file]").set_input_files(chosen)
        await page.get_by_role("button", name="Cancel").click()
        await page.get_by_role("button", name="a.txt").click()
        await expect(page.get_by_text("first")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.locator("input[type=file]").set_input_files(chosen)
        await page.get_by_role("button", name="Replace").click()
        await expect(page.get_by_text("a.txt is uploaded")).to_be_visible()
        await page.get_by_role("button", name="a.txt").click()
        await expect(page.get_by_text("second")).to_be_visible()
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="/", exact=True).click()
        await expect(page.get_by_role("button", name="notes")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("button", name="a.txt")).to_be_visible()

    upload(panel, "notes/a.txt", b"first")
    browser.run(visit, locale="en-GB")


def test_a_page_of_the_build_before_is_loaded_anew(browser: Browser, panel: Panel) -> None:
    gone: list[str] = []

    async def visit(page: Page) -> None:
        async def replaced(route: Route) -> None:
            if gone:
                await route.continue_()
            else:
                gone.append(route.request.url)
                await route.fulfill(status=404)

        await panel.open(page, "/")
        await page.route(re.compile("/assets/Users-"), replaced)
        await page.get_by_role("link", name="Users").click()
        await expect(page.get_by_role("heading", name="Users")).to_be_visible()

    browser.run(visit, locale="en-GB")
    assert len(gone) == 1


# -- actions that are asked for once in a while ----------------------------------------------------


def test_a_second_version_is_given_a_share_of_the_calls(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/functions?tab=versions")
        await page.get_by_label("Share of calls").fill("25")
        await page.get_by_role("button", name="Give 25%").first.click()
        await expect(page.get_by_text("live 75%")).to_be_visible()
        await expect(page.get_by_text("live 25%")).to_be_visible()
        await page.get_by_role("button", name="Compare with live").first.click()
        await expect(page.get_by_role("dialog")).to_contain_text("# another version")

    file = panel.gateway.folder / "functions" / "posts.py"
    file.write_text(f"{file.read_text('utf-8')}\n# another version\n")
    wait_until(lambda: len(panel.read("/v1/admin/functions/versions")["versions"]) == 2)
    browser.run(visit, locale="en-GB")
    live = panel.read("/v1/admin/functions")["aliases"]["live"]["versions"]
    assert sorted(one["weight"] for one in live) == [0.25, 0.75]


def test_a_backup_is_made_at_once(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/settings/backup")
        await expect(page.get_by_text("No backups yet.")).to_be_visible()
        await page.get_by_role("button", name="Back up now").click()
        await expect(page.locator("td", has_text=".tar")).to_be_visible()

    browser.run(visit, locale="en-GB")
    (made,) = panel.read("/v1/admin/backup")["files"]
    assert made["bytes"] > 0


def test_a_rule_is_completed_and_told_its_index(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/rules/posts.yaml")
        await page.get_by_role("textbox", name="posts.yaml").click()
        await page.keyboard.press("Control+End")
        await page.keyboard.type("\n  note2: {read: auth.log")
        await page.get_by_role("option", name="auth.loginType").click()
        await expect(page.locator(".cm-line", has_text="auth.loginType")).to_be_visible()
        await page.get_by_role("tab", name="Playground").click()
        await page.get_by_label("Caller").fill("u1")
        await page.get_by_role("button", name="Try").click()
        await expect(page.get_by_text("USING INDEX").first).to_be_visible()

    browser.run(visit, locale="en-GB")
