"""What one query may cost. The settings are the operator's; the constants are the protocol's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from baas.errors import Code, FieldError, Problem
from baas.schema.admit import MAX_NAME_LENGTH

if TYPE_CHECKING:
    from baas.settings import LimitSettings

#: Characters in a regular expression (protocol.md).
MAX_PATTERN_LENGTH: Final = 256
#: Keys of one sort; the number MongoDB allows too.
MAX_SORT_KEYS: Final = 32
#: Paths of one projection.
MAX_PROJECTION_PATHS: Final = 500
#: Components of one dotted path: a path deeper than a document can be finds nothing.
MAX_PATH_DEPTH: Final = 20
#: Characters of one dotted path: every component at its longest, and the dots.
MAX_PATH_LENGTH: Final = MAX_PATH_DEPTH * (MAX_NAME_LENGTH + 1)
#: Characters of one `$text` search, and words and phrases in it.
MAX_SEARCH_LENGTH: Final = 500
MAX_SEARCH_TERMS: Final = 32
#: Positions of the geometry of one geographic condition.
MAX_GEO_POSITIONS: Final = 500
#: All lists of one filter together may hold this many times `list_items`.
LISTS_PER_FILTER: Final = 10


class QueryLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `LimitSettings` that reading a query needs; same names, same defaults."""

    filter_depth: int = 20
    filter_nodes: int = 500
    list_items: int = 1000
    document_depth: int = 20
    pipeline_stages: int = 50
    aggregate_max: int = 1000
    aggregate_input: int = 100_000

    @classmethod
    def of(cls, settings: LimitSettings) -> QueryLimits:
        return cls(**{name: getattr(settings, name) for name in cls.__struct_fields__})


DEFAULT_LIMITS: Final = QueryLimits()


def exceeded(path: str, message: str) -> Problem:
    """LIMIT_EXCEEDED for one field of a body."""
    return Problem(Code.LIMIT_EXCEEDED, f"{path}: {message}", errors=(FieldError(path, message),))
