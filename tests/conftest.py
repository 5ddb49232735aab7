"""What every test shares: how long Hypothesis may look.

`pytest --hypothesis-profile=thorough` looks fifty times as far; for a change to the query language
or to an engine.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# No deadline per example: the machine that runs the tests may be busy, and time is not what
# these tests are about.
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("quick", max_examples=100, **_QUIET)
settings.register_profile("thorough", max_examples=5000, **_QUIET)
settings.load_profile("quick")
