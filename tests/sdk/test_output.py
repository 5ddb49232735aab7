"""What is checked in is what would be made."""

from __future__ import annotations

import subprocess
import sys

from scripts.sync_face import TARGET, made
from tests.support.gateway import ROOT


def test_the_clients_of_the_sample_app_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baas", "sdk", "generate", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "up to date\n"), done.stdout + done.stderr


def test_the_synchronous_face_is_that_of_the_asynchronous_one() -> None:
    found = made()
    assert {"auth.py", "cloud.py", "database.py", "http.py", "storage.py"} <= found.keys()
    for name, text in found.items():
        assert (TARGET / name).read_text() == text, "run: python scripts/sync_face.py"
