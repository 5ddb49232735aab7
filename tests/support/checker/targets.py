"""The gateways under test: one's own, that may be killed, or others' by their addresses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

import httpx

from tests.support.cluster import Cluster
from tests.support.gateway import Gateway, start_gateway, write_app

_OPEN: Final = "doc.open == true || doc._openid == auth.uid"
_WIDER: Final = f"{_OPEN} || doc.n == 3"
_RULES: Final = """\
collection: items
indexes:
  - fields: [n]
rules:
  read: {read}
  create: auth != null
  update: auth != null
  delete: auth != null
fields:
  secret: {{read: doc._openid == auth.uid}}
"""
#: What the app of a target has to have; one's own gateways are started with it.
APP: Final = {
    "baas.yaml": "app: {name: checked}\n",
    "rules/items.yaml": _RULES.format(read=_OPEN),
    "rules/_channels.yaml": """\
- channel: hall:{name}
  subscribe: auth != null
  publish: auth != null
  presence: auth != null
  history: {keep: 24h, max: 100000}
""",
}
#: Tokens live as long as this, in seconds; connections get little room, so that slow ones feel it.
SETTINGS: Final = {
    "BAAS_AUTH__ACCESS_TOKEN_SECONDS": "4",
    "BAAS_PUSH__BUFFER_BYTES": "30000",
    "BAAS_OBSERVE__ACCESS_SAMPLE": "0",
    "BAAS_LIMITS__RATE_AUTH": "off",
    "BAAS_LIMITS__RATE_READ": "off",
    "BAAS_LIMITS__RATE_WRITE": "off",
}


def _write_rules(folder: Path, wide: bool) -> None:
    """At one blow: nobody reads half of them."""
    part = folder / "rules" / "items.yaml.part"
    part.write_text(_RULES.format(read=_WIDER if wide else _OPEN))
    part.replace(folder / "rules" / "items.yaml")


class Target(Protocol):
    """`url` gives an address that is good now; `key` an admin key (`push:write`), or None."""

    key: str | None

    def url(self, random: Random) -> str: ...

    async def trouble(self, random: Random) -> str | None:
        """Does something bad, and says what; None where it can do nothing."""
        ...


class Addresses:
    """Gateways that somebody else runs, with `APP`."""

    def __init__(self, urls: list[str], key: str | None) -> None:
        self.urls = urls
        self.key = key

    def url(self, random: Random) -> str:
        return random.choice(self.urls)

    async def trouble(self, random: Random) -> str | None:
        return None


class Own:
    """A gateway with `workers` processes on a folder of its own."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.folder = write_app(folder, APP)
        self._options = ("--workers", str(workers)) if workers > 1 else ()
        self.gateway = self._start()
        self.key: str | None = self.gateway.admin_key("push:write", "push:read")
        self._wide = False

    def _start(self) -> Gateway:
        return start_gateway(self.folder, *self._options, **SETTINGS)

    def url(self, random: Random) -> str:
        return self.gateway.url

    async def trouble(self, random: Random) -> str | None:
        kind = random.choice([self._kill, self._kill, self._stop, self._turn_rules])
        return await asyncio.to_thread(kind)

    def _kill(self) -> str:
        self.gateway.kill()
        self.gateway.close()
        self.gateway = self._start()
        return "kill -9"

    def _stop(self) -> str:
        self.gateway.stop()
        self.gateway.close()
        self.gateway = self._start()
        return "stop"

    def _turn_rules(self) -> str:
        self._wide = not self._wide
        _write_rules(self.folder, self._wide)
        return "rules"

    def log_text(self) -> str:
        return self.gateway.log_text()

    def close(self) -> None:
        try:
            self.gateway.stop()
        finally:
            self.gateway.close()


class Pair:
    """Two gateways on one MongoDB. One at a time is killed or stopped, while the other serves."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster(folder, APP, **SETTINGS)
        self.gateways = {name: self.cluster.start(name) for name in ("one", "other")}
        self.key: str | None = self.gateways["one"].admin_key(
            "push:write", "push:read", **self.cluster.environment
        )
        self._urls = {name: gateway.url for name, gateway in self.gateways.items()}
        self._begun = False
        self._wide = False

    def url(self, random: Random) -> str:
        """Of one that may be away just now, as a proxy has them that did not notice yet."""
        return self._urls[random.choice(sorted(self._urls))]

    async def trouble(self, random: Random) -> str | None:
        kind = random.choice(["kill -9", "kill -9", "stop", "rules"])
        if not self._begun:  # however short it is, one was killed
            self._begun, kind = True, "kill -9"
        if kind == "rules":
            return self._turn_rules()
        name = random.choice(sorted(self.gateways))
        await asyncio.to_thread(self._restart, name, kind == "stop")
        return f"{kind} {name}"

    def _restart(self, name: str, gently: bool) -> None:
        gateway = self.gateways[name]
        if gently:
            gateway.stop()
        else:
            gateway.kill()
        gateway.close()
        self.gateways[name] = self.cluster.start(name)
        self._urls[name] = self.gateways[name].url

    def _turn_rules(self) -> str:
        """At one after the other: for a moment they do not say the same."""
        self._wide = not self._wide
        for name in self.gateways:
            _write_rules(self.cluster.folder(name), self._wide)
        return "rules"

    def log_text(self) -> str:
        return "".join(gateway.log_text() for gateway in self.gateways.values())

    def close(self) -> None:
        try:
            for gateway in self.gateways.values():
                gateway.stop()
        finally:
            for gateway in self.gateways.values():
                gateway.close()
            self.cluster.drop()


class Caller:
    """One user: its tokens, and requests that know how a gateway may be away."""

    def __init__(self, target: Target, client: httpx.AsyncClient, random: Random) -> None:
        self.target = target
        self._client = client
        self._random = random
        self.uid = ""
        self.token = ""
        self._refresh = ""

    async def sign_in(self) -> None:
        session = await self._surely("/v1/auth/sign-in/anonymous", {})
        self.uid = session["user"]["uid"]
        self._take(session)

    async def refresh(self) -> None:
        self._take(await self._surely("/v1/auth/refresh", {"refreshToken": self._refresh}))

    def _take(self, session: Any) -> None:
        self.token, self._refresh = session["accessToken"], session["refreshToken"]

    async def _surely(self, path: str, body: Any) -> Any:
        """Until there is an answer."""
        while True:
            answer = await self.ask(path, body, token=None)
            if answer is not None and answer.status_code == 200:
                return answer.json()
            await asyncio.sleep(0.1)

    async def ask(self, path: str, body: Any, token: str | None) -> httpx.Response | None:
        """None where no answer came: whether it was done is not known."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        url = self.target.url(self._random) + path
        try:
            return await self._client.post(url, json=body, headers=headers)
        except httpx.TransportError:
            return None

    async def do(self, path: str, body: Any) -> httpx.Response | None:
        """With a good token."""
        answer = await self.ask(path, body, self.token)
        if answer is not None and answer.status_code == 401:
            await self.refresh()
            answer = await self.ask(path, body, self.token)
        return answer

    async def find(self, query: dict[str, Any]) -> list[Any]:
        """A fresh query; until it is answered."""
        while True:
            answer = await self.do("/v1/database/items/find", {"limit": 1000, **query})
            if answer is not None and answer.status_code == 200:
                documents: list[Any] = answer.json()["documents"]
                return documents
            await asyncio.sleep(0.1)
