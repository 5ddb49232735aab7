"""A real gateway in a process of its own, for tests that come from outside.

On a free port of the loopback interface, with its own app folder and data; ended by its own id.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0
LOG_SECONDS: Final = 10.0
LOOK_SECONDS: Final = 0.02
LOG: Final = "log.txt"

_ADDRESS = re.compile(r"http://\S+")


class Gateway:
    """A running one. `client` speaks to it; `log` gives the lines of its structured log."""

    def __init__(self, process: subprocess.Popen[str], url: str, folder: Path, log: Path) -> None:
        self.process = process
        self.url = url
        self.folder = folder
        self._log = log
        self.client = httpx.Client(base_url=url, timeout=20, trust_env=False)

    @property
    def host_and_port(self) -> tuple[str, int]:
        parsed = httpx.URL(self.url)
        return parsed.host, parsed.port or 80

    def post(
        self, path: str, body: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx.Response:
        """POST of JSON, as the protocol's clients send it."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        return self.client.post(path, json={} if body is None else body, headers=given)

    def sign_in(self) -> str:
        """The access token of a new anonymous user."""
        answer = self.post("/v1/auth/sign-in/anonymous")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["accessToken"])

    def admin_key(self, *scopes: str, **settings: str) -> str:
        """A new admin key, made beside the running gateway by the command line, which is given
        the `settings` that the gateway was started with."""
        options = [part for scope in scopes for part in ("--scope", scope)]
        made = subprocess.run(
            [*_COMMAND, "admin", "key", "create", "test", *options, "--data", self.data],
            cwd=self.folder,
            env=_environment(self.folder, settings),
            capture_output=True,
            text=True,
            check=True,
            timeout=START_SECONDS,
        )
        return made.stdout.strip()

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def log(self) -> list[dict[str, Any]]:
        """What it has logged so far; JSON lines."""
        lines = self._log.read_bytes().splitlines(keepends=True)
        whole = [line for line in lines if line.startswith(b"{") and line.endswith(b"\n")]
        return [msgspec.json.decode(line) for line in whole]

    def logged(self, **members: Any) -> dict[str, Any]:
        """The first line with these members; lines are written in batches, so it may take a bit."""
        deadline = time.monotonic() + LOG_SECONDS
        while time.monotonic() < deadline:
            for line in self.log():
                if members.items() <= line.items():
                    return line
            time.sleep(LOOK_SECONDS)
        raise AssertionError(f"no line with {members} in:\n{self.log_text()}")

    def log_text(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """As a power cut would: no drain, no checkpoint, and its workers with it.

        It is halted first, so that it replaces no worker meanwhile.
        """
        self.process.send_signal(signal.SIGSTOP)
        workers = children_of(self.process.pid)
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait(STOP_SECONDS)
        wait_until(lambda: not any(is_running(pid) for pid in workers))

    def close(self) -> None:
        """Lets go of what this side holds of a gateway that has ended."""
        self.client.close()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def stop(self) -> int:
        """Asks it to end, as an operator does; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"did not stop; log:\n{self.log_text()}") from None


def children_of(pid: int) -> list[int]:
    """The processes that it started, where the system tells (Linux); else none."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in children.read_text().split()] if children.exists() else []


def is_running(pid: int) -> bool:
    """Whether it still is there and more than a name; Linux."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(
    condition: Callable[[], object], seconds: float = STOP_SECONDS, look: float = LOOK_SECONDS
) -> None:
    """Looks every `look` seconds until it holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(look)


_COMMAND: Final = (sys.executable, "-m", "baas")


#: `BAAS_TEST_ENGINE=mongo`: gateways of the tests run on MongoDB, each folder on a database of its
#: own. For a change to that engine; tests that look into SQLite's files fail then.
_ENGINE: Final = os.environ.get("BAAS_TEST_ENGINE", "sqlite")


def _engine(folder: Path) -> dict[str, str]:
    if _ENGINE != "mongo":
        return {}
    from tests.support import mongo

    digest = blake2b(str(folder).encode(), digest_size=8).hexdigest()
    return {
        "BAAS_DATABASE__ENGINE": "mongo",
        "BAAS_DATABASE__MONGO_URL": mongo.server_url(),
        "BAAS_DATABASE__MONGO_DATABASE": f"test-{digest}",
        "BAAS_SERVER__SECRET": f"{digest}-{digest[::-1]}-for-tests-alone",
    }


def _environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BAAS_")}
    inherited["PYTHONPATH"] = str(ROOT)
    return {**inherited, "BAAS_OBSERVE__LOG_FORMAT": "json", **_engine(folder), **settings}


def start_process(folder: Path, *options: str, **settings: str) -> subprocess.Popen[str]:
    """`baas serve` in `folder`, as `start_gateway` starts it, but waited for by nobody."""
    with (folder / LOG).open("ab") as sink:
        return subprocess.Popen(
            [*_COMMAND, "serve", "--port", "0", "--data", str(folder / "data"), *options],
            cwd=folder,
            env=_environment(folder, settings),
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
        )


def start_gateway(folder: Path, *options: str, **settings: str) -> Gateway:
    """Starts the app in `folder` and waits until it says that it listens.

    `settings` are environment variables: `BAAS_LIMITS__BODY_BYTES="1000"`.
    """
    log = folder / LOG
    process = start_process(folder, *options, **settings)
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        url = _address(process, log)
    finally:
        watchdog.cancel()
    return Gateway(process, url, folder, log)


def _address(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if "listens at" in line and (match := _ADDRESS.search(line)):
            return match[0]
    process.stdout.close()
    process.wait(STOP_SECONDS)
    raise AssertionError(f"did not start ({process.returncode}); log:\n{log.read_text()}")


@contextmanager
def running(folder: Path, *options: str, **settings: str) -> Iterator[Gateway]:
    """A gateway for the length of a `with`."""
    gateway = start_gateway(folder, *options, **settings)
    try:
        yield gateway
    finally:
        try:
            gateway.stop()
        finally:
            gateway.close()


def write_app(folder: Path, files: Mapping[str, str]) -> Path:
    """An app folder with these files."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


#: A small app: notes are their owner's, a board is everybody's to read, `closed` is nobody's.
NOTES_APP: Final = {
    "baas.yaml": "app: {name: notes}\n",
    "rules/notes.yaml": (
        "collection: notes\n"
        "acl: PRIVATE\n"
        "schema: {type: object, properties: {n: {type: integer}, title: {type: string}}}\n"
    ),
    "rules/board.yaml": "collection: board\nrules: {read: true, create: auth != null}\n",
    "rules/closed.yaml": "collection: closed\nacl: ADMINONLY\n",
    "public/index.html": "<!doctype html><title>notes</title><p>Hello\n",
}
