"""The admin panel in a real browser, against a real gateway with the sample app's data."""

from __future__ import annotations

import asyncio
import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import expect

from scripts.node import ADMIN
from tests.support.board import copy_board
from tests.support.browser import Browser, Page
from tests.support.gateway import running
from tests.support.panel import (
    PASSWORD,
    Panel,
    axe_is_content,
    first_load,
    picture,
    set_up_link,
)

#: Names and contents that would run, were they not shown as text.
HOSTILE: Final = "<img src=x onerror=alert(1)>"
SCRIPT: Final = "<script>alert(2)</script>{{ constructor.constructor('alert(3)')() }}"
FIRST_LOAD_BYTES: Final = 400 * 1024
MANY: Final = 3_000
_FUNCTION: Final = """
from baas import fn

@fn.event()
async def fragile(ctx, event):
    ctx.log.info("asked", what=event.get("what"))
    if event.get("what") == "break":
        raise ValueError(event.get("words", "broken"))
    return {"got": event}

@fn.event(retries="none")
async def doomed(ctx, event):
    if not event.get("forgiven"):
        raise ValueError("never")
"""
PAGES: Final = {
    "home": "/",
    "data": "/data/posts",
    "rules": "/rules/posts.yaml",
    "functions": "/functions",
    "function": "/functions/fragile?tab=test",
    "files": "/files",
    "users": "/users",
    "push": "/push",
    "settings": "/settings",
    "secrets": "/settings/secrets",
    "keys": "/settings/keys",
    "people": "/settings/people",
    "account": "/settings/account",
    "audit": "/audit",
}
expect.set_options(timeout=15_000)
PHONE: Final[dict[str, Any]] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    folder = copy_board(tmp_path_factory.mktemp("panel") / "app")
    (folder / "functions" / "fragile.py").write_text(_FUNCTION)
    (folder / "rules" / "many.yaml").write_text("collection: many\nrules: {read: doc.n > 0}\n")
    off = {f"BAAS_LIMITS__RATE_{kind}": "off" for kind in ("AUTH", "READ", "WRITE")}
    with running(folder, **off) as gateway:
        started = Panel(gateway)
        seed(started)
        yield started


def seed(panel: Panel) -> None:
    uid = panel.call("/v1/admin/users/create", {"username": "mei", "password": "a long password"})[
        "uid"
    ]
    posts = [
        {"_id": f"post-{n}", "title": f"Bike for sale {n}", "text": "as new", "slug": f"s{n}"}
        for n in range(40)
    ]
    posts += [{"_id": "hostile", "title": HOSTILE, "text": SCRIPT, "slug": "h"}]
    panel.call("/v1/database/posts/insert", {"documents": posts})
    secret = {"$set": {"published": False, "_openid": uid}}
    panel.call("/v1/database/posts/update", {"id": "post-1", "update": secret})
    panel.call(
        "/v1/admin/users/create", {"username": HOSTILE.replace(" ", "/"), "password": "p" * 9}
    )
    broken = {"what": "break", "words": HOSTILE}
    panel.gateway.post("/v1/functions/fragile", broken, token=panel.token)
    upload(panel, f"notes/{HOSTILE}.txt", SCRIPT.encode())
    upload(panel, "pictures/dot.png", _PNG)


_PNG: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8cf"
    "f01f0005000180b5d6a1a80000000049454e44ae426082"
)


def upload(panel: Panel, path: str, content: bytes) -> None:
    answer = panel.gateway.client.post(
        "/v1/storage/upload",
        data={"path": path},
        files={"file": (path.rpartition("/")[2], content)},
        headers={"authorization": f"Bearer {panel.token}"},
    )
    assert answer.status_code == 200, answer.text


# -- getting in ------------------------------------------------------------------------------------


