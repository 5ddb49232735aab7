"""Files from pages in a real browser: forms with progress, signed uploads, ranges, pictures, and
scripts that strangers uploaded."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image
from playwright.async_api import Error as PlaywrightError

from tests.support.browser import Browser, Page
from tests.support.gateway import Gateway, running, write_app
from tests.support.s3 import Server, open_to_pages, server_names

RULES: Final = """
- path: own/{uid}/{file...}
  read: auth.uid == params.uid
  write: auth.uid == params.uid
- path: shelf/{file...}
  read: true
  write: true
"""
#: What a page of an app does, without any library.
SCRIPT: Final = """
async function signIn(base) {
  const answer = await fetch(base + '/v1/auth/sign-in/anonymous', {
    method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})
  const {accessToken, user} = await answer.json()
  return {token: accessToken, uid: user.uid}
}
async function call(base, path, body, token) {
  const headers = {'content-type': 'application/json'}
  if (token) headers.authorization = 'Bearer ' + token
  const answer = await fetch(base + '/v1/storage/' + path, {
    method: 'POST', headers, body: JSON.stringify(body)})
  return answer.json()
}
function send(url, fields, file, token, seen) {
  return new Promise((resolve, reject) => {
    const form = new FormData()
    for (const name in fields) form.append(name, fields[name])
    form.append('file', file)
    const request = new XMLHttpRequest()
    request.open('POST', url)
    if (token) request.setRequestHeader('authorization', 'Bearer ' + token)
    request.upload.onprogress = (event) => seen && seen.push([event.loaded, event.total])
    request.onload = () => resolve([request.status, request.responseText])
    request.onerror = () => reject(new Error('the upload broke off'))
    request.send(form)
  })
}
function someBytes(size) {
  const data = new Uint8Array(size)
  for (let at = 0; at < size; at += 65536) crypto.getRandomValues(data.subarray(at, at + 65536))
  return data
}
async function hashOf(data) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', data))
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
"""
APP: Final = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_storage.yaml": RULES,
    "public/index.html": "<!doctype html><title>files</title><script src=app.js></script>\n",
    "public/app.js": SCRIPT,
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), APP)) as started:
        yield started


@pytest.fixture(scope="module", params=["local", *server_names()])
def any_gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """One for each kind of store; pages may speak to those of S3."""
    environment = {}
    if request.param != "local":
        server: Server = request.getfixturevalue("s3_servers")(request.param)
        environment = server.environment()
        open_to_pages(server, environment["BAAS_STORAGE__S3_BUCKET"])
    with running(write_app(tmp_path_factory.mktemp("app"), APP), **environment) as started:
        yield started


def upload(gateway: Gateway, path: str, data: bytes, kind: str) -> None:
    answer = gateway.client.post(
        "/v1/storage/upload", data={"path": path}, files={"file": ("x", data, kind)}
    )
    assert answer.status_code == 200, answer.text


def on_page(browser: Browser, url: str, script: str, **values: Any) -> Any:
    """What `script`, the body of an async function of `values`, returns on the app's page."""

    async def visit(page: Page) -> Any:
        await page.goto(url)
        return await page.evaluate(
            f"async ({{{', '.join(values)}}}) => {{ {script} }}", dict(values)
        )

    return browser.run(visit)


# -- up and down ----------------------------------------------------------------------------------


def test_a_form_shows_its_progress_and_what_it_sent_comes_back(
    browser: Browser, gateway: Gateway
) -> None:
    found = on_page(
        browser,
        gateway.url,
        """
        const {token, uid} = await signIn('')
        const data = someBytes(8 * 1024 * 1024), seen = []
        const path = `own/${uid}/猫 1.bin`
        const file = new File([data], 'f', {type: 'image/x-cat'})
        const [status, text] = await send('/v1/storage/upload', {path}, file, token, seen)
        const headers = {authorization: 'Bearer ' + token}
        const url = '/v1/storage/files/' + encodeURI(path)
        const whole = await fetch(url, {headers})
        const part = await fetch(url, {headers: {...headers, range: 'bytes=10-19'}})
        return {
          status, file: JSON.parse(text), seen, sent: await hashOf(data),
          got: await hashOf(await whole.arrayBuffer()), type: whole.headers.get('content-type'),
          part: [part.status, part.headers.get('content-range'), (await part.blob()).size],
          stranger: (await fetch(url)).status,
        }
        """,
    )
    assert found["status"] == 200
    assert found["file"]["hash"] == found["sent"] == found["got"]
    assert found["type"] == found["file"]["contentType"] == "image/x-cat"
    assert found["part"] == [206, f"bytes 10-19/{8 * 1024 * 1024}", 10]
    assert found["stranger"] == 404
    loaded, total = found["seen"][-1]
    assert loaded == total > 8 * 1024 * 1024


