"""`baas serve` as an operator meets it: starting, a second one, workers that die, stopping."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.gateway import NOTES_APP, Gateway, running, write_app

WAIT_SECONDS = 15.0


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path, NOTES_APP)


def serve(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """One that is expected to end by itself."""
    environment = {name: value for name, value in os.environ.items() if name[:5] != "BAAS_"}
    return subprocess.run(
        [sys.executable, "-m", "baas", "serve", "--port", "0", *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
    )


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return sorted(int(child) for child in children.split())


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def healthy(gateway: Gateway) -> bool:
    return gateway.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_on_request_is_exit_code_zero(
    app: Path, workers: str, number: signal.Signals
) -> None:
    with running(app, "--workers", workers) as gateway:
        gateway.process.send_signal(number)
        assert gateway.process.wait(WAIT_SECONDS) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_process_on_the_same_data_folder_is_refused(app: Path, workers: str) -> None:
    with running(app) as gateway:
        second = serve(app, "--data", gateway.data, "--workers", workers)
        assert second.returncode == 1
        assert "in use by process" in second.stderr
        assert str(gateway.process.pid) in second.stderr
        assert "Traceback" not in second.stderr
        assert healthy(gateway)


def test_a_port_that_is_taken_is_named(app: Path, tmp_path: Path) -> None:
    with running(app) as gateway:
        _, port = gateway.host_and_port
        second = serve(app, "--port", str(port), "--data", str(tmp_path / "other"))
        assert second.returncode == 1
        assert f"port {port}" in second.stderr
        assert "Traceback" not in second.stderr


def test_a_folder_with_nothing_in_it_is_an_app_that_allows_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as gateway:
        answer = gateway.post("/v1/database/posts/find", token=gateway.sign_in())
        assert (answer.status_code, answer.json()["code"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_fault_in_a_rule_file_ends_the_start_with_its_place(app: Path, workers: str) -> None:
    (app / "rules" / "broken.yaml").write_text("rules:\n  read: doc.a ==\n")
    ended = serve(app, "--workers", workers)
    assert ended.returncode == 1
    assert "broken.yaml:2:" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_a_worker_that_dies_is_replaced_while_the_other_serves(app: Path) -> None:
    with running(app, "--workers", "2") as gateway:
        until(lambda: len(workers_of(gateway.process.pid)) == 2)
        victim, survivor = workers_of(gateway.process.pid)
        os.kill(victim, signal.SIGKILL)
        until(lambda: victim not in workers_of(gateway.process.pid))
        assert healthy(gateway)
        until(lambda: len(workers_of(gateway.process.pid)) == 2)
        assert survivor in workers_of(gateway.process.pid)
        assert gateway.stop() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
def test_workers_end_with_their_parent_and_let_go_of_the_folder(app: Path) -> None:
    with running(app, "--workers", "2") as gateway:
        until(lambda: len(workers_of(gateway.process.pid)) == 2)
        workers = workers_of(gateway.process.pid)
        gateway.kill()
        until(lambda: not any(alive(worker) for worker in workers))
    with running(app) as again:
        assert healthy(again)


def test_workers_serve_the_same_documents(app: Path) -> None:
    with running(app, "--workers", "2") as gateway:
        token = gateway.sign_in()
        insert = gateway.post(
            "/v1/database/notes/insert", {"document": {"text": "shared"}}, token=token
        )
        assert insert.status_code == 200, insert.text
        for _ in range(10):  # a connection each, so both workers come to answer
            gateway.client.headers["connection"] = "close"
            found = gateway.post("/v1/database/notes/find", token=token).json()["documents"]
            assert [document["_id"] for document in found] == insert.json()["ids"]


def test_reload_starts_again_when_the_settings_change(app: Path) -> None:
    with running(app, "--reload") as gateway:
        before = workers_of(gateway.process.pid)
        with (app / "baas.yaml").open("a") as file:
            file.write("# changed\n")
        until(lambda: workers_of(gateway.process.pid) not in (before, []))
        until(lambda: healthy(gateway))
        assert gateway.stop() == 0
