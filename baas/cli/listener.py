"""The listening socket: apart from the server, so that a parent of workers imports no gateway."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from baas.errors import ConfigurationError
from baas.settings import ServerSettings

BACKLOG: Final = 2048
#: Where the data folder says at which address its gateway listens.
_ADDRESS: Final = "address"


def reason(fault: OSError) -> str:
    """The system's words alone: Python adds the address, which stands beside them already."""
    return os.strerror(fault.errno) if fault.errno and fault.errno > 0 else str(fault)


def listen(server: ServerSettings) -> socket.socket:
    """A listening socket; ConfigurationError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    address = (server.host, server.port)
    try:
        listener = socket.create_server(address, family=family, backlog=BACKLOG)
    except OSError as fault:
        raise ConfigurationError(
            f"cannot listen on {server.host} port {server.port}: {reason(fault)}; "
            "choose another with --port (0 takes a free one) or stop what uses it"
        ) from None
    listener.set_inheritable(False)
    return listener


def note_address(data: Path, address: str) -> None:
    """For commands beside the gateway, which do not see with what options it was started."""
    # With MongoDB and S3 nothing else may have made the folder.
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / _ADDRESS).write_text(f"{address}\n", encoding="ascii")


def noted_address(data: Path) -> str | None:
    """Where the folder's gateway listens, or listened last; None where none ever did."""
    try:
        return (data / _ADDRESS).read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None
