"""A call that waits for its time does not keep rights that its caller has lost meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from baas.clock import ManualClock
from baas.ports.documents import resolve
from tests.support.app import Harness, running_app
from tests.support.gateway import write_app

APP = {
    "baas.yaml": "app: {name: later}\n",
    "rules/log.yaml": (
        "rules: {read: 'true', create: \"'moderator' in auth.roles || newDoc.own == true\"}\n"
    ),
    "rules/_functions.yaml": '"*": {invoke: auth != null}\n',
    "functions/later.py": """
from baas import fn

@fn.event(retries="none")
async def write(ctx, event):
    log = ctx.as_caller().database.collection("log")
    await log.insert({"_id": "own", "own": True, "roles": list(ctx.auth.roles)})
    await log.insert({"_id": "done"})
""",
}
PASSWORD = "correct horse"
DELAY = 3600


def demoted(app: Harness, uid: str) -> None:
    app.run(app.app.auth.users.set_roles(uid, (), ("moderator",)))


def disabled(app: Harness, uid: str) -> None:
    app.run(app.app.auth.users.set_disabled(uid, True))


def deleted(app: Harness, uid: str) -> None:
    app.run(app.app.auth.users.delete(uid))


def unchanged(app: Harness, uid: str) -> None: ...


@pytest.mark.parametrize(
    ("meanwhile", "state"),
    [(unchanged, "succeeded"), (demoted, "failed"), (disabled, "failed"), (deleted, "failed")],
)
def test_rules_see_what_the_caller_may_do_when_it_runs(
    tmp_path: Path, meanwhile: Callable[[Harness, str], None], state: str
) -> None:
    """The call itself runs in any case, as its caller: it may be there to tidy up behind him."""
    clock = ManualClock()
    with running_app(write_app(tmp_path, APP), clock=clock) as app:
        user = app.run(app.app.auth.users.create("mo", PASSWORD, ("moderator",)))
        body = {"username": "mo", "password": PASSWORD}
        token = app.post("/v1/auth/sign-in/password", body).json()["accessToken"]
        query = f"mode=async&delay={DELAY}"
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        answer = app.request("POST", "/v1/functions/write", b"{}", headers, query=query)
        meanwhile(app, user.uid)
        clock.advance(DELAY + 1)
        app.run(ended(app, answer.json()["invocationId"], state))
        find = app.post("/v1/database/log/find", {"fields": {"_id": 1, "roles": 1, "_openid": 1}})
        found = {one["_id"]: one for one in find.json()["documents"]}
        assert ("done" in found) is (state == "succeeded")
        assert found["own"]["_openid"] == user.uid
        assert found["own"]["roles"] == (["moderator"] if state == "succeeded" else [])


async def ended(app: Harness, id: str, state: str) -> None:
    async with asyncio.timeout(20):
        while True:
            job = await resolve(app.app.store.jobs.get(id))
            assert job is not None
            if job.state.value not in ("enqueued", "running"):
                assert job.state.value == state, job.error
                return
            await asyncio.sleep(0.01)
