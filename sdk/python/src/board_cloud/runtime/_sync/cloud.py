"""The client of one app."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

from ..answers import FunctionAnswer, Invocation
from ..errors import BaasError
from ..options import CallOptions
from ..policy import RETRIES, TIMEOUT_SECONDS
from ..realtime import Transport
from ..sessions import MemoryStore, SessionStore
from ..values import decode, encode
from .auth import Auth, Key
from .blocks import Client
from .database import Database
from .http import Http
from .live import Channel, Inbox, Live, OnError, OnMessage
from .storage import Storage


class BaseCloud:
    """`url`: the gateway's. `store` keeps the session (in memory, unless given). `key`: an admin
    key, instead of anybody who signs in; `act_as`: the uid that it acts for. `timeout`: seconds of
    a call; `retries`: tries after the first. `verify` and `trust_env`: certificates and proxies, as
    httpx takes them."""

    def __init__(
        self,
        url: str,
        *,
        store: SessionStore | None = None,
        key: str | None = None,
        act_as: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        retries: int = RETRIES,
        transport: Transport = "socket",
        verify: ssl.SSLContext | bool = True,
        trust_env: bool = True,
    ) -> None:
        base = url.rstrip("/")
        if not base.startswith(("http://", "https://")):
            raise ValueError(f"url begins with http:// or https://, unlike {url!r}")
        client = Client(verify=verify, trust_env=trust_env, follow_redirects=False)
        headers = {} if act_as is None else {"X-Baas-As": act_as}
        self._http = Http(client, base, timeout, retries, headers)
        self._live = Live(self._http, transport, verify, trust_env)
        self._auth: Auth | None = None
        if key is not None:
            self._http.tokens = Key(key)
        else:
            self._auth = Auth(self._http, store or MemoryStore())
            self._auth.on_token(self._live.token_changed)
        self._storage = Storage(self._http)
        self.upload_file = self._storage.upload_file
        self.download_file = self._storage.download_file
        self.get_temp_file_url = self._storage.get_temp_file_url
        self.delete_file = self._storage.delete_file

    def auth(self) -> Auth:
        """INVALID_ARGUMENT where an admin key stands in."""
        if self._auth is None:
            raise BaasError("INVALID_ARGUMENT", "This client has an admin key, and no sessions.")
        return self._auth

    def storage(self) -> Storage:
        return self._storage

    def channel(self, name: str) -> Channel:
        """A channel by name; `join` it to hear and to speak."""
        return self._live.channel(name)

    def inbox(self, on_message: OnMessage, on_error: OnError | None = None) -> Inbox:
        """Messages to this user alone; they wait for the user on the server."""
        return self._live.inbox(on_message, on_error)

    def close(self) -> None:
        """Ends every connection, and every watch and channel with them."""
        self._live.close()
        self._http.client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, name: str, data: Any, options: CallOptions) -> FunctionAnswer[Any]:
        path = f"/v1/functions/{quote(name, safe='')}"
        return FunctionAnswer(decode(self._http.post(path, _event(data), "key", **options)))

    def _call_later(self, name: str, data: Any, delay: int, options: CallOptions) -> Invocation:
        path = f"/v1/functions/{quote(name, safe='')}?mode=async"
        path += f"&delay={delay}" if delay else ""
        found = self._http.post(path, _event(data), "key", **options)
        return Invocation(found["invocationId"])


class Cloud(BaseCloud):
    """Of an app of which nothing is known."""

    def database(self) -> Database:
        return Database(self._http, self._live)

    def call_function(
        self, name: str, data: Any = None, **options: Unpack[CallOptions]
    ) -> FunctionAnswer[Any]:
        """A repeat after a lost answer is safe for callers who are signed in: the gateway runs it
        once."""
        return self._call(name, data, options)

    def call_function_later(
        self, name: str, data: Any = None, delay: int = 0, **options: Unpack[CallOptions]
    ) -> Invocation:
        """Hands a call over; it runs even if this program ends. `delay` in seconds."""
        return self._call_later(name, data, delay, options)


def _event(data: Any) -> Any:
    return {} if data is None else encode(data)
