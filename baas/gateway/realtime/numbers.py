"""What the realtime wires of this process have sent, for /metrics."""

from __future__ import annotations

from typing import Final

from baas.observe.metrics import Metrics
from baas.push.sessions import Sessions

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

    def measure(self, metrics: Metrics, sessions: Sessions) -> None:
        """Makes these numbers, and those of `sessions`, known."""
        metrics.gauge(
            "baas_realtime_connections",
            "Realtime connections, long-polls included.",
            lambda: len(sessions),
        )
        metrics.gauge(
            "baas_realtime_watches", "Live queries that are open.", lambda: sessions.watches
        )
        metrics.gauge(
            "baas_realtime_channels", "Channels that are joined.", lambda: sessions.joined
        )
        metrics.total("baas_realtime_frames_total", "Frames sent.", lambda: self.frames)
        metrics.total(
            "baas_realtime_resyncs_total",
            "Live queries that had to start again from a snapshot.",
            lambda: self.resyncs,
        )
