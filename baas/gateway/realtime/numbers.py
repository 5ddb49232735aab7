"""What the realtime wires of this process have sent, for /metrics."""

from __future__ import annotations

from typing import Final

_RESYNC: Final = b'{"type":"resync"'


class Sent:
    """Frames and `resync`s. One object for all wires: counting is on the way of every delivery."""

    __slots__ = ("frames", "resyncs")

    def __init__(self) -> None:
        self.frames = 0
        self.resyncs = 0

    def count(self, frame: bytes) -> None:
        self.frames += 1
        if frame.startswith(_RESYNC):
            self.resyncs += 1
