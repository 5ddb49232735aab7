"""A secret's value after it was used, logged and lost in failures: on no disk, in no answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

from tests.e2e.test_fn_command import eventually, fn
from tests.support.gateway import ROOT, Gateway, running, write_app

_VALUE = "correct-horse-battery-staple-93"
_CODE = """
from baas import fn

@fn.event()
async def logs(ctx, event):
    ctx.log.info("the key is " + ctx.secrets["PAY_KEY"], key=ctx.secrets["PAY_KEY"])
    print(ctx.secrets["PAY_KEY"])
    return "logged"

@fn.event(retries="none")
async def loses(ctx, event):
    key = ctx.secrets["PAY_KEY"]
    raise ValueError(f"no luck with {key}")

@fn.event(isolation="process", retries="none")
def loses_there(ctx, event):
    key = {"nested": [ctx.secrets["PAY_KEY"]]}
    print(key)
    raise ValueError(f"no luck with {key}")
"""


def keep(folder: Path, name: str, value: str) -> None:
    clean = {key: text for key, text in os.environ.items() if key[:4] != "BAAS"}
    done = subprocess.run(
        [sys.executable, "-m", "baas", "secrets", "set", name, "--data", str(folder / "data")],
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT)},
        input=f"{value}\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert value not in done.stdout + done.stderr


def call(gateway: Gateway, key: str, name: str) -> str:
    """What an admin key is told, who is told most."""
    return gateway.post(f"/v1/functions/{name}", token=key).text


def test_a_secrets_value_is_nowhere_to_be_found(tmp_path: Path) -> None:
    with running(write_app(tmp_path, {"functions/main.py": _CODE})) as gateway:
        keep(tmp_path, "PAY_KEY", _VALUE)
        port = gateway.host_and_port[1]
        write_app(tmp_path, {"baas.yaml": f"server: {{port: {port}}}\n"})
        key = gateway.admin_key("functions:write", "functions:read")
        deadline = time.monotonic() + 10
        while call(gateway, key, "logs") != '"logged"':
            assert time.monotonic() < deadline, "the secret did not arrive"
        told = [call(gateway, key, name) for name in ("logs", "loses", "loses_there")]
        for name in ("loses", "loses_there"):
            gateway.post(f"/v1/functions/{name}?mode=async", token=key)
        told += [
            eventually(tmp_path, "no luck", "failures"),
            eventually(tmp_path, "key is", "logs"),
        ]
        told.append(fn(tmp_path, "failures"))

    # Stopped: all that it would ever write is written.
    assert "no luck with" in told[1]
    forms = (_VALUE.encode(), b64encode(_VALUE.encode()), _VALUE.encode().hex().encode())
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert any(one.suffix == ".db" or "sqlite" in one.name for one in files), files
    for form in forms:
        assert [one for one in files if form in one.read_bytes()] == []
        assert not any(form.decode() in text for text in told)


def test_a_list_of_secrets_shows_names_alone(tmp_path: Path) -> None:
    write_app(tmp_path, {"functions/main.py": _CODE})
    keep(tmp_path, "PAY_KEY", _VALUE)
    clean = {key: text for key, text in os.environ.items() if key[:4] != "BAAS"}

    listed = subprocess.run(
        [sys.executable, "-m", "baas", "secrets", "list", "--data", str(tmp_path / "data")],
        cwd=tmp_path,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout

    assert "PAY_KEY" in listed
    assert _VALUE not in listed
