"""The engine's own collections. A kit collection has no `.` in its name, so none of them is one."""

from __future__ import annotations

from typing import Final

#: `documents`: the turn of whoever writes documents, and the feed's end. `jobs`: the same for jobs.
META: Final = "baas.meta"
#: One row for each collection of the kit: its indexes, and where its documents have arrays.
COLLECTIONS: Final = "baas.collections"
#: The change feed: one row for each changed document, numbered without gaps.
FEED: Final = "baas.feed"
#: Answers kept under idempotency keys.
ONCE: Final = "baas.once"
JOBS: Final = "baas.jobs"
#: Ticks of timers, marks of followers, leaders.
MARKS: Final = "baas.marks"
#: Gateways that hold leases, each until a time that it moves on while it lives.
GATEWAYS: Final = "baas.gateways"
#: Gateways whose turns are taken in these sessions of the server.
HOLDERS: Final = "baas.holders"

DOCUMENTS_TURN: Final = "documents"
JOBS_TURN: Final = "jobs"
#: What the rows look like. A store of another version is refused.
FORMAT: Final = 1
