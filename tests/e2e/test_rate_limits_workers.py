"""Limits where several processes answer: one bucket, whichever process is met."""

from __future__ import annotations

from http.client import HTTPConnection
from pathlib import Path

from tests.support.gateway import NOTES_APP, running, write_app

ATTEMPTS = 150


def test_several_processes_share_a_bucket(tmp_path: Path) -> None:
    folder = write_app(tmp_path, NOTES_APP)
    with running(folder, "--workers", "2", BAAS_LIMITS__RATE_AUTH="40/h") as gateway:
        statuses = []
        for _ in range(ATTEMPTS):
            # A new connection each time, so that either process may be met.
            connection = HTTPConnection(*gateway.host_and_port, timeout=20)
            headers = {"content-type": "application/json"}
            connection.request("POST", "/v1/auth/sign-in/anonymous", b"{}", headers)
            statuses.append(connection.getresponse().status)
            connection.close()
    assert set(statuses) == {200, 429}
    assert 40 <= statuses.count(200) <= 50