def test_the_printed_link_makes_the_first_account(browser: Browser, tmp_path: Path) -> None:
    async def visit(page: Page) -> None:
        await page.goto(link)
        await axe_is_content(page)
        await picture(page, "set-up")
        await page.get_by_label("Name").fill("ann")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("Password again").fill(PASSWORD)
        await page.get_by_role("button", name="Make account").click()
        await expect(page.get_by_role("link", name="Home")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await axe_is_content(page)
        await picture(page, "sign-in")
        await page.get_by_label("Name").fill("ann")
        await page.get_by_label("Password").fill("wrong horse")
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("alert")).to_contain_text("wrong")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("link", name="Home")).to_be_visible()
        await page.goto(f"{link}x")
        await page.reload()
        await page.goto(link)
        await page.get_by_label("Name").fill("eve")
        await page.get_by_label("Password", exact=True).fill(PASSWORD)
        await page.get_by_label("Password again").fill(PASSWORD)
        await page.get_by_role("button", name="Make account").click()
        await expect(page.get_by_role("alert")).to_contain_text("not valid")

    with running(copy_board(tmp_path / "app")) as gateway:
        link = set_up_link(gateway)
        browser.run(visit, locale="en-GB")


def test_of_several_workers_each_knows_the_link(tmp_path: Path) -> None:
    with running(copy_board(tmp_path / "app"), "--workers", "2") as gateway:
        code = set_up_link(gateway).rpartition("/")[2]
        body = {"code": code, "name": "ann", "password": PASSWORD}
        assert gateway.post("/v1/admin/auth/set-up", body).status_code == 200


