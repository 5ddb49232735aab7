"""The clients of docs/realtime.md work as they stand there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, Gateway, running
from tests.support.golden import FRAMES

PAGE = (ROOT / "docs" / "realtime.md").read_text(encoding="utf-8")
#: Says what it sees, one line each; asked to stop by `last` among the titles.
JS_DRIVER = """
import { connect } from './client.mjs'
const client = connect(process.argv[2], async () => null)
client.watch({ collection: 'posts', filter: { thread: process.argv[3] }, sort: { title: 1 } },
  (frame, posts) => {
    console.log(frame.type, posts.map(({ title }) => title).join(','))
    if (posts.some(({ title }) => title === 'last')) { client.close(); process.exit(0) }
  })
"""
PY_DRIVER = """
import asyncio, sys
from client import Client

async def main():
    async def nobody():
        return None

    def show(frame, posts):
        titles = [post["title"] for post in posts]
        print(frame["type"], ",".join(titles), flush=True)
        if "last" in titles:
            running.cancel()

    client = Client(sys.argv[1], nobody)
    watch = {"type": "watch", "collection": "posts", "filter": {"thread": sys.argv[2]}}
    await client.follow("w", {**watch, "sort": {"title": 1}}, show)
    running = asyncio.ensure_future(client.run())
    await asyncio.wait([running])

asyncio.run(main())
"""


def block(language: str) -> str:
    """The first block in `language` after the headline of its client."""
    title = {"js": "A client in JavaScript", "python": "A client in Python"}[language]
    found = re.search(rf"## {title}\n\n```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    folder = tmp_path / "app"
    shutil.copytree(FRAMES / "app", folder)
    with running(folder) as started:
        yield started


@pytest.mark.parametrize("language", ["js", "python"])
def test_it_follows_a_query_through_a_restart(
    gateway: Gateway, tmp_path: Path, language: str
) -> None:
    if language == "js" and shutil.which("node") is None:
        pytest.skip("there is no node on this machine")
    token = gateway.sign_in()

    def write(verb: str, **body: object) -> None:
        answer = gateway.post(f"/v1/database/posts/{verb}", body, token=token)
        assert answer.status_code == 200, answer.text

    def post(title: str) -> dict[str, object]:
        return {"_id": title, "title": title, "thread": language, "published": True}

    write("insert", document=post("b"))
    url = gateway.url.replace("http", "ws", 1) + "/v1/realtime"
    process = start(tmp_path, language, url)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "snapshot b\n"
        write("insert", document=post("a"))
        assert process.stdout.readline() == "change a,b\n"
        write("update", id="a", update={"$set": {"title": "c"}})
        assert process.stdout.readline() == "change b,c\n"
        write("delete", id="b")
        assert process.stdout.readline() == "change c\n"
        write("insert", document=post("last"))
        assert process.stdout.readline() == "change c,last\n"
        assert process.wait(10) == 0, process.communicate()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()  # type: ignore[union-attr]


def start(folder: Path, language: str, url: str) -> subprocess.Popen[str]:
    if language == "js":
        (folder / "client.mjs").write_text(block("js"))
        (folder / "driver.mjs").write_text(JS_DRIVER)
        command = ["node", "--experimental-websocket", "driver.mjs"]
    else:
        (folder / "client.py").write_text(block("python"))
        (folder / "driver.py").write_text(PY_DRIVER)
        command = [sys.executable, "driver.py"]
    return subprocess.Popen(
        [*command, url, language],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
