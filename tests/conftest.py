"""What every test shares: how long Hypothesis may look.

`pytest --hypothesis-profile=thorough` looks fifty times as far; for a change to the query language
or to an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.s3 import Server, server_names, serving

if TYPE_CHECKING:
    from tests.support.browser import Browser

# No deadline per example: the machine that runs the tests may be busy, and time is not what
# these tests are about.
_QUIET = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("quick", max_examples=100, **_QUIET)
settings.register_profile("thorough", max_examples=5000, **_QUIET)
settings.load_profile("quick")


@pytest.fixture(scope="session")
def s3_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Running S3 servers by name, each started when it is first asked for."""
    with ExitStack() as stack:
        running: dict[str, Server] = {}

        def server(name: str) -> Server:
            if name not in running:
                folder = tmp_path_factory.mktemp("s3") / name
                running[name] = stack.enter_context(serving(name, folder))
            return running[name]

        yield server


@pytest.fixture(scope="session", params=server_names())
def s3_server(request: pytest.FixtureRequest, s3_servers: Callable[[str], Server]) -> Server:
    """Each of the real S3 servers in turn."""
    return s3_servers(request.param)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started when it is first asked for."""
    from tests.support.browser import browsing  # half a second: for tests that need it

    with browsing() as running:
        yield running