def test_a_page_of_another_origin_reads_what_it_needs(browser: Browser, gateway: Gateway) -> None:
    upload(gateway, "shelf/x.txt", b"0123456789", "text/plain")
    found = on_page(
        browser,
        gateway.url.replace("127.0.0.1", "localhost"),
        """
        const {token, uid} = await signIn(base)
        const answer = await fetch(base + '/v1/storage/files/shelf/x.txt',
          {headers: {authorization: 'Bearer ' + token, range: 'bytes=2-4'}})
        const names = ['content-range', 'etag', 'content-disposition', 'accept-ranges']
        const form = await send(base + '/v1/storage/upload', {path: `own/${uid}/x`},
          new Blob(['x']), token)
        return {text: await answer.text(), form: form[0],
          headers: names.map((name) => answer.headers.get(name))}
        """,
        base=gateway.url,
    )
    assert (found["text"], found["form"]) == ("234", 200)
    assert found["headers"][0] == "bytes 2-4/10"
    assert all(found["headers"])


def test_a_signed_upload_goes_where_it_leads_and_is_completed(
    browser: Browser, any_gateway: Gateway
) -> None:
    found = on_page(
        browser,
        any_gateway.url,
        """
        const {token, uid} = await signIn('')
        const data = someBytes(6 * 1024 * 1024), seen = [], path = `own/${uid}/film.mp4`
        const wanted = {path, operation: 'upload', size: data.length, contentType: 'video/mp4'}
        const [signed] = (await call('', 'sign', {files: [wanted]}, token)).files
        const file = new File([data], 'film', {type: 'video/mp4'})
        const [status] = await send(signed.url, signed.fields, file, null, seen)
        const before = await call('', 'stat', {path}, token)
        const file1 = await call('', `uploads/${signed.uploadId}/complete`, {}, token)
        const [link] = (await call('', 'sign', {files: [{path}]}, token)).files
        const whole = await fetch(link.url)
        const part = await fetch(link.url, {headers: {range: 'bytes=-7'}})
        return {
          status, seen, before: before.code, file: file1, url: link.url, origin: signed.url,
          sent: await hashOf(data), got: await hashOf(await whole.arrayBuffer()),
          part: [part.status, (await part.blob()).size],
        }
        """,
    )
    assert found["status"] in (200, 201, 204)
    assert found["seen"]
    assert found["before"] == "NOT_FOUND"
    assert found["file"]["hash"] == found["sent"] == found["got"]
    assert found["file"]["contentType"] == "video/mp4"
    assert found["part"] == [206, 7]
    local = any(Path(any_gateway.data, "storage", "blobs").glob("*/*"))
    assert found["url"].startswith(any_gateway.url) == local
    assert found["origin"].startswith(any_gateway.url) == local


def test_a_link_saves_the_file_under_its_name(browser: Browser, any_gateway: Gateway) -> None:
    data = os.urandom(300_000)
    upload(any_gateway, "shelf/猫 & co.zip", data, "application/zip")
    signed = any_gateway.post("/v1/storage/sign", {"files": [{"path": "shelf/猫 & co.zip"}]})
    (link,) = signed.json()["files"]

    async def visit(page: Page) -> tuple[str, bytes]:
        await page.goto(any_gateway.url)
        async with page.expect_download() as started:
            await page.evaluate("(url) => { location.href = url }", link["url"])
        download = await started.value
        saved = Path(await download.path())
        return download.suggested_filename, await asyncio.to_thread(saved.read_bytes)

    name, saved = browser.run(visit)
    assert name == "猫 & co.zip"
    assert saved == data


def test_an_abandoned_upload_leaves_nothing(browser: Browser, gateway: Gateway) -> None:
    """A page that is left while its form is being sent."""
    found = on_page(
        browser,
        gateway.url,
        """
        const {token, uid} = await signIn('')
        const form = new FormData()
        form.append('path', `own/${uid}/x`)
        form.append('file', new Blob(Array(16).fill(someBytes(16 * 1024 * 1024))))
        const request = new XMLHttpRequest()
        request.open('POST', '/v1/storage/upload')
        request.setRequestHeader('authorization', 'Bearer ' + token)
        const left = new Promise((resolve) => { request.onabort = resolve })
        request.upload.onprogress = () => request.abort()
        request.send(form)
        await left
        return (await call('', 'list', {prefix: `own/${uid}/`}, token)).files
        """,
    )
    assert found == []


def test_a_picture_comes_small_and_in_the_browsers_own_format(
    browser: Browser, gateway: Gateway
) -> None:
    made = io.BytesIO()
    Image.new("RGB", (1200, 800), (20, 120, 220)).save(made, "PNG")
    upload(gateway, "shelf/sky.png", made.getvalue(), "image/png")

    async def visit(page: Page) -> tuple[object, str | None]:
        await page.goto(gateway.url)
        async with page.expect_response("**/sky.png?*") as coming:
            sides = await page.evaluate(
                """async () => {
                  const image = new Image()
                  image.src = '/v1/storage/files/shelf/sky.png?w=300&format=auto'
                  await image.decode()
                  return [image.naturalWidth, image.naturalHeight]
                }"""
            )
        return sides, await (await coming.value).header_value("content-type")

    assert browser.run(visit) == ([300, 200], "image/webp")


