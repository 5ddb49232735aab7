"""The parent of workers: when it starts another, when it gives up, what it watches."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baas.cli import supervisor
from baas.cli.supervisor import MOST_PAUSE, STEADY_SECONDS, Backoff, Supervisor, Worker
from baas.cli.watch import Watch

#: A worker in a few lines: its plan is Python, run with `ready` in sight.
INTERPRETER = [sys.executable, "-c", "import sys; exec(sys.stdin.readline())"]
SERVES = "import os, sys; os.write({ready}, b'1'); sys.stdin.read()"
FAILS = "import sys; sys.exit(3)"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.02)


def worker(plan: str) -> Worker:
    return Worker(INTERPRETER, lambda ready: plan.format(ready=ready).encode(), ())


def supervise(spawn: Callable[[], Worker], count: int, announce: Callable[[], None]) -> int:
    return Supervisor(spawn, count, announce=announce, watch=None, stop_seconds=10).run()


def test_the_pause_doubles_up_to_an_end_and_starts_anew_after_a_steady_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supervisor, "LEAST_PAUSE", 0.5)
    backoff = Backoff()
    assert [backoff.after(0.1) for _ in range(4)] == [0.5, 1, 2, 4]
    assert max(backoff.after(0.1) for _ in range(9)) == MOST_PAUSE
    assert backoff.after(STEADY_SECONDS) == 0.5


def test_a_signal_ends_all_workers_and_the_exit_code_is_zero() -> None:
    started: list[Worker] = []

    def spawn() -> Worker:
        started.append(worker(SERVES))
        return started[-1]

    def announce() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    assert supervise(spawn, 1, announce) == 0
    assert [one.process.poll() for one in started] == [-signal.SIGTERM]


def test_an_app_that_cannot_start_ends_the_whole() -> None:
    announced: list[bool] = []
    assert supervise(lambda: worker(FAILS), 3, lambda: announced.append(True)) == 1
    assert announced == []


def test_the_first_worker_starts_alone() -> None:
    """It makes the tables and keys; the others would do it at the same time."""
    started: list[Worker] = []

    def spawn() -> Worker:
        if len(started) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        elif len(started) == 1:
            assert started[0].ready
        started.append(worker(SERVES))
        return started[-1]

    assert supervise(spawn, 4, lambda: None) == 0
    assert len(started) == 4


def test_one_that_dies_after_the_start_is_replaced() -> None:
    plans = [SERVES + "; sys.exit(7)", SERVES]
    started: list[Worker] = []

    def spawn() -> Worker:
        started.append(worker(plans[len(started)]))
        if len(started) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return started[-1]

    def announce() -> None:
        started[0].process.kill()

    assert supervise(spawn, 1, announce) == 0
    assert started[0].process.returncode == -signal.SIGKILL
    assert len(started) == 2


def test_one_that_does_not_stop_is_killed() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES
    started: list[Worker] = []

    def spawn() -> Worker:
        started.append(worker(deaf))
        return started[-1]

    def announce() -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    outcome = Supervisor(spawn, 1, announce=announce, watch=None, stop_seconds=0.1).run()
    assert outcome == 0
    assert started[0].process.returncode == -signal.SIGKILL


def test_watched_is_the_manifest_and_not_what_reloads_by_itself(tmp_path: Path) -> None:
    for name in ("functions", "rules"):
        (tmp_path / name).mkdir()
    watch = Watch(tmp_path)
    assert not watch.changed()
    (tmp_path / "rules" / "notes.yaml").write_text("acl: PRIVATE\n")
    (tmp_path / "functions" / "hello.py").write_text("x = 1\n")
    assert not watch.changed()
    (tmp_path / "baas.yaml").write_text("app: {name: a}\n")
    assert watch.changed()
    assert not watch.changed()
    (tmp_path / "baas.yaml").unlink()
    assert watch.changed()
