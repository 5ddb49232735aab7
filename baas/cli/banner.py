"""What `baas serve` says once it listens."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Final

from baas import __version__
from baas.settings import Settings

#: Of the first admin key: documents, and nothing else.
SCOPES: Final = "--scope database:read --scope database:write"


def address_of(listener: socket.socket, settings: Settings) -> str:
    """The URL to open: a wildcard address is shown as this machine's own."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def banner(
    address: str, folder: Path, data: Path, settings: Settings, set_up: str | None = None
) -> str:
    """Several lines: the address first, for people and for programs that read it. `set_up` is the
    code that makes the first account of the panel, while there is none."""
    command = own_command()
    sign_in = f"curl -X POST -H 'Content-Type: application/json' -d '{{}}' {address}"
    workers = settings.server.workers
    place = "" if data == folder / "data" else f" --data {shlex.quote(shown(data))}"
    lines = [
        f"baas {__version__}: {settings.app.name} listens at {address}"
        f" (ready after {process_age_ms()} ms{f', {workers} workers' if workers > 1 else ''})",
        "",
        f"  try it   {sign_in}/v1/auth/sign-in/anonymous",
        f"  pages    {address}/docs (API){_public(address, folder, settings)}",
        f"  data     {shown(data)}{os.sep}",
        *_panel(address, settings, set_up),
        f"  keys     {command} admin key create first {SCOPES}{place}",
        "  stop     Ctrl-C",
        "",
    ]
    return "\n".join(lines)


def _panel(address: str, settings: Settings, set_up: str | None) -> list[str]:
    if not settings.admin.panel:
        return []
    if set_up is None:
        return [f"  admin    {address}/admin/"]
    # Behind the #, so that it is sent to nobody and stays out of logs.
    return [f"  admin    {address}/admin/#/set-up/{set_up}  (once: makes your account)"]


def _public(address: str, folder: Path, settings: Settings) -> str:
    page = folder / settings.app.public / "index.html"
    return f", {address}/ (the app's page)" if page.is_file() else ""


def own_command() -> str:
    """How to call `baas` from this folder: by its name where the PATH finds this one."""
    beside = Path(sys.executable).parent / "baas"
    found = shutil.which("baas")
    if found and beside.exists() and os.path.samefile(found, beside):
        return "baas"
    return shlex.quote(shown(beside)) if beside.exists() else "python -m baas"


def shown(path: Path) -> str:
    """Relative where it lies under the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def process_age_ms() -> int:
    """Milliseconds since this process was made (on Linux; elsewhere its CPU time so far)."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return round((time.clock_gettime(time.CLOCK_BOOTTIME) - started) * 1000)
    except (OSError, AttributeError, IndexError, ValueError):
        return round(time.process_time() * 1000)