def test_an_ended_session_leads_to_sign_in(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        ended = {**panel.session, "token": "bak_0000_" + "A" * 43}
        await panel.open(page, "/users", ended)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()

    browser.run(visit, locale="en-GB")


# -- every page ------------------------------------------------------------------------------------


async def go(page: Page, panel: Panel, name: str) -> None:
    """From one page of the panel to another, as its links do."""
    await page.goto(f"{panel.gateway.url}/admin/#{PAGES[name]}")
    await expect(page.locator("h1").first).to_be_visible()
    await page.wait_for_load_state("networkidle")


def test_every_page_is_there_and_accessible(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        for name in PAGES:
            await go(page, panel, name)
            await axe_is_content(page)
            await picture(page, name)

    browser.run(visit, locale="en-GB", color_scheme="light")


def test_pages_are_accessible_in_the_dark_and_in_chinese(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        await expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        for name in ("home", "data", "rules", "functions", "users", "settings"):
            await go(page, panel, name)
            await axe_is_content(page)
            await picture(page, f"{name}-dark-zh")

    browser.run(visit, locale="zh-CN", color_scheme="dark")


def test_every_page_fits_a_phone(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        for name in PAGES:
            await go(page, panel, name)
            wide = await page.evaluate("document.documentElement.scrollWidth")
            assert wide <= PHONE["viewport"]["width"], name
            await picture(page, f"{name}-phone")

    browser.run(visit, locale="en-GB", **PHONE)


def test_a_phone_has_the_menu_behind_a_button(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        await page.get_by_role("button", name="Menu").click()
        await page.get_by_role("link", name="Users").click()
        await expect(page.get_by_role("heading", name="Users")).to_be_visible()
        await expect(page.get_by_role("dialog")).to_have_count(0)

    browser.run(visit, locale="en-GB", **PHONE)


def test_the_keyboard_leads_everywhere(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/")
        await page.keyboard.press("g")
        await page.keyboard.press("d")
        await expect(page).to_have_url(re.compile("#/data"))
        await page.keyboard.press("Control+k")
        await page.keyboard.type("posts")
        await expect(page.get_by_role("option", name="posts")).to_be_visible()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="posts")).to_be_visible()
        await page.locator('[data-row="0"]').focus()
        await page.keyboard.press("ArrowDown")
        await expect(page.locator('[data-row="1"]')).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)

    browser.run(visit, locale="en-GB")


# -- data ------------------------------------------------------------------------------------------


async def editor(page: Page, label: str) -> Any:
    """The content of an editor, ready to be typed into."""
    content = page.get_by_role("textbox", name=label, exact=True)
    await content.click()
    return content


async def write(page: Page, label: str, text: str) -> None:
    """Replaces what an editor holds, as a paste does."""
    await editor(page, label)
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text(text)


def test_documents_are_inserted_found_edited_and_deleted(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/data/posts")
        await page.get_by_role("button", name="Insert").click()
        await write(page, "Document", '{"_id": "made", "title": "Made here", "text": "t"}')
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved")).to_be_visible()

        await page.get_by_role("button", name="Filter").click()
        await page.get_by_label("Field").fill("title")
        await page.get_by_label("Condition").select_option("contains")
        await page.get_by_label("Value").fill("made")
        await page.get_by_role("button", name="Apply").click()
        row = page.get_by_role("row").filter(has_text="Made here")
        await expect(page.locator("[data-row]")).to_have_count(1)
        await row.click()
        await write(page, "Document", '{"_id": "made", "title": "Made better", "text": 5}')
        await page.keyboard.press("Control+s")
        await expect(page.get_by_role("alert")).to_contain_text("text")
        await write(page, "Document", '{"_id": "made", "title": "Made by hand", "text": "t"}')
        await page.keyboard.press("Control+s")
        await expect(page.get_by_role("row").filter(has_text="Made by hand")).to_be_visible()
        await picture(page, "data-filter")

        await page.get_by_role("row").filter(has_text="Made by hand").click()
        await page.get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").last.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("No documents here")).to_be_visible()

    browser.run(visit, locale="en-GB")
    gone = panel.gateway.post("/v1/database/posts/get", {"id": "made"}, token=panel.token)
    assert gone.status_code == 404


def test_the_grid_scrolls_by_cursor_and_draws_what_is_seen(browser: Browser, panel: Panel) -> None:
    for start in range(0, MANY, 1000):
        documents = [{"_id": f"d{n:06}", "n": n} for n in range(start, start + 1000)]
        panel.call("/v1/database/many/insert", {"documents": documents})
    asked: list[Any] = []

    async def visit(page: Page) -> None:
        page.on(
            "request", lambda one: asked.append(one.post_data_json) if "/find" in one.url else 0
        )
        await panel.open(page, "/data/many")
        grid = page.get_by_role("grid")
        await expect(page.get_by_text("3,000 documents")).to_be_visible()
        for _ in range(60):
            await grid.evaluate("node => node.scrollTo(0, node.scrollHeight)")
            await page.wait_for_timeout(20)  # a person's wheel, no condition to wait for
            if await page.get_by_text("d002999").count():
                break
        await expect(page.get_by_text("d002999")).to_be_visible()
        assert await page.locator("[data-row]").count() < 120

    browser.run(visit, locale="en-GB")
    assert len(asked) >= 4
    assert all("skip" not in one for one in asked)
    assert sum("after" in one for one in asked) == len(asked) - 1


def test_see_as_marks_what_somebody_else_cannot_see(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/data/posts")
        await page.get_by_role("button", name="See as").click()
        await expect(
            page.get_by_text(re.compile(r"^\d+ of \d+ loaded are readable"))
        ).to_be_visible()
        hidden = page.get_by_role("row").filter(has_text="post-1").first
        await expect(hidden).to_have_class(re.compile("unseen"))
        await expect(page.get_by_text("'moderator' in auth.roles")).to_be_visible()
        await axe_is_content(page)
        await picture(page, "data-see-as")

    browser.run(visit, locale="en-GB")


def test_the_live_view_follows_changes(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/data/notices")
        await page.get_by_role("button", name="Live").click()
        await expect(page.get_by_role("button", name="Live")).to_have_attribute(
            "aria-pressed", "true"
        )
        body = {"document": {"_id": "live-1", "text": "Just now", "title": "Just now"}}
        await asyncio.to_thread(panel.call, "/v1/database/notices/insert", body)
        await expect(page.get_by_text("live-1")).to_be_visible()
        await asyncio.to_thread(panel.call, "/v1/database/notices/delete", {"id": "live-1"})
        await expect(page.get_by_text("live-1")).to_have_count(0)

    browser.run(visit, locale="en-GB")


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_what_is_exported_can_be_imported(
    browser: Browser, panel: Panel, tmp_path: Path, form: str
) -> None:
    rows = [
        {
            "_id": f"{form}-1",
            "n": 1,
            "text": 'a "quoted", line\nand more',
            "deep": {"x": [1, None]},
        },
        {
            "_id": f"{form}-2",
            "n": -2.5,
            "text": "12",
            "when": {"$date": "2026-11-20T08:00:00.000Z"},
        },
        {"_id": f"{form}-3", "n": 3, "text": "=1+1", "flag": True, "=a": "\t=2", '"b': "'=3"},
    ]
    panel.call("/v1/database/many/insert", {"documents": rows})
    mine = {"filter": {"_id": {"$in": [one["_id"] for one in rows]}}}

    def stored() -> list[dict[str, Any]]:
        found = panel.call("/v1/database/many/find", mine)["documents"]
        return [{k: v for k, v in one.items() if k not in _SERVER} for one in found]

    async def visit(page: Page) -> None:
        await panel.open(page, "/data/many")
        await page.get_by_role("button", name="Filter").click()
        await page.get_by_label("As JSON").check()
        await page.get_by_role("textbox", name="As JSON").fill(
            f'{{"_id": {{"$regex": "^{form}-"}}}}'
        )
        await page.get_by_role("button", name="Apply").click()
        await expect(page.get_by_text("3 documents")).to_be_visible()
        await page.get_by_role("button", name="Export").click()
        await page.get_by_label(f".{form}").check()
        async with page.expect_download() as download:
            await page.get_by_role("dialog").get_by_role("button", name="Export").click()
        file = tmp_path / f"many.{form}"
        await (await download.value).save_as(file)
        await asyncio.to_thread(panel.call, "/v1/database/many/delete", {**mine, "multi": True})
        await page.get_by_role("button", name="Import").click()
        await page.locator("input[type=file]").set_input_files(file)
        await page.get_by_role("dialog").get_by_role("button", name="Import").click()
        await expect(page.get_by_text("3 documents imported")).to_be_visible()

    before = stored()
    browser.run(visit, locale="en-GB")
    assert stored() == before
    if form == "csv":
        lines = (tmp_path / "many.csv").read_text("utf-8").splitlines(keepends=True)
        cells = [cell for row in csv.reader(lines) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+@\t" and cell]  # nothing would run


_SERVER: Final = ("_createTime", "_updateTime")


# -- rules -----------------------------------------------------------------------------------------


def test_a_rule_is_edited_tried_and_put_in_force(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/rules/many.yaml")
        await write(page, "many.yaml", "collection: many\nrules: {read: doc.n >}\n")
        await expect(page.get_by_text("1 errors")).to_be_visible()
        await expect(page.get_by_role("button", name="Save")).to_be_disabled()
        await picture(page, "rules-error")
        await write(page, "many.yaml", "collection: many\nrules: {read: doc.n < 10}\n")
        await expect(page.get_by_text("no errors")).to_be_visible()
        await page.get_by_role("tab", name="Playground").click()
        await write(page, "Document (doc)", '{"n": 3}')
        await page.get_by_role("button", name="Try").click()
        await expect(page.get_by_role("cell", name="doc.n < 10")).to_be_visible()
        await expect(page.get_by_role("tabpanel").get_by_text("yes").first).to_be_visible()
        await page.get_by_role("button", name="Impact").click()
        await expect(page.get_by_text("documents").first).to_be_visible()
        await picture(page, "rules-impact")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved and in force")).to_be_visible()

    documents = [{"n": n} for n in (3, 9, 12)]
    panel.call("/v1/database/many/insert", {"documents": documents})
    panel.gateway.post("/v1/database/many/find", {})
    browser.run(visit, locale="en-GB")
    found = panel.gateway.post("/v1/database/many/find", {"sort": {"n": -1}, "limit": 1})
    assert found.json()["documents"][0]["n"] == 9


def test_rule_tests_run_with_coverage(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/rules/posts.yaml")
        await page.get_by_role("button", name="Run tests").click()
        await expect(
            page.get_by_role("cell", name=re.compile("posts.test.yaml:")).first
        ).to_be_visible()
        gap = page.get_by_text(re.compile(r"many read: doc\.n .* not reached"))
        await expect(gap).to_be_visible()

    browser.run(visit, locale="en-GB")


# -- functions -------------------------------------------------------------------------------------


def test_a_function_is_called_its_failure_kept_and_replayed(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/functions/fragile")
        await page.get_by_role("tab", name="Test").click()
        await write(page, "Event", '{"what": "work"}')
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_text('"what": "work"').last).to_be_visible()
        await write(page, "Event", '{"what": "break"}')
        await page.get_by_role("button", name="Call").click()
        await expect(page.get_by_text("FUNCTION_FAILED")).to_be_visible()
        await page.get_by_role("tab", name="Failures").click()
        await page.get_by_role("button", name="ValueError broken").first.click()
        await expect(page.get_by_text("Where it failed")).to_be_visible()
        await expect(page.get_by_text(re.compile(r"^fragile.py:8"))).to_be_visible()
        await expect(page.get_by_role("dialog")).to_contain_text("raise ValueError")
        await picture(page, "function-failure")
        await page.get_by_role("dialog").get_by_role("button", name="Replay").click()
        await expect(page.get_by_text("FUNCTION_FAILED").first).to_be_visible()
        await page.keyboard.press("Escape")
        await page.get_by_role("tab", name="Logs").click()
        await page.get_by_label("Words in logs").fill("asked")
        await page.get_by_role("button", name="Search").click()
        await expect(page.locator(".hit").first).to_contain_text("asked")
        await page.get_by_role("button", name="Live").click()
        await page.wait_for_load_state("networkidle")
        await asyncio.to_thread(panel.call, "/v1/functions/fragile", {"what": "followed"})
        await expect(page.get_by_text("followed")).to_be_visible()

    browser.run(visit, locale="en-GB")


def test_a_dead_letter_is_seen_and_tried_again(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/functions?tab=queues")
        row = page.get_by_role("row").filter(has_text="doomed").last
        for _ in range(100):
            await page.get_by_role("button", name="Refresh").click()
            if await row.get_by_role("button", name="Redrive").count():
                break
        await picture(page, "dead-letter")
        await expect(row).to_contain_text("FUNCTION_FAILED")
        await row.get_by_role("button", name="Redrive").click()
        await expect(page.get_by_text("Done").first).to_be_visible()

    answer = panel.gateway.post("/v1/functions/doomed?mode=async", {}, token=panel.token)
    assert answer.status_code == 202, answer.text
    browser.run(visit, locale="en-GB")


def test_a_function_is_edited_in_the_browser_and_rolled_back(
    browser: Browser, panel: Panel
) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/functions/fragile")
        await page.get_by_role("tab", name="Source").click()
        await write(page, "fragile.py", _FUNCTION.replace('{"got": event}', '"second version"'))
        await page.get_by_role("button", name="Deploy").click()
        await expect(page.get_by_text("Deployed and in force")).to_be_visible()
        answer = await asyncio.to_thread(panel.call, "/v1/functions/fragile", {})
        assert answer == "second version"
        await page.get_by_role("button", name="Versions").click()
        await page.get_by_role("button", name="Compare with live").first.click()
        await expect(page.get_by_role("dialog")).to_contain_text("second version")
        await picture(page, "function-diff")
        await page.keyboard.press("Escape")
        await page.get_by_role("button", name="Put in force").first.click()
        await expect(page.get_by_text("In force", exact=True)).to_be_visible()

    browser.run(visit, locale="en-GB")
    assert panel.call("/v1/functions/fragile", {}) == {"got": {}}


# -- files, users, push, settings ------------------------------------------------------------------


def test_a_file_is_uploaded_previewed_linked_and_deleted(
    browser: Browser, panel: Panel, tmp_path: Path
) -> None:
    file = tmp_path / "report.txt"
    file.write_text("quarterly numbers")
    saved = tmp_path / "saved.txt"

    async def visit(page: Page) -> None:
        await panel.open(page, "/files")
        await page.get_by_role("button", name="notes").click()
        await page.locator("input[type=file]").set_input_files(file)
        await expect(page.get_by_text("report.txt is uploaded")).to_be_visible()
        await page.get_by_role("button", name="report.txt", exact=True).click()
        await expect(page.get_by_role("dialog")).to_contain_text("quarterly numbers")
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Download").click()
        await (await download.value).save_as(saved)
        await page.get_by_role("button", name="Copy link").click()
        await expect(page.get_by_text("The link is copied")).to_be_visible()
        link = await page.evaluate("navigator.clipboard.readText()")
        assert (await page.request.get(link)).status == 200
        await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        await page.get_by_role("dialog").last.get_by_role("button", name="Delete").click()
        await expect(page.get_by_role("button", name="report.txt", exact=True)).to_have_count(0)

    permissions = ["clipboard-read", "clipboard-write"]
    browser.run(visit, locale="en-GB", permissions=permissions)
    assert saved.read_text() == "quarterly numbers"


def test_a_user_is_made_given_a_role_and_disabled(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/users")
        await page.get_by_role("button", name="New user").click()
        await page.get_by_label("Name", exact=True).fill("omar")
        await page.get_by_label("Password").fill("a long password")
        await page.get_by_role("button", name="Create").click()
        await page.get_by_role("searchbox").fill("omar")
        await page.get_by_role("link", name="omar").click()
        await page.get_by_label("Role", exact=True).fill("moderator")
        await page.get_by_role("button", name="Give").click()
        await expect(page.get_by_role("button", name="Take the role moderator")).to_be_visible()
        await page.get_by_role("button", name="Disable").click()
        await expect(page.get_by_role("button", name="Enable")).to_be_visible()
        await axe_is_content(page)
        await picture(page, "user")

    browser.run(visit, locale="en-GB")
    (omar,) = panel.call("/v1/admin/users/list", {"text": "omar"})["users"]
    assert (omar["roles"], omar["disabled"]) == (["moderator"], True)


def test_a_message_is_sent_and_connections_are_seen(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/data/notices")
        await page.get_by_role("button", name="Live").click()
        other = await page.context.new_page()
        await panel.open(other, "/push")
        await expect(other.get_by_text("an admin key")).to_be_visible()
        await other.get_by_label("To", exact=True).first.select_option("user")
        await other.get_by_placeholder("uid").fill("u1")
        await other.get_by_role("button", name="Send").click()
        await expect(other.get_by_text("Sent", exact=True)).to_be_visible()

    browser.run(visit, locale="en-GB")


def test_secrets_are_written_and_keys_shown_once(browser: Browser, panel: Panel) -> None:
    async def visit(page: Page) -> None:
        await panel.open(page, "/settings/secrets")
        await page.get_by_label("Name").fill("PAY_KEY")
        await page.get_by_label("Value").fill("sk-very-hidden")
        await page.get_by_role("button", name="Set").click()
        await expect(page.get_by_role("cell", name="PAY_KEY")).to_be_visible()
        assert "sk-very-hidden" not in await page.content()
        await page.get_by_role("tab", name="Keys").click()
        await page.get_by_label("Name").fill("job")
        await page.get_by_label("read").first.check()
        await page.get_by_role("button", name="Make key").click()
        shown = await page.get_by_text(re.compile("^bak_")).inner_text()
        await page.reload()
        await expect(page.get_by_role("cell", name="job", exact=True)).to_be_visible()
        assert shown not in await page.content()
        await page.goto(f"{panel.gateway.url}/admin/#/audit")
        await expect(page.get_by_text("admin.keys.create").first).to_be_visible()

    browser.run(visit, locale="en-GB")


def test_a_viewer_is_shown_no_button_that_would_be_refused(browser: Browser, panel: Panel) -> None:
    body = {"name": "vic", "password": PASSWORD, "role": "viewer"}
    panel.call("/v1/admin/auth/admins/create", body)
    session = panel.call(
        "/v1/admin/auth/sign-in", {"name": "vic", "password": PASSWORD}, token=None
    )

    async def visit(page: Page) -> None:
        await panel.open(page, "/data/posts", session)
        await expect(page.locator('[data-row="0"]')).to_be_visible()
        await expect(page.get_by_role("button", name="Insert")).to_have_count(0)
        for place in ("/users", "/rules/posts.yaml", "/files"):
            await page.goto(f"{panel.gateway.url}/admin/#{place}")
            await expect(page.locator("h1").first).to_be_visible()
            for name in ("New user", "Save", "Upload"):
                await expect(page.get_by_role("button", name=name)).to_have_count(0)

    browser.run(visit, locale="en-GB")


# -- hostile contents ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "click"),
    [
        ("/data/posts", "hostile"),
        ("/users", None),
        ("/files", "notes"),
        ("/functions?tab=failures", None),
    ],
)
def test_hostile_names_and_contents_are_text(
    browser: Browser, panel: Panel, place: str, click: str | None
) -> None:
    """A dialog opened by them fails the visit."""

    async def visit(page: Page) -> None:
        await panel.open(page, place)
        if click is not None:
            await page.get_by_text(click, exact=True).first.click()
        await expect(page.get_by_text("onerror=alert").first).to_be_visible()
        if place == "/files":
            await page.get_by_text("onerror=alert").first.click()
            await expect(page.get_by_role("dialog")).to_contain_text("<script>")
        await page.wait_for_load_state("networkidle")
        assert await page.locator("img[src=x], svg[onload]").count() == 0

    browser.run(visit, locale="en-GB")


# -- what it weighs, and what it may do ------------------------------------------------------------


def test_the_first_load_is_small() -> None:
    files = list(first_load(ADMIN / "dist"))
    weight = sum(len(gzip.compress(path.read_bytes(), 6)) for path in files)
    assert len(files) >= 3
    assert weight < FIRST_LOAD_BYTES


def test_the_page_forbids_scripts_but_its_own(panel: Panel) -> None:
    page = panel.gateway.client.get("/admin/")
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert re.search(r"<script(?![^>]*\bsrc=)", page.text) is None
    assert page.headers["x-frame-options"] == "DENY"


def test_files_of_the_panel_are_served_as_they_should_be(panel: Panel) -> None:
    client = panel.gateway.client
    page = client.get("/admin/")
    script = re.search(r'src="\.(/assets/[^"]+\.js)"', page.text)
    assert script is not None
    asset = client.get(f"/admin{script[1]}")
    assert asset.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in asset.headers["cache-control"]
    again = client.get("/admin/", headers={"if-none-match": page.headers["etag"]})
    assert (again.status_code, page.headers["cache-control"]) == (304, "no-cache")
    assert client.get("/admin", follow_redirects=False).headers["location"] == "/admin/"
    for path in ("/admin/nothing", "/admin/../baas.yaml", "/admin/assets/", "/admin/%2e%2e/x"):
        assert client.get(path).status_code in (404, 400)
    assert client.post("/admin/").status_code == 405
