"""Files and functions from outside: an upload runs a function, which writes another file; kill -9
in between loses no event."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.gateway import Gateway, running, start_gateway, wait_until, write_app

APP = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_storage.yaml": "- path: '{file...}'\n  read: true\n  write: auth != null\n",
    "rules/runs.yaml": "collection: runs\nrules: {read: true}\n",
    "functions/main.py": """
from baas import Context, fn

@fn.on("storage.put", prefix="in/", isolation="{isolation}")
async def upper(ctx: Context, event):
    async with ctx.storage.open(event.path) as file:
        text = b"".join([piece async for piece in file]).decode()
    name = event.path.removeprefix("in/")
    await ctx.storage.put(f"out/{name}", text.upper(), openid=event.openid)
    await ctx.database.collection("runs").insert({"path": event.path, "actor": event.actor})

@fn.on("storage.delete", prefix="in/", isolation="{isolation}")
def follow(ctx: Context, event):
    ctx.storage.delete("out/" + event.path.removeprefix("in/"))
""",
}
FILES = 12


def app(folder: Path, isolation: str) -> Path:
    main = APP["functions/main.py"].replace("{isolation}", isolation)
    return write_app(folder, {**APP, "functions/main.py": main})


def upload(gateway: Gateway, path: str, text: str, token: str) -> None:
    answer = gateway.client.post(
        "/v1/storage/upload",
        data={"path": path},
        files={"file": ("a.txt", text.encode(), "text/plain")},
        headers={"authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text


def download(gateway: Gateway, path: str) -> str | None:
    answer = gateway.client.get(f"/v1/storage/files/{path}")
    return answer.text if answer.status_code == 200 else None


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_an_upload_runs_a_function_that_writes_a_file(tmp_path: Path, isolation: str) -> None:
    with running(app(tmp_path, isolation), "--workers", "2") as gateway:
        token = gateway.sign_in()
        upload(gateway, "in/a.txt", "hello", token)
        wait_until(lambda: download(gateway, "out/a.txt") == "HELLO")
        upload(gateway, "in/a.txt", "again", token)
        wait_until(lambda: download(gateway, "out/a.txt") == "AGAIN")
        stat = gateway.post("/v1/storage/stat", {"path": "out/a.txt"}).json()
        me = gateway.client.get("/v1/auth/me", headers={"authorization": f"Bearer {token}"}).json()
        assert stat["openid"] == me["uid"]
        body = {"files": [{"path": "in/a.txt"}]}
        assert gateway.post("/v1/storage/delete", body, token=token).status_code == 200
        wait_until(lambda: download(gateway, "out/a.txt") is None)


def test_uploads_before_a_kill_are_told_of_after_it(tmp_path: Path) -> None:
    gateway = start_gateway(app(tmp_path, "inline"))
    try:
        token = gateway.sign_in()
        upload(gateway, "in/first.txt", "x", token)
        wait_until(lambda: download(gateway, "out/first.txt") == "X")  # it follows the feed now
        for number in range(FILES):
            upload(gateway, f"in/{number}.txt", f"n{number}", token)
        gateway.kill()
        gateway.close()
        gateway = start_gateway(tmp_path)
        for number in range(FILES):
            wait_until(lambda n=number: download(gateway, f"out/{n}.txt") == f"N{n}")  # type: ignore[misc]

        def told() -> list[str]:
            found = gateway.post("/v1/database/runs/find", {"limit": 100}).json()["documents"]
            return [one["path"] for one in found]

        wait_until(lambda: len(set(told())) == FILES + 1)
        times = told()
        # At most the attempts under way are repeated: 16 at once, each of another file.
        assert all(times.count(path) <= 2 for path in times)
    finally:
        gateway.stop()
        gateway.close()
