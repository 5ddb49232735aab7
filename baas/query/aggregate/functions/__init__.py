"""The functions of aggregation expressions: one table, no other can be called."""

from __future__ import annotations

from typing import Final

from baas.query.aggregate.functions.arithmetic import ARITHMETIC
from baas.query.aggregate.functions.arrays import ARRAYS
from baas.query.aggregate.functions.base import Function
from baas.query.aggregate.functions.comparison import COMPARISON
from baas.query.aggregate.functions.dates import DATES
from baas.query.aggregate.functions.objects import OBJECTS
from baas.query.aggregate.functions.statistics import STATISTICS
from baas.query.aggregate.functions.strings import STRINGS
from baas.query.aggregate.functions.types import TYPES

#: By name on the wire.
FUNCTIONS: Final[dict[str, Function]] = {
    **ARITHMETIC,
    **COMPARISON,
    **ARRAYS,
    **STRINGS,
    **DATES,
    **TYPES,
    **OBJECTS,
    **STATISTICS,
}
