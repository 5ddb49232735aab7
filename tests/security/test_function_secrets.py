"""A secret that a function handles carelessly is in no log, record, capture or answer."""

from __future__ import annotations

import msgspec
import pytest

from baas.functions.service import FunctionService
from baas.observe.logs import LogWriter, install, uninstall
from baas.ports.documents import resolve
from baas.schema.actor import Actor
from tests.support.app import LogMemory
from tests.support.invoking import Shop, shop

SECRET = "whsec_Zm9vYmFyYmF6cXV4"
ADMIN = Actor(key="k1", trusted=True, cache_key="k1")

CARELESS = """
import logging, sys

@fn.event({options})
async def careless(ctx, event):
    key = ctx.secrets["KEY"]
    ctx.log.error(f"the key is {{key}}", key=key, nested={{"list": [key]}})
    logging.getLogger("shop").warning("key %s", key)
    print("key", key)
    holder = {{"a": [key], "b": "x" * 295 + key}}
    raise ValueError(f"refused: {{key}}")
"""


@pytest.mark.parametrize("options", ["", 'isolation="process"'])
def test_it_is_nowhere(options: str, capfd: pytest.CaptureFixture[str]) -> None:
    log = LogMemory()
    writer = LogWriter(log, form="json")
    bridge = install(writer)
    try:

        @shop()
        async def play(shop: Shop) -> None:
            functions = FunctionService(
                shop.store, shop.service, shop.clock, secrets=shop.secrets, logs=writer
            )
            shop.functions, before = functions, shop.functions
            await before.stop()
            await functions.start()
            shop.secrets.set(KEY=SECRET)
            shop.deploy(CARELESS.format(options=options))
            problem = await shop.problem("careless", actor=ADMIN)
            answer = f"{problem.detail} {msgspec.json.encode(problem.extra).decode()}"
            assert "ValueError" in answer
            kept = [answer.encode()]
            await functions.records.flush()
            for name in await resolve(shop.store.names()):
                kept += [body async for body in shop.store.scan(name)]
            writer.flush()
            text = b"\n".join([*kept, log.data]).decode()
            assert "the key is [redacted]" in text
            assert SECRET[:12] not in text

        play()
    finally:
        uninstall(bridge)
        writer.close()
    if options:
        # Of a process even what is printed; inline, `print` is the gateway's own output.
        assert SECRET not in "".join(capfd.readouterr())
