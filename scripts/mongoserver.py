"""The MongoDB server that the tests talk to where there is no real one: mongo-java-server from
Maven Central, with the transactions that it lacks (tests/support/mongoserver).

    python scripts/mongoserver.py          builds it if it is missing

It lands in the virtual environment, so that `make clean` takes it away too. Of several test
processes one builds, the others wait. With BAAS_TEST_MONGO_URL the tests run against that server.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "BAAS_TEST_MONGO_URL"
SOURCE: Final = Path(__file__).parents[1] / "tests" / "support" / "mongoserver"
FOLDER: Final = Path(sys.prefix) / "mongoserver"
MAIN: Final = "TransactionServer"
_TOOLS: Final = ("java", "javac", "mvn")


def command() -> list[str]:
    """What starts it, built now if need be; RuntimeError says why not.

    It prints its address, and ends when its input does.
    """
    folder = _built()
    places = [folder / "classes", *sorted((folder / "jars").glob("*.jar"))]
    classpath = os.pathsep.join(map(str, places))
    quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m")
    return ["java", *quick, "-cp", classpath, MAIN]


def _built() -> Path:
    """Made once for each state of the sources."""
    sources = sorted(SOURCE.iterdir())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    target = FOLDER / digest
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
                _build(Path(folder) / "new")
                (Path(folder) / "new").rename(target)
    return target


def _build(folder: Path) -> None:
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        raise RuntimeError(
            f"{', '.join(missing)} needed to build the server that the tests of engine mongo run"
            f" against: install a JDK and Maven, or name a replica set in {VARIABLE}"
        )
    (folder / "classes").mkdir(parents=True)
    jars = folder / "jars"
    _run(
        *("mvn", "-q", "-B", "-f", str(SOURCE / "pom.xml"), "dependency:copy-dependencies"),
        f"-DoutputDirectory={jars}",
    )
    classpath = os.pathsep.join(map(str, jars.glob("*.jar")))
    _run("javac", "-d", str(folder / "classes"), "-cp", classpath, str(SOURCE / f"{MAIN}.java"))


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{(done.stdout + done.stderr)[-2000:]}")


def main() -> None:
    if VARIABLE in os.environ:
        return
    try:
        print(f"mongo-java-server: {_built()}", flush=True)
    except RuntimeError as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
