"""A server for the tests of engine `mongo`.

`BAAS_TEST_MONGO_URL` names a real replica set, and then every test runs there. Without it they run
on mongo-java-server, a reimplementation in memory, started here with the transactions and snapshots
that it lacks (`mongoserver/TransactionServer.java`). What that one cannot do is listed in `LACKS`,
and a test that needs it is skipped with the reason.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

import pytest

from tests.support.repository import ROOT

VARIABLE: Final = "BAAS_TEST_MONGO_URL"
#: What the reimplementation lacks, and why a test cannot do without.
LACKS: Final = {
    "explain": "mongo-java-server has no explain command, so there is no plan to name an index",
    "timeout": "mongo-java-server ignores maxTimeMS, so the server never ends a long query",
    "failover": "mongo-java-server is one process: no primary steps down",
}
_SOURCE: Final = Path(__file__).parent / "mongoserver"
_START_SECONDS: Final = 60
#: Compiled classes and downloaded jars; outside of the checkout's sources, kept between runs.
_CACHE: Final = ROOT / ".pytest_cache" / "mongoserver"


def is_real() -> bool:
    return bool(os.environ.get(VARIABLE))


def need(capability: str) -> None:
    """Skips the test where the server cannot do this."""
    if not is_real() and capability in LACKS:
        pytest.skip(f"{LACKS[capability]}; set {VARIABLE} to run it")


@lru_cache(maxsize=1)
def server_url() -> str:
    """The server of this test process, started when it is first asked for."""
    given = os.environ.get(VARIABLE)
    if given:
        return given
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        message = f"tests of engine mongo need {', '.join(missing)}, or {VARIABLE}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    classpath = _classpath()
    process = subprocess.Popen(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp", classpath,
         "TransactionServer"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(_stop, process)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert address, "the test server did not start"
    return f"mongodb://{address}/?replicaSet=rs0"


def _stop(process: subprocess.Popen[str]) -> None:
    """It ends when its input does."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.stdout.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _classpath() -> str:
    """The jars and the compiled classes, made once for each state of the sources."""
    sources = sorted(_SOURCE.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    folder = _CACHE / digest
    jars, classes = folder / "jars", folder / "classes"
    if not classes.is_dir():
        building = _CACHE / f"{digest}.{os.getpid()}"
        _build(building)
        try:
            building.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(building)
    return os.pathsep.join([str(classes), *map(str, sorted(jars.glob("*.jar")))])


def _build(folder: Path) -> None:
    (folder / "classes").mkdir(parents=True)
    _run(
        "mvn", "-q", "-B", "-f", str(_SOURCE / "pom.xml"), "dependency:copy-dependencies",
        f"-DoutputDirectory={folder / 'jars'}",
    )  # fmt: skip
    jars = os.pathsep.join(map(str, (folder / "jars").glob("*.jar")))
    source = str(_SOURCE / "TransactionServer.java")
    _run("javac", "-d", str(folder / "classes"), "-cp", jars, source)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=_START_SECONDS * 5)
    assert done.returncode == 0, done.stdout + done.stderr
