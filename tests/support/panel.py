"""The admin panel in a browser: signed in, looked at by axe, kept as pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from playwright.async_api import Page, expect

from scripts.node import ADMIN, install
from tests.support.gateway import ROOT, Gateway

#: Pictures for people to look at; CI keeps them.
PICTURES: Final = ROOT / "tmp" / "admin-screenshots"
PASSWORD: Final = "correct horse"
_CODE: Final = re.compile(r"/admin/#/set-up/(\S+)")
#: What keeps people out, and not what could be nicer.
_SERIOUS: Final = ("serious", "critical")
_RUN_AXE: Final = """async () => {
  const found = await axe.run(document, {resultTypes: ['violations']})
  return found.violations.map((one) => [
    one.impact, one.id, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200)),
  ])
}"""


def set_up_link(gateway: Gateway) -> str:
    """The one-time link that the gateway printed, from behind the address."""
    assert gateway.process.stdout is not None
    for line in gateway.process.stdout:
        if match := _CODE.search(line):
            return f"{gateway.url}{match[0]}"
    raise AssertionError("no link was printed")


class Panel:
    """`session` is that of an owner named ann."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.link = set_up_link(gateway)
        body = {"code": self.link.rpartition("/")[2], "name": "ann", "password": PASSWORD}
        self.session = self.call("/v1/admin/auth/set-up", body, token=None)
        self.token: str = self.session["token"]

    def call(self, path: str, body: Any = None, token: str | None = "") -> Any:
        answer = self.gateway.post(path, body, token=self.token if token == "" else token)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read(self, path: str) -> Any:
        headers = {"authorization": f"Bearer {self.token}"}
        answer = self.gateway.client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def open(self, page: Page, place: str, session: Any = None) -> None:
        """Goes to a place of the panel, signed in; a fault of the page's policy fails the test."""
        kept = json.dumps(msgspec.json.encode(session or self.session).decode())
        await page.add_init_script(f"sessionStorage.setItem('baas.admin.session', {kept});{_WATCH}")
        page.on("console", _policy_holds)
        page.on("dialog", _no_dialog)
        await page.goto(f"{self.gateway.url}/admin/#{place}")
        await expect(page.locator("h1").first).to_be_visible()


#: What a person types over a selection is given the selection's style by the browser, as an
#: attribute, which the policy refuses; the editor puts it right. All else is a fault of the page.
_WATCH: Final = """
document.addEventListener('securitypolicyviolation', (found) => {
  const typed = found.violatedDirective === 'style-src-attr' && found.target.shadowRoot
  if (!typed) console.error('POLICY', found.violatedDirective, found.blockedURI)
})
"""


def _policy_holds(message: Any) -> None:
    assert not message.text.startswith("POLICY"), message.text


async def _no_dialog(dialog: Any) -> None:
    raise AssertionError(f"a script of the data ran: {dialog.message}")


async def picture(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


async def axe_is_content(page: Page) -> None:
    """No serious accessibility fault, by axe-core's rules."""
    script = install(ADMIN) / "node_modules" / "axe-core" / "axe.min.js"
    await page.evaluate(script.read_text("utf-8"))
    found = await page.evaluate(_RUN_AXE)
    serious = [one for one in found if one[0] in _SERIOUS]
    assert not serious, serious


def first_load(dist: Path) -> Iterator[Path]:
    """The files that the sign-in page needs: what the page names, and what those import."""
    todo = [dist / "index.html"]
    seen: set[Path] = set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        yield path
        text = path.read_text("utf-8")
        if path.suffix == ".html":
            names = re.findall(r'(?:src|href)="\./([^"]+)"', text)
            todo += [dist / name for name in names]
        elif path.suffix == ".js":
            names = re.findall(r'(?:from|import)\s*["`\']\./([^"`\']+\.js)["`\']', text)
            todo += [path.parent / name for name in names]
