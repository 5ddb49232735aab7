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
from .blocks import Call, Client, pause, within


class Tokens(Protocol):
    def token(self) -> str | None:
        """The access token, or None for nobody. Refreshes where it has run out."""

    def renew(self, refused: str) -> str | None:
        """The server refused this token as expired: a new one, or None where there is none."""


class Http:
    """`base`: without a slash at the end. `tokens` None: every call is nobody's."""

    def __init__(
        self,
        client: Client,
        base: str,
        timeout: float,
        retries: int,
        headers: dict[str, str],
        tokens: Tokens | None = None,
    ) -> None:
        self.client = client
        self.base = base
        self.timeout = timeout
        self.retries = retries
        self.headers = headers
        self.tokens = tokens

    def bare(self) -> Http:
        """The same, without tokens: for the calls that fetch them."""
        return Http(self.client, self.base, self.timeout, self.retries, {})

    def post(self, path: str, body: Any, safety: Safety, **options: Unpack[CallOptions]) -> Any:
        """POST of JSON; the answer's JSON."""
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        return parsed(self.send("POST", path, content, safety, **options))

    def get(self, path: str, **options: Unpack[CallOptions]) -> Any:
        return parsed(self.send("GET", path, None, "read", **options))

    def send(
        self,
        method: str,
        path: str,
        content: bytes | None,
        safety: Safety,
        **options: Unpack[CallOptions],
    ) -> Answer:
        headers = {} if content is None else {"Content-Type": "application/json"}

        def call(limit: float) -> Answer:
            request = self.client.build_request(
                method, self.base + path, content=content, headers=headers, timeout=limit
            )
            return self.answer(request, limit)

        return self.attempt(call, safety, headers, **options)

    def answer(self, request: httpx.Request, limit: float) -> Answer:
        """Any answer, read whole within `limit` seconds."""
        until = time.monotonic() + limit
        body = bytearray()
        response = self.client.send(request, stream=True)
        try:
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > until:
                    raise TimeoutError
        finally:
            response.close()
        return Answer(response.status_code, response.headers, bytes(body))

    def attempt(
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
            token = self._authorize(headers, safety)
            found = self._once(call, until)
            if isinstance(found, Answer):
                return found
            if token is not None and not renewed and is_stale(found):
                renewed = True
                if not self._renewed(token):
                    raise found
                continue
            seconds = pause_of(found, tried)
            late = time.monotonic() + seconds >= until
            if tried >= retries or late or not may_repeat(found, safety, headers):
                raise found
            tried += 1
            pause(seconds)

    def _authorize(self, headers: dict[str, str], safety: Safety) -> str | None:
        token = None if self.tokens is None else self.tokens.token()
        if token is None:
            headers.pop("Authorization", None)
        else:
            headers["Authorization"] = f"Bearer {token}"
            if safety == "key":
                headers.setdefault(KEY, random_text(24))
        return token

    def _renewed(self, refused: str) -> bool:
        found = None if self.tokens is None else self.tokens.renew(refused)
        return found is not None and found != refused

    def _once(self, call: Call[Answer], until: float) -> Answer | BaasError:
        """The answer, or the fault it is."""
        left = until - time.monotonic()
        if left <= 0:
            return BaasError(TIMEOUT, "No answer in time.")
        try:
            with within(left):
                answer = call(left)
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
