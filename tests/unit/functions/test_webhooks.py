"""Signed webhooks, both ways: signatures that are good, deliveries, their retries."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from baas.functions.triggers.webhooks import sign, signed_headers, verify
from baas.ports.jobs import JobState
from tests.support.background import Yard, yard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330
GOOD = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY)


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks reference libraries.
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY) == expected


def test_a_good_signature_gives_the_messages_id() -> None:
    assert verify("standard", SECRET, GOOD, BODY, NOW * 1000) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_one_good_signature_among_several_is_enough() -> None:
    several = {**GOOD, "webhook-signature": f"v1,bad v2,x {GOOD['webhook-signature']}"}
    assert verify("standard", SECRET, several, BODY, NOW * 1000)


# -- out -------------------------------------------------------------------------------------------


class Receiver(HTTPServer):
    """Answers with `statuses` in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses = [200]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        body = self.rfile.read(int(self.headers["content-length"]))
        server.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        many = len(server.statuses) > 1
        self.send_response(server.statuses.pop(0) if many else server.statuses[0])
        self.send_header("retry-after", "30")
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def deploy(app: Yard, receiver: Receiver) -> None:
    url = f"http://127.0.0.1:{receiver.server_port}/hook?a=1"
    app.secrets.values = {"HOOK": SECRET}
    app.deploy(
        f"""
        @fn.event(on_success=[{{"webhook": "{url}", "secret": "HOOK"}}])
        async def pay(ctx, event):
            return {{"paid": event}}
        """
    )


@yard()
async def test_an_outcome_is_posted_signed_as_a_cloudevent(app: Yard, receiver: Receiver) -> None:
    deploy(app, receiver)
    id = await app.enqueue("pay", 7)
    await app.settle()
    ((headers, body),) = receiver.got
    event = json.loads(body)
    assert event["specversion"] == "1.0"
    assert event["type"] == "baas.invocation.succeeded"
    assert (event["data"]["invocationId"], event["data"]["result"]) == (id, {"paid": 7})
    assert headers["content-type"] == "application/cloudevents+json"
    assert event["id"] == headers["webhook-id"]
    assert verify("standard", SECRET, headers, body, app.clock.now_ms()) == event["id"]
    assert base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))


@yard()
async def test_a_receiver_that_fails_is_tried_again_with_the_same_id(
    app: Yard, receiver: Receiver
) -> None:
    deploy(app, receiver)
    receiver.statuses = [503, 429, 302, 204]
    await app.enqueue("pay", 7)
    await app.settle(5, 29.9)
    assert len(receiver.got) == 2
    await app.settle(0.1, 5)
    assert len(receiver.got) == 4
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert await app.dead() == []


@yard()
async def test_a_receiver_that_refuses_becomes_a_dead_letter(app: Yard, receiver: Receiver) -> None:
    deploy(app, receiver)
    receiver.statuses = [400]
    await app.enqueue("pay", 7)
    await app.settle(5, 10, 20, 40, 80)
    assert len(receiver.got) == 4
    (letter,) = await app.dead()
    assert (letter.queue, letter.state) == ("webhooks", JobState.FAILED)


@yard()
async def test_without_its_secret_nothing_is_sent_yet(app: Yard, receiver: Receiver) -> None:
    deploy(app, receiver)
    app.secrets.values = {}
    await app.enqueue("pay", 7)
    await app.settle()
    assert receiver.got == []
    app.secrets.values = {"HOOK": SECRET}
    await app.settle(5)
    assert len(receiver.got) == 1
