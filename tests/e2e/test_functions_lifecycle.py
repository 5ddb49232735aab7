"""The four stages of life, in their order, around every kind of trigger, failures included."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.clock import SystemClock
from baas.functions.secrets import SecretVault
from baas.secret import MasterSecret
from tests.support.app import Harness, running_app

PATIENCE = 15.0
SOURCE = """
import os
from baas import Context, fn

def note(*words):
    # One write, so that lines of several processes stay whole.
    line = " ".join(map(str, words)) + "\\n"
    file = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)

def hooked(when):
    @fn.hook(when)
    def hook(stage):
        error = type(stage.error).__name__ if stage.error else ""
        note(stage.function, when, error)

for when in ("runtime.before", "runtime.after", "function.before", "function.after",
             "invoke.before", "invoke.after", "close.before", "close.after"):
    hooked(when)

@fn.middleware
async def around(ctx: Context, event, proceed: fn.Proceed):
    note(ctx.function, "in")
    try:
        return await proceed(event)
    finally:
        note(ctx.function, "out")

@fn.initializer
async def ready(ctx: Context):
    note(ctx.function, "initializer")

def handler(name):
    async def run(ctx: Context, event):
        note(name, "handler", ctx.trigger.kind)
        if os.path.exists({log!r} + ".fail"):
            raise ValueError("asked for")
    run.__name__ = name
    return run

fn.event()(handler("on_event"))
fn.event(isolation="process")(handler("on_process"))
fn.http("GET", "/page")(handler("on_http"))
fn.timer("* * * * * *")(handler("on_timer"))
fn.on("database.items.insert")(handler("on_database"))
fn.on("storage.put")(handler("on_storage"))
fn.before("database.things.insert")(handler("on_before"))
fn.on("auth.signed_up")(handler("on_auth"))
fn.on("queue.work")(handler("on_queue"))
fn.on("app.happened")(handler("on_custom"))
fn.webhook("/hook", secret="HOOK", scheme="github")(handler("on_webhook"))

@fn.event()
async def start_others(ctx: Context):
    await ctx.queue.send("work", 1)
    await ctx.emit("app.happened", 1)
    await ctx.storage.put("a.txt", b"a")
    await ctx.call("on_call", {{}})

fn.on("never.happens")(handler("on_call"))

@fn.event()
def plain(ctx: Context):
    note("plain", "handler", ctx.trigger.kind)
"""
RULES = '"*": {invoke: true}\n'
HANDLED = {
    "on_event": "event",
    "on_process": "event",
    "on_http": "http",
    "on_timer": "timer",
    "on_database": "database",
    "on_storage": "storage",
    "on_before": "before",
    "on_auth": "auth",
    "on_queue": "queue",
    "on_custom": "custom",
    "on_webhook": "webhook",
    "on_call": "call",
    "plain": "event",
}


class Life:
    """An app whose every stage writes a line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "life.log"
        for name in ("functions", "rules"):
            (folder / name).mkdir()
        (folder / "functions" / "main.py").write_text(SOURCE.format(log=str(self.log)))
        (folder / "rules" / "_functions.yaml").write_text(RULES)
        for name in ("things", "items"):
            (folder / "rules" / f"{name}.yaml").write_text("rules: {read: true, write: true}\n")

    def fail(self) -> None:
        """From now on every handler raises but those of `plain` and `start_others`."""
        Path(f"{self.log}.fail").touch()

    def of(self, function: str | None) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        begin = f"{function} "
        return [line.removeprefix(begin).strip() for line in lines if line.startswith(begin)]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    return Life(tmp_path)


@pytest.fixture
def app(life: Life) -> Iterator[Harness]:
    with running_app(life.folder) as harness:
        yield harness


def trigger_everything(app: Harness, *, all_is_well: bool = True) -> None:
    """One of each; the timer comes by itself."""

    def done(answer: Any) -> None:
        assert not all_is_well or answer.status < 300, answer.body

    for name in ("on_event", "on_process", "plain", "start_others"):
        done(app.post(f"/v1/functions/{name}", {}))
    done(app.get("/http/page"))
    for collection in ("things", "items"):
        done(app.post(f"/v1/database/{collection}/insert", {"document": {"a": 1}}))
    done(app.post("/v1/auth/sign-up", {"username": "ann", "password": "correct horse battery"}))
    master = MasterSecret.load(app.app.data_folder, "")
    vault = SecretVault(app.app.store, master, SystemClock())
    app.run(vault.set("HOOK", "a secret of some length"))
    app.run(app.app.secrets.look())
    body = b"{}"
    digest = hmac.digest(b"a secret of some length", body, hashlib.sha256).hex()
    headers = {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}
    done(app.request("POST", "/http/hook", body, headers))


def until(app: Harness, look: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, "it did not happen"
        app.run(asyncio.sleep(0.02))


def test_every_kind_of_trigger_passes_the_same_stages_in_order(app: Harness, life: Life) -> None:
    trigger_everything(app)
    until(app, lambda: all("invoke.after" in life.of(name) for name in HANDLED))
    for name, kind in HANDLED.items():
        stages = life.of(name)
        assert stages[:8] == [
            "function.before",
            "initializer",
            "function.after",
            "invoke.before",
            "in",
            f"handler {kind}",
            "out",
            "invoke.after",
        ], name
    # One in the gateway, one in the worker process; each before anything else there.
    assert life.of(None) == ["runtime.before", "runtime.after"] * 2


def test_a_failed_call_of_every_kind_passes_them_too(app: Harness, life: Life) -> None:
    life.fail()
    trigger_everything(app, all_is_well=False)
    failing = {name: kind for name, kind in HANDLED.items() if name != "plain"}
    until(app, lambda: all("invoke.after ValueError" in life.of(name) for name in failing))
    for name, kind in failing.items():
        assert life.of(name)[:8] == [
            "function.before",
            "initializer",
            "function.after",
            "invoke.before",
            "in",
            f"handler {kind}",
            "out",
            "invoke.after ValueError",
        ], name


def test_what_had_started_is_closed_when_the_gateway_stops(life: Life) -> None:
    with running_app(life.folder) as app:
        for name in ("on_event", "on_process", "plain"):
            assert app.post(f"/v1/functions/{name}", {}).status == 200
        before = life.log.read_text()
        assert "close." not in before
    for name in ("on_event", "on_process", "plain"):
        assert life.of(name)[-2:] == ["close.before", "close.after"], name
    assert "close" not in " ".join(life.of("on_http")), "it never started"
