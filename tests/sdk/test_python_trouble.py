"""The Python SDK with a real gateway behind a network that loses, halves and repeats."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest
from baas_sdkgen.runtime.py import Cloud, command

from tests.sdk.python.faces import FACES, Face, now, using
from tests.support.gateway import Gateway, running, write_app
from tests.support.scripted import Reply, Request, Scripted, scripted

PATIENCE: Final = 10.0
INBOX_APP: Final = {
    "baas.yaml": "app: {name: inbox}\n",
    "rules/_functions.yaml": "tell: {invoke: auth != null}\n",
    "functions/tell.py": (
        "from baas import Context, fn\n\n\n"
        "@fn.event()\n"
        "async def tell(ctx: Context, event: dict[str, int]) -> None:\n"
        "    await ctx.push.send(user=ctx.auth.uid, event='told', data=event['n'])\n"
    ),
}


class Network:
    """Between a client and the gateway. `next`: what happens to the coming writes."""

    def __init__(self, gateway: Gateway) -> None:
        self.next: list[str] = []
        self._gateway = gateway
        self._client = httpx.Client(base_url=gateway.url, trust_env=False, timeout=20)

    def pass_on(self, request: Request) -> Reply:
        fault = self.next.pop(0) if self.next else ""
        if fault == "refuse":
            return Reply(drop=True)
        answer = self._send(request)
        if fault == "lose":
            return Reply(drop=True)
        if fault == "twice":
            answer = self._send(request)
        if fault == "page":
            return Reply(status=502, raw=b"<html>the proxy is tired</html>")
        headers = {"Content-Type": answer.headers["content-type"]}
        if fault == "half":
            headers["Content-Length"] = str(len(answer.content))
            return Reply(None, 200, headers, drop=True, raw=answer.content[:-2])
        return Reply(None, answer.status_code, headers, raw=answer.content)

    def _send(self, request: Request) -> httpx.Response:
        kept = {"authorization", "content-type", "idempotency-key"}
        headers = {name: value for name, value in request.headers.items() if name in kept}
        return self._client.request(
            request.method, request.path, content=request.body, headers=headers
        )

    def close(self) -> None:
        self._client.close()


class _Any(dict[str, Any]):
    """Every path goes the same way."""

    def get(self, key: str, default: Any = None) -> Any:
        return self[""]


@pytest.fixture
def network(board: Gateway) -> Iterator[tuple[Network, Scripted]]:
    between = Network(board)
    with scripted(_Any({"": between.pass_on})) as server:
        yield between, server
    between.close()


@pytest.mark.parametrize("face", FACES)
def test_whatever_is_lost_a_write_happens_once(
    network: tuple[Network, Scripted], face: Face
) -> None:
    between, server = network

    async def use(cloud: Any) -> None:
        await now(cloud.auth().sign_in_anonymously())
        drafts = cloud.database().collection("drafts")
        added = await now(drafts.add({"title": "x", "n": 0}))
        draft = drafts.doc(added.id)
        faults = ("refuse", "lose", "half", "twice", "page")
        for number, fault in enumerate(faults, start=1):
            before = len(server.requests)
            between.next = [fault]
            await now(draft.update({"n": command.inc(1)}))
            tries = server.requests[before:]
            assert len({one.headers["idempotency-key"] for one in tries}) == 1
            assert (await now(draft.get())).data["n"] == number, fault
        between.next = ["lose", "half", "page"]
        await now(drafts.add_many([{"title": "y"}, {"title": "y"}]))
        found = drafts.where({"_openid": cloud.auth().current_user.uid, "title": "y"})
        assert (await now(found.count())).total == 2
        between.next = ["lose"]
        assert (await now(found.remove())).removed == 2

    using(face, server.url, use)


@pytest.mark.parametrize("face", FACES)
def test_a_lost_refresh_does_not_end_the_session(
    network: tuple[Network, Scripted], face: Face
) -> None:
    between, server = network

    async def use(cloud: Any) -> None:
        auth = cloud.auth()
        await now(auth.sign_in_anonymously())
        for fault in ("lose", "half", "twice"):
            between.next = [fault]
            assert await now(auth.renew(await now(auth.token()))) is not None
        assert (await now(auth.me())).uid == auth.current_user.uid

    using(face, server.url, use)


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("inbox") / "app", INBOX_APP)) as started:
        yield started


def test_an_inbox_brings_again_what_was_not_handled(inbox: Gateway) -> None:
    heard: list[int] = []
    failed, done = threading.Event(), threading.Event()

    def refuse_two(message: Any) -> None:
        if message.data == 2:
            failed.set()
            raise ZeroDivisionError
        heard.append(message.data)

    def take(message: Any) -> None:
        heard.append(message.data)
        if message.data == 3:
            done.set()

    with Cloud(inbox.url, trust_env=False) as cloud:
        cloud.auth().sign_in_anonymously()
        cloud.inbox(refuse_two)
        for number in (1, 2, 3):
            cloud.call_function("tell", {"n": number})
        assert failed.wait(PATIENCE)
        cloud.inbox(take)
        assert done.wait(PATIENCE), heard
    assert heard == [1, 2, 3]


def test_the_scenario_names_the_same_calls_for_both_languages() -> None:
    """What runner.ts knows to do, runner.py does, and the other way round."""
    from tests.sdk.python.runner import Play, _snake
    from tests.support.node import FOLDER

    text = (FOLDER / "runner.ts").read_text().partition("const CALLS")[2].partition("\n}\n")[0]
    known = {_snake(line.split(":")[0].strip()) for line in text.splitlines() if _is_call(line)}
    assert {name.removeprefix("do_") for name in dir(Play) if name.startswith("do_")} == known
    steps = json.loads((FOLDER.parent / "scenario.json").read_text())["steps"]
    assert {_snake(step["do"]) for step in steps} <= known


def _is_call(line: str) -> bool:
    return line.startswith("  ") and line[2].isalpha() and ":" in line and "=>" in line
