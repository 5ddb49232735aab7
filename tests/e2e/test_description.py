"""schemathesis over /openapi.json: whatever fits the description, or does not, meets no 5xx."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from baas.gateway.routes import all_routes
from baas.settings import Settings
from tests.support.gateway import NOTES_APP, Gateway, start_gateway, write_app

#: Names that the sample rules know, so that generated bodies get past the first refusal.
_COLLECTIONS = ("notes", "board", "closed")
_CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder: Path = write_app(tmp_path_factory.mktemp("app"), NOTES_APP)
    started = start_gateway(
        folder,
        BAAS_LIMITS__RATE_AUTH="off",
        BAAS_LIMITS__RATE_READ="off",
        BAAS_LIMITS__RATE_WRITE="off",
    )
    yield started
    started.client.close()
    started.stop()
    if started.process.stdout is not None:
        started.process.stdout.close()


@pytest.fixture(scope="module")
def token(gateway: Gateway) -> str:
    return gateway.admin_key("*")


@pytest.fixture(scope="module")
def api(gateway: Gateway) -> schemathesis.BaseSchema:
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


OPERATIONS = [
    (route.method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path))
    for route in all_routes(Settings())
    if route.documented
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_answers_as_described(
    api: schemathesis.BaseSchema, token: str, method: str, path: str
) -> None:
    headers = {} if path.startswith("/v1/auth") else {"Authorization": f"Bearer {token}"}

    @given(case=api[path][method].as_strategy(), collection=st.sampled_from(_COLLECTIONS))
    @settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
    def answers_as_described(case: schemathesis.Case, collection: str) -> None:
        if "collection" in case.path_parameters:
            case.path_parameters["collection"] = collection
        case.call_and_validate(headers=headers, checks=_CHECKS)

    answers_as_described()
