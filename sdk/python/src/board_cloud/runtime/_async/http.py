"""Calls to the gateway: time limits, retries where nothing can happen twice, tokens."""

from __future__ import annotations

import json
import time
from typing import Any, Protocol, Unpack

import httpx

from ..errors import BAD_ANSWER, NETWORK, TIMEOUT, BaasError, error_of
from ..ids import random_text
from ..options import Answer, CallOptions
from ..policy import KEY, Safety, is_stale, may_repeat, pause_of
from .blocks import AsyncClient, Call, pause, within


class AsyncTokens(Protocol):
    async def token(self) -> str | None:
        """The access token, or None for nobody. Refreshes where it has run out."""

    async def renew(self, refused: str) -> str | None:
        """The server refused this token as expired: a new one, or None where there is none."""


class AsyncHttp:
    """`base`: without a slash at the end. `tokens` None: every call is nobody's."""

    def __init__(
        self,
        client: AsyncClient,
        base: str,
        timeout: float,
        retries: int,
        headers: dict[str, str],
        tokens: AsyncTokens | None = None,
    ) -> None:
        self.client = client
        self.base = base
        self.timeout = timeout
        self.retries = retries
        self.headers = headers
        self.tokens = tokens

    def bare(self) -> AsyncHttp:
        """The same, without tokens: for the calls that fetch them."""
        return AsyncHttp(self.client, self.base, self.timeout, self.retries, {})

    async def post(
        self, path: str, body: Any, safety: Safety, **options: Unpack[CallOptions]
    ) -> Any:
        """POST of JSON; the answer's JSON."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return parsed(await self.send("POST", path, content, safety, **options))

    async def get(self, path: str, **options: Unpack[CallOptions]) -> Any:
        return parsed(await self.send("GET", path, None, "read", **options))

    async def send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        safety: Safety,
        **options: Unpack[CallOptions],
    ) -> Answer:
        headers = {} if content is None else {"Content-Type": "application/json"}

        async def call(limit: float) -> Answer:
            request = self.client.build_request(
                method, self.base + path, content=content, headers=headers, timeout=limit
            )
            return await self.answer(request, limit)

        return await self.attempt(call, safety, headers, **options)

    async def answer(self, request: httpx.Request, limit: float) -> Answer:
        """Any answer, read whole within `limit` seconds."""
        until = time.monotonic() + limit
        body = bytearray()
        response = await self.client.send(request, stream=True)
        try:
            async for piece in response.aiter_bytes():
                body += piece
                if time.monotonic() > until:
                    raise TimeoutError
        finally:
            await response.aclose()
        return Answer(response.status_code, response.headers, bytes(body))

    async def attempt(
        self,
        call: Call[Answer],
        safety: Safety,
        headers: dict[str, str],
        **options: Unpack[CallOptions],
    ) -> Answer:
        """Runs `call` with a token in `headers`, again where that is safe and may help."""
        until = time.monotonic() + (options.get("timeout") or self.timeout)
        most = options.get("retries")
        retries = self.retries if most is None else most
        headers.update(self.headers)
        tried, renewed = 0, False
        while True:
            token = await self._authorize(headers, safety)
            found = await self._once(call, until)
            if isinstance(found, Answer):
                return found
            if token is not None and not renewed and is_stale(found):
                renewed = True
                if not await self._renewed(token):
                    raise found
                continue
            seconds = pause_of(found, tried)
            late = time.monotonic() + seconds >= until
            if tried >= retries or late or not may_repeat(found, safety, headers):
                raise found
            tried += 1
            await pause(seconds)

    async def _authorize(self, headers: dict[str, str], safety: Safety) -> str | None:
        token = None if self.tokens is None else await self.tokens.token()
        if token is None:
            headers.pop("Authorization", None)
        else:
            headers["Authorization"] = f"Bearer {token}"
            if safety == "key":
                headers.setdefault(KEY, random_text(24))
        return token

    async def _renewed(self, refused: str) -> bool:
        found = None if self.tokens is None else await self.tokens.renew(refused)
        return found is not None and found != refused

    async def _once(self, call: Call[Answer], until: float) -> Answer | BaasError:
        """The answer, or the fault it is."""
        left = until - time.monotonic()
        if left <= 0:
            return BaasError(TIMEOUT, "No answer in time.")
        try:
            async with within(left):
                answer = await call(left)
        except (TimeoutError, httpx.TimeoutException):
            return BaasError(TIMEOUT, "No answer in time.")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as fault:
            return BaasError(NETWORK, str(fault) or type(fault).__name__)
        if 200 <= answer.status < 300:
            return answer
        return error_of(answer.status, answer.body, answer.headers)


def parsed(answer: Answer) -> Any:
    if not answer.body:
        return None
    try:
        return json.loads(answer.body)
    except ValueError:
        raise BaasError(BAD_ANSWER, "The answer is no JSON.", status=answer.status) from None
