"""S3 servers that the tests talk to: built by `go install` at the versions below, once.

    python scripts/s3servers.py            builds those that are missing

They land in the virtual environment, so that `make clean` takes them away too. Of several test
processes one builds, the others wait.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

#: Checked by Go against its checksum database.
VERSIONS: Final = {
    "versitygw": ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0"),
    "minio": ("github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c"),
}
FOLDER: Final = Path(sys.prefix) / "s3servers"


def binary(name: str) -> Path:
    """The program of that server, built now if it is not there; RuntimeError says why not."""
    module, version = VERSIONS[name]
    target = FOLDER / f"{name}-{version}"
    if target.exists():
        return target
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(f"{module}@{version}", target)
    return target


def _build(module: str, target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise RuntimeError(
            f"Go is needed to build {module}, which the storage tests run against:"
            " install it, or name a server of your own in BAAS_TEST_S3_URL"
        )
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        environment = {**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"}
        done = subprocess.run(
            (go, "install", "-ldflags=-s -w", module),
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"go install {module} failed:\n{done.stderr[-2000:]}")
        (program,) = Path(folder).iterdir()
        program.replace(target)


def main() -> None:
    if "BAAS_TEST_S3_URL" in os.environ:
        return  # the tests run against that one
    for name in os.environ.get("BAAS_TEST_S3", ",".join(VERSIONS)).split(","):
        try:
            print(f"{name}: {binary(name)}", flush=True)
        except RuntimeError as fault:
            sys.exit(str(fault))


if __name__ == "__main__":
    main()
