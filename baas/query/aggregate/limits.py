"""What one pipeline may cost beyond the settings of `QueryLimits`: constants of the dialect."""

from __future__ import annotations

from typing import Final

#: Pipelines inside pipelines, the outermost counted.
MAX_PIPELINE_DEPTH: Final = 5
#: Levels of one expression.
MAX_EXPRESSION_DEPTH: Final = 32
#: Operators, paths and values of all expressions of one pipeline together.
MAX_EXPRESSION_NODES: Final = 2000
#: Levels of a value on its way through a pipeline; deeper than a stored document may be.
MAX_VALUE_DEPTH: Final = 100
#: Size of one value on its way, in units of about a byte (`budget.tree_size`).
MAX_VALUE_SIZE: Final = 16 * 1024**2
#: Memory that one run may ask for in all, in bytes, roughly, what it let go of included.
MAX_MADE: Final = 256 * 1024**2
#: Size of an answer, in the units of MAX_VALUE_SIZE.
MAX_ANSWER_SIZE: Final = 16 * 1024**2
#: Numbers that one `$range` makes.
MAX_RANGE: Final = 100_000
#: Reads of other collections that one run may ask for.
MAX_LOOKUPS: Final = 1000
#: Values of one `$lookup` read; more are asked for in several.
LOOKUP_VALUES: Final = 500
#: Steps of work (about a microsecond each) between two looks at the clock.
STEPS_PER_CHECK: Final = 5000