# -- scripts of strangers -------------------------------------------------------------------------

_MARK: Final = "new Image().src='/ran'; fetch('/ran'); try { top.ran = 1 } catch {}"
_HTML: Final = f"<!doctype html><title>ran</title><script>{_MARK}</script>".encode()
_SVG: Final = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{_MARK}</script></svg>'.encode()
_XML: Final = (
    f'<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml">'
    f"<h:script>{_MARK}</h:script></x>"
).encode()
#: A picture by its first bytes, a script by what follows.
_POLYGLOT: Final = f"GIF89a=1;{_MARK}".encode()

#: (name, type that the uploader says, bytes)
UPLOADED: Final = (
    ("page.html", "text/html", _HTML),
    ("page.svg", "image/svg+xml", _SVG),
    ("page.xml", "application/xml", _XML),
    ("page.xhtml", "application/xhtml+xml", _XML),
    ("page.html.txt", "text/plain", _HTML),
    ("page.png", "image/png", _HTML),
    ("page.gif", "image/gif", _POLYGLOT),
    ("page.mp4", "video/mp4", _HTML),
    ("page", "application/octet-stream", _HTML),
    ("page.mht", "multipart/related", _HTML),
)
#: What a page of the app may do with an address: the element, and its attribute.
WAYS: Final = {
    "in a frame": ("iframe", "src"),
    "as an object": ("object", "data"),
    "embedded": ("embed", "src"),
    "as a picture": ("img", "src"),
    "as a script": ("script", "src"),
}
#: Resolves once each is loaded, refused, or a download, of which a page hears nothing.
_EMBED: Final = """
([addresses, kind, name]) => Promise.all(addresses.map((address) => new Promise((resolve) => {
  const element = document.createElement(kind)
  element.onload = element.onerror = resolve
  element[name] = address
  document.body.append(element)
  setTimeout(resolve, 1000)
})))
"""


@pytest.fixture(scope="module")
def uploaded(gateway: Gateway) -> list[str]:
    """The addresses of all of them."""
    addresses = []
    for place, (name, kind, data) in enumerate(UPLOADED):
        path = f"shelf/{place}/{name}"
        upload(gateway, path, data, kind)
        addresses.append(f"{gateway.url}/v1/storage/files/{path}")
    return addresses


async def embedded(page: Page, gateway: Gateway, addresses: list[str], way: str) -> list[str]:
    """What the scripts asked for and set where a page of the app uses these addresses."""
    ran = asked_for(page)
    await page.goto(gateway.url)
    await page.evaluate(_EMBED, [addresses, *WAYS[way]])
    if await page.evaluate("window.ran") is not None:
        ran.append("the page itself")
    return ran


def asked_for(page: Page) -> list[str]:
    ran: list[str] = []
    page.context.on(
        "request", lambda request: ran.append(request.url) if "/ran" in request.url else None
    )
    return ran


@pytest.mark.parametrize("way", WAYS)
def test_what_strangers_uploaded_runs_on_no_page(
    browser: Browser, gateway: Gateway, uploaded: list[str], way: str
) -> None:
    assert browser.run(lambda page: embedded(page, gateway, uploaded, way)) == []


def test_what_strangers_uploaded_does_not_run_where_it_is_opened(
    browser: Browser, gateway: Gateway, uploaded: list[str]
) -> None:
    async def visit(page: Page) -> list[str]:
        ran = asked_for(page)
        for address in uploaded:
            with suppress_downloads():
                await page.goto(address)
        return ran

    assert browser.run(visit) == []


@contextmanager
def suppress_downloads() -> Iterator[None]:
    """Playwright's way to say that an address was saved and not shown."""
    try:
        yield
    except PlaywrightError as fault:
        if "Download is starting" not in str(fault):
            raise


@pytest.mark.parametrize("way", ["in a frame", "as an object", "embedded", "as a script"])
def test_the_look_for_running_scripts_can_fail(
    browser: Browser, gateway: Gateway, way: str
) -> None:
    """The same script among the app's own files does run, so that the tests above say something."""
    name, data = ("own.js", _MARK.encode()) if way == "as a script" else ("own.html", _HTML)
    Path(gateway.folder, "public", name).write_bytes(data)
    address = f"{gateway.url}/{name}"

    ran = browser.run(lambda page: embedded(page, gateway, [address], way))
    assert ran[-1] == "the page itself"
    assert f"{gateway.url}/ran" in ran
