"""A stop on request, under a load of writes: what was begun is answered, what was answered is kept,
and what was not answered was not done."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, wait_until, write_app
from tests.support.writers import LOAD_APP, UNLIMITED, Load


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_stop_loses_nothing_and_does_nothing_in_secret(tmp_path: Path, workers: str) -> None:
    write_app(tmp_path, LOAD_APP)
    with running(tmp_path, "--workers", workers, **UNLIMITED) as gateway:
        load = Load(gateway, gateway.sign_in(), seed=7)
        load.start(gateway)
        load.wait_for(150)
        assert gateway.stop() == 0
        load.join()
    with running(tmp_path, **UNLIMITED) as gateway:
        for writer in load.writers:
            writer.connect(gateway.url, load.token)
            assert writer.found() == writer.documents
            writer.client.close()


def refuses_connections(gateway: Gateway) -> bool:
    try:
        socket.create_connection(gateway.host_and_port, timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


BODY = json.dumps({"document": {"_id": "begun"}}).encode()


def begin(gateway: Gateway, token: str) -> socket.socket:
    """A request whose head has arrived, and for whose body the service waits."""
    head = (
        "POST /v1/database/notes/insert HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(BODY)}\r\nexpect: 100-continue\r\n\r\n"
    )
    connection = socket.create_connection(gateway.host_and_port, timeout=20)
    connection.sendall(head.encode())
    assert connection.recv(4096).startswith(b"HTTP/1.1 100")
    return connection


def answer_on(connection: socket.socket) -> bytes:
    """All that still comes."""
    with connection.makefile("rb") as file:
        return file.read()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_request_that_had_begun_is_answered(tmp_path: Path, workers: str) -> None:
    write_app(tmp_path, NOTES_APP)
    with running(tmp_path, "--workers", workers) as gateway:
        token = gateway.sign_in()
        with begin(gateway, token) as connection:
            gateway.process.send_signal(signal.SIGTERM)
            wait_until(lambda: refuses_connections(gateway), seconds=5)
            connection.sendall(BODY)
            answer = answer_on(connection)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        assert gateway.stop() == 0
    with running(tmp_path) as gateway:
        kept = gateway.post("/v1/database/notes/get", {"id": "begun"}, token=token)
        assert kept.status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
def test_one_that_does_not_end_is_told_so_when_the_drain_does(tmp_path: Path, workers: str) -> None:
    write_app(tmp_path, NOTES_APP)
    with running(tmp_path, "--workers", workers, BAAS_SERVER__DRAIN_SECONDS="1") as gateway:
        with begin(gateway, gateway.sign_in()) as connection:
            gateway.process.send_signal(signal.SIGTERM)
            answer = answer_on(connection)
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"application/problem+json" in answer
        assert b"retry-after" in answer.lower()
        assert gateway.stop() == 0
