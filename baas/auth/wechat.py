"""WeChat's `code2session`: turns the code of `wx.login` into the user's openid.

One HTTPS call to an address the operator set. The `session_key` it also answers is dropped here:
it must never reach a client, and nothing in the kit needs it.
"""

from __future__ import annotations

import http.client
import logging
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from baas.auth.pool import BoundedPool
from baas.errors import Code, ConfigurationError, Problem
from baas.ids import is_id
from baas.settings import AuthSettings

TIMEOUT_SECONDS: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 * 1024
_WORKERS: Final = 4
_QUEUE: Final = 64
_PATH: Final = "/sns/jscode2session"

# WeChat's `errcode`: 40029 and 41008 a bad code, 40163 a used one, 40226 a user it holds risky.
_BAD_CODE: Final = frozenset({40029, 40163, 40226, 41008})
_TOO_OFTEN: Final = frozenset({45009, 45011})
_BUSY: Final = -1

_log = logging.getLogger("baas.auth.wechat")


class WechatIdentity(msgspec.Struct, frozen=True):
    """Who WeChat says it is. `unionid` only where the mini-program is bound to an open platform."""

    openid: str
    unionid: str | None
    appid: str


class _Answer(msgspec.Struct):
    openid: str = ""
    unionid: str = ""
    errcode: int = 0


class Wechat:
    """Asks WeChat in a small pool of threads. ConfigurationError for an unsafe `wechat_api`."""

    def __init__(self, settings: AuthSettings, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._appid = settings.wechat_appid
        self._secret = settings.wechat_secret
        self._timeout = timeout
        self._base = _checked(settings.wechat_api) if self._appid else None
        self._pool = BoundedPool("wechat", _WORKERS, _QUEUE)
        if self._appid and not self._secret:
            raise ConfigurationError("auth.wechat_appid is set, auth.wechat_secret is not")

    async def exchange(self, code: str) -> WechatIdentity:
        """NOT_SUPPORTED where it is switched off, INVALID_CREDENTIALS for a bad code,
        RATE_LIMITED and UNAVAILABLE as WeChat says or where it cannot be reached."""
        base = self._base
        if base is None:
            raise Problem(Code.NOT_SUPPORTED, "Sign-in with WeChat is not set up for this app.")
        answer = await self._pool.run(lambda: self._ask(base, code))
        if answer.errcode:
            raise _refusal(answer.errcode)
        if not is_id(answer.openid):
            _log.error("wechat answered without a usable openid")
            raise _unreachable()
        return WechatIdentity(answer.openid, answer.unionid or None, self._appid)

    def _ask(self, base: SplitResult, code: str) -> _Answer:
        query = urlencode(
            {
                "appid": self._appid,
                "secret": self._secret,
                "js_code": code,
                "grant_type": "authorization_code",
            }
        )
        try:
            body = self._get(base, f"{base.path.rstrip('/')}{_PATH}?{query}")
            return msgspec.json.decode(body, type=_Answer)
        except (OSError, http.client.HTTPException, msgspec.MsgspecError, ValueError) as fault:
            # The kind alone: a fault's text may hold the address, and with it the secret.
            _log.error("wechat cannot be asked: %s", type(fault).__name__)
            raise _unreachable() from None

    def _get(self, base: SplitResult, target: str) -> bytes:
        """Redirects are not followed: the address holds the app's secret."""
        kind: Any = (
            http.client.HTTPSConnection if base.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(base.hostname, base.port, timeout=self._timeout)
        try:
            connection.request("GET", target, headers={"Accept": "application/json"})
            with connection.getresponse() as response:
                body: bytes = response.read(MAX_ANSWER_BYTES + 1)
                if response.status != 200 or len(body) > MAX_ANSWER_BYTES:
                    raise ValueError("not an answer")
                return body
        finally:
            connection.close()

    def close(self) -> None:
        self._pool.close()


def _checked(address: str) -> SplitResult:
    base = urlsplit(address)
    if base.hostname and (base.scheme == "https" or (base.scheme == "http" and _local(base))):
        return base
    raise ConfigurationError("auth.wechat_api must be an https address")


def _local(base: SplitResult) -> bool:
    try:
        return ip_address(base.hostname or "").is_loopback
    except ValueError:
        return base.hostname == "localhost"


def _refusal(errcode: int) -> Problem:
    if errcode in _BAD_CODE:
        return Problem(Code.INVALID_CREDENTIALS, "WeChat does not accept this code.")
    if errcode in _TOO_OFTEN:
        return Problem(Code.RATE_LIMITED, "WeChat limits sign-ins just now.", retry_after=60)
    if errcode != _BUSY:
        _log.error("wechat refused with errcode %d: see auth.wechat_appid and secret", errcode)
    return _unreachable()


def _unreachable() -> Problem:
    return Problem(Code.UNAVAILABLE, "WeChat cannot answer now.", retry_after=2)
