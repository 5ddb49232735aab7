"""Limits where several processes answer: one bucket, whichever process is met."""

from __future__ import annotations

import time
from http.client import HTTPConnection
from pathlib import Path

from tests.support.gateway import NOTES_APP, running, write_app

LIMIT = 40
#: Refused so often in a row, from either process, there is nothing left.
SPENT = 25
#: Seconds between two attempts.
PACE = 0.03


def test_several_processes_share_a_bucket(tmp_path: Path) -> None:
    folder = write_app(tmp_path, NOTES_APP)
    with running(folder, "--workers", "2", BAAS_LIMITS__RATE_AUTH=f"{LIMIT}/h") as gateway:
        statuses: list[int] = []
        while statuses[-SPENT:] != [429] * SPENT:
            # A new connection each time, so that either process may be met.
            statuses.append(_sign_in(*gateway.host_and_port))
            # They exchange twenty times a second, when the machine lets them: no faster than that.
            time.sleep(PACE)
    assert set(statuses) == {200, 429}
    # With a bucket for each it would be twice the limit.
    assert LIMIT <= statuses.count(200) <= 1.5 * LIMIT


def _sign_in(host: str, port: int) -> int:
    connection = HTTPConnection(host, port, timeout=20)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/auth/sign-in/anonymous", b"{}", headers)
        return connection.getresponse().status
    finally:
        connection.close()
