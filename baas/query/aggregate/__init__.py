"""Aggregation pipelines in the MongoDB dialect, parsed with limits and run in memory.

`parse_pipeline` makes a Pipeline; its `leading` part goes to the engine as a find, and `run` makes
the answer of what that finds, masked. docs/aggregation.md is the language as clients see it.
"""

from __future__ import annotations

from baas.query.aggregate.lookup import LookupRequest
from baas.query.aggregate.parse import parse_pipeline
from baas.query.aggregate.pipeline import Leading, Pipeline
from baas.query.aggregate.run import run

__all__ = ["Leading", "LookupRequest", "Pipeline", "parse_pipeline", "run"]
