"""Updates in the MongoDB dialect: parsed with limits to frozen Structs, then applied in memory.

`apply_update` is the only implementation: engines run it between reading and writing.
"""

from __future__ import annotations

from baas.query.update.apply import apply_update
from baas.query.update.model import (
    Update,
    paths_entered,
    paths_read,
    paths_written,
    set_object,
)
from baas.query.update.parse import parse_update

__all__ = [
    "Update",
    "apply_update",
    "parse_update",
    "paths_entered",
    "paths_read",
    "paths_written",
    "set_object",
]
