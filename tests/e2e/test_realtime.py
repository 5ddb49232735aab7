"""The realtime door from outside: a real gateway, a stranger's WebSocket client."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.gateway import NOTES_APP, Gateway, running, wait_until, write_app
from tests.support.sessions import in_loop
from tests.support.sockets import Socket, connected

#: Revocations and new roles act on open sockets in two seconds; a slow machine gets a little more.
PROMPTLY = 4.0


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("app"), NOTES_APP)
    with running(folder, BAAS_LIMITS__RATE_AUTH="off") as started:
        yield started


@in_loop
async def test_hello_and_ping(gateway: Gateway) -> None:
    async with connected(gateway, None) as socket:
        assert await socket.asked(type="ping") == {"type": "pong"}


@in_loop
async def test_signing_out_ends_that_sessions_sockets_alone(gateway: Gateway) -> None:
    token, other = gateway.sign_in(), gateway.sign_in()
    async with connected(gateway, token) as mine, connected(gateway, other) as theirs:
        assert gateway.post("/v1/auth/sign-out", token=token).status_code == 200
        bye, code = await mine.the_end(PROMPTLY)
        assert (bye, code) == ({"type": "bye", "reason": "revoked"}, 4401)
        assert await theirs.asked(type="ping") == {"type": "pong"}


@in_loop
async def test_a_revoked_admin_key_ends_its_sockets(gateway: Gateway) -> None:
    key = gateway.admin_key("database:read")
    async with connected(gateway, key) as socket:
        _cli(gateway, "admin", "key", "revoke", key.split("_")[1])
        bye, code = await socket.the_end(PROMPTLY)
        assert (bye, code) == ({"type": "bye", "reason": "revoked"}, 4401)


@in_loop
async def test_an_admin_key_is_held_by_its_scopes(gateway: Gateway) -> None:
    async with connected(gateway, gateway.admin_key("storage:read")) as socket:
        refused = await socket.asked(type="watch", id="w", collection="notes")
        assert (refused["id"], refused["code"]) == ("w", "PERMISSION_DENIED")
        assert "database:read" in refused["detail"]


@in_loop
async def test_a_bad_token_ends_with_4401(gateway: Gateway) -> None:
    url = f"{gateway.url.replace('http', 'ws', 1)}/v1/realtime"
    async with connect(url, proxy=None) as connection:
        socket = Socket(connection)
        assert (await socket.asked(type="auth", token="x.y.z"))["code"] == "UNAUTHENTICATED"
        assert await socket.the_end(5) == ({"type": "bye", "reason": "unauthenticated"}, 4401)


@in_loop
async def test_other_sockets_are_not_spoken_to(gateway: Gateway) -> None:
    for path in ("/v1/realtime/", "/v1/realtime/poll", "/v1", "/x", "/v1/realtime?token=x"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(gateway.url.replace("http", "ws", 1) + path, proxy=None):
                pass
        assert refused.value.response.status_code == 403


def test_a_poll_says_who_it_is(gateway: Gateway) -> None:
    answer = gateway.post("/v1/realtime/poll", {"session": "s"}, token=gateway.sign_in())
    assert answer.status_code == 200
    assert [frame["type"] for frame in answer.json()["frames"]] == ["ready"]
    refused = gateway.post("/v1/realtime/poll", {"session": "s"}, token="x.y.z")
    assert refused.status_code == 401


@in_loop
async def test_connections_are_counted(gateway: Gateway) -> None:
    def count() -> str:
        lines = gateway.client.get("/metrics").text.splitlines()
        return next(line for line in lines if line.startswith("baas_realtime_connections "))

    wait_until(lambda: count().endswith(" 0"))
    async with connected(gateway, None), connected(gateway, None):
        assert count().endswith(" 2")
    wait_until(lambda: count().endswith(" 0"))


@in_loop
async def test_a_stop_says_bye_and_waits_for_nobody_long(tmp_path: Path) -> None:
    with running(write_app(tmp_path, NOTES_APP)) as gateway:
        async with connected(gateway, None) as socket:
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            bye, code = await socket.the_end(5)
            assert (bye, code) == ({"type": "bye", "reason": "drain"}, 1001)
            assert await stopping == 0
        line = gateway.logged(route="realtime")
        assert (line["status"], line["error"]) == (101, "drain")


@in_loop
async def test_a_poll_that_waits_is_answered_when_the_gateway_stops(tmp_path: Path) -> None:
    with running(write_app(tmp_path, NOTES_APP)) as gateway:
        body = {"session": "s", "wait": 25}
        polling = asyncio.create_task(asyncio.to_thread(gateway.post, "/v1/realtime/poll", body))
        await asyncio.to_thread(wait_until, lambda: _connections(gateway) == 1)
        assert await asyncio.to_thread(gateway.stop) == 0
        answer = (await polling).json()
        assert [frame["type"] for frame in answer["frames"]] == ["ready", "bye"]
        assert answer["close"] == 1001


@in_loop
async def test_a_token_that_expired_ends_its_socket(tmp_path: Path) -> None:
    """The minute of grace is tested with a clock of its own (unit tests); here, that what is opened
    after the expiry is refused, and that a new token is taken."""
    app = write_app(tmp_path, NOTES_APP)
    with running(app, BAAS_AUTH__ACCESS_TOKEN_SECONDS="2") as gateway:
        session = gateway.post("/v1/auth/sign-in/anonymous").json()
        async with connected(gateway, session["accessToken"]) as socket:

            async def watch() -> Any:
                return (await socket.asked(type="watch", id="w", collection="closed"))["code"]

            async with asyncio.timeout(10):
                while await watch() != "TOKEN_EXPIRED":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            body = {"refreshToken": session["refreshToken"]}
            fresh = gateway.post("/v1/auth/refresh", body).json()
            ready = await socket.asked(type="auth", token=fresh["accessToken"])
            assert ready["type"] == "ready"
            assert await watch() != "TOKEN_EXPIRED"


@in_loop
async def test_workers_see_what_others_revoke(tmp_path: Path) -> None:
    with running(write_app(tmp_path, NOTES_APP), "--workers", "2") as gateway:
        token = gateway.sign_in()
        async with asyncio.timeout(30):
            sockets = [connected(gateway, token) for _ in range(8)]
            opened = [await socket.__aenter__() for socket in sockets]
            assert gateway.post("/v1/auth/sign-out", token=token).status_code == 200
            ends = await asyncio.gather(*(socket.the_end(PROMPTLY) for socket in opened))
        assert {code for _, code in ends} == {4401}


def _connections(gateway: Gateway) -> int:
    lines = gateway.client.get("/metrics").text.splitlines()
    line = next(line for line in lines if line.startswith("baas_realtime_connections "))
    return int(line.split()[1])


def _cli(gateway: Gateway, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "baas", *arguments, "--data", gateway.data],
        cwd=gateway.folder,
        check=True,
        capture_output=True,
    )
