"""The listening socket: apart from the server, so that a parent of workers imports no gateway."""

from __future__ import annotations

import os
import socket
from typing import Final

from baas.errors import ConfigurationError
from baas.settings import ServerSettings

BACKLOG: Final = 2048


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
