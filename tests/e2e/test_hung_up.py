"""A client that hangs up in the middle of its request is no fault of the gateway's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, write_app


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), NOTES_APP)) as started:
        yield started


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/auth/refresh", "auth.refresh"),
        ("/v1/database/notes/find", "database.find"),
        ("/v1/realtime/poll", "realtime.poll"),
    ],
)
def test_half_a_body_is_logged_as_the_client_s_end(
    gateway: Gateway, tmp_path: Path, path: str, route: str
) -> None:
    with socket.create_connection(gateway.host_and_port) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 500\r\n\r\n{".encode()
        )
    line = gateway.logged(route=route, status=499)
    assert "error" not in line
    assert "unexpected fault" not in gateway.log_text()
