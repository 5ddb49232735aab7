"""Signed webhooks, both ways, and the addresses that they may go to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from baas.errors import Code, ConfigurationError, Problem
from baas.functions.outbound import Guarded, check_url
from baas.functions.triggers.webhooks import sign, signed_headers, verify
from baas.ports.jobs import JobState
from baas.settings import parse_networks
from tests.support.background import Yard, yard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330
GOOD = signed_headers(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY)

# -- in --------------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_specification() -> None:
    # The example of the Standard Webhooks reference libraries.
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", NOW, BODY) == expected


def test_a_good_signature_gives_the_messages_id() -> None:
    assert verify("standard", SECRET, GOOD, BODY, NOW * 1000) == "msg_p5jXN8AQM9LWM0D4loKWxJek"


def test_one_good_signature_among_several_is_enough() -> None:
    several = {**GOOD, "webhook-signature": f"v1,bad v2,x {GOOD['webhook-signature']}"}
    assert verify("standard", SECRET, several, BODY, NOW * 1000)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,AAAA"},
        {"webhook-signature": "v1,\u00e9"},
        {"webhook-id": "msg_other"},
        {"webhook-id": ""},
        {"webhook-id": "x" * 300},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": "\u0661"},
        {"webhook-timestamp": "9" * 40},
    ],
)
def test_anything_else_is_refused(change: dict[str, str]) -> None:
    with pytest.raises(Problem) as caught:
        verify("standard", SECRET, {**GOOD, **change}, BODY, NOW * 1000)
    assert caught.value.code is Code.UNAUTHENTICATED


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signature_ages(seconds: int) -> None:
    with pytest.raises(Problem):
        verify("standard", SECRET, GOOD, BODY, (NOW + seconds) * 1000)


def test_another_body_or_secret_is_refused_and_so_is_no_secret() -> None:
    for secret, body in ((SECRET, b"{}"), ("whsec_AAAA", BODY), ("", BODY)):
        with pytest.raises(Problem):
            verify("standard", secret, GOOD, body, NOW * 1000)
    empty = {**GOOD, **signed_headers("x", GOOD["webhook-id"], NOW, BODY)}
    with pytest.raises(Problem):
        verify("standard", "", empty, BODY, NOW * 1000)


def test_github_signs_the_body_alone() -> None:
    digest = hmac.new(b"key", BODY, hashlib.sha256).hexdigest()
    headers = {"x-hub-signature-256": f"sha256={digest}", "x-github-delivery": "d1"}
    assert verify("github", "key", headers, BODY, 0) == "d1"
    for bad in ({}, {"x-hub-signature-256": digest}, {"x-hub-signature-256": "sha256=00"}):
        with pytest.raises(Problem):
            verify("github", "key", bad, BODY, 0)


# -- addresses -------------------------------------------------------------------------------------


def resolving(*addresses: str) -> Any:
    return lambda host, port, **more: [(0, 0, 0, "", (address, port)) for address in addresses]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1",
    ],
)  # fmt: skip
def test_private_addresses_are_out_of_reach(address: str) -> None:
    with pytest.raises(Problem) as caught:
        Guarded(resolve=resolving(address)).address("hooks.example.com", 443)
    assert caught.value.code is Code.INVALID_ARGUMENT


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    with pytest.raises(Problem):
        Guarded(resolve=resolving("93.184.216.34", "10.0.0.1")).address("h", 80)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_addresses_are_reached(address: str) -> None:
    assert Guarded(resolve=resolving(address)).address("h", 80) == address


def test_a_setting_opens_private_networks() -> None:
    guarded = Guarded(parse_networks(("10.0.0.0/8",)), resolving("10.1.2.3"))
    assert guarded.address("internal", 80) == "10.1.2.3"
    with pytest.raises(Problem):
        Guarded(parse_networks(("10.0.0.0/8",)), resolving("127.0.0.1")).address("h", 80)


@pytest.mark.parametrize(
    "url",
    ["ftp://a/", "file:///etc/passwd", "//a", "http://", "http://u:p@a/", "http://a:0/",
     "http://a:x/", "http://a/ b", "http://a/\r\nX: y", "gopher://a", "http://a/" + "x" * 3000],
)  # fmt: skip
def test_hostile_addresses_are_no_webhooks(url: str) -> None:
    with pytest.raises(ConfigurationError):
        check_url(url)


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
