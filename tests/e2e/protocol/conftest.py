"""One gateway for all that reads the protocol as a stranger would, and two users of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.gateway import Gateway, running, write_app
from tests.support.outside import MULTI_MAX, Caller, somebody

OPEN = "rules: {read: true, write: auth != null}\n"
APP = {
    "rules/open.yaml": OPEN,
    "rules/many.yaml": OPEN,
    "rules/orders.yaml": OPEN,
    "rules/slugs.yaml": OPEN + "indexes: [{fields: [slug], unique: true}]\n",
    "rules/typed.yaml": OPEN + "schema: {properties: {at: {type: date}, place: {type: geo}}}\n",
    "rules/notes.yaml": "acl: PRIVATE\n",
    "rules/wall.yaml": "rules: {read: true, create: true}\n",
    "rules/checks.yaml": """
schema: {properties: {n: {type: integer}, text: {type: string, maxLength: 3}}}
indexes: [{fields: [slug], unique: true}]
rules:
  read: doc.public || doc._openid == auth.uid
  create: auth != null && newDoc.n != 13
  update: doc.n != 99 && newDoc.n != 13
  delete: doc._openid == auth.uid
fields: {masked: {read: false, write: false}}
""",
}


@pytest.fixture(scope="package")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("app"), APP)
    limits = {"BAAS_LIMITS__MULTI_MAX": str(MULTI_MAX), "BAAS_LIMITS__RATE_AUTH": "off"}
    with running(folder, **limits) as started:
        yield started


@pytest.fixture(scope="package")
def ann(gateway: Gateway) -> Caller:
    return somebody(gateway)


@pytest.fixture(scope="package")
def bob(gateway: Gateway) -> Caller:
    return somebody(gateway)
