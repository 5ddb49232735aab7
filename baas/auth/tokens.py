"""Tokens: access tokens (JWT, EdDSA) and refresh tokens (an HMAC over session and generation).

An access token is a compact JWS (RFC 7515) under one algorithm and a header that is known byte for
byte, so there is nothing in it to interpret: signing and verifying are Ed25519 over the first two
segments (RFC 8037).
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature

from baas.auth.keys import SigningKeys, VerifyingKey, b64, unb64
from baas.clock import Clock
from baas.errors import Code, Problem
from baas.schema.values import encode
from baas.secret import MasterSecret

#: Longest access token that is looked at; ours have about 350 characters.
MAX_ACCESS_TOKEN: Final = 2048
#: Another gateway's clock may be ahead of ours by this much.
LEEWAY_SECONDS: Final = 5

_REFRESH: Final = re.compile(
    r"brt_([A-Za-z0-9_-]{1,64})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})", re.ASCII
)


class AccessClaims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of an access token's claims. `iat` and `exp` in whole seconds since 1970."""

    iss: str
    aud: str
    sub: str
    sid: str
    iat: int
    exp: int


class AccessTokens:
    """Mints and verifies access tokens of one app. Their audience is `{app}/access`."""

    def __init__(self, keys: SigningKeys, clock: Clock, app: str, seconds: int) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = app
        self._audience = f"{app}/access"
        self.seconds = seconds
        self._claims = msgspec.json.Decoder(AccessClaims)

    def mint(self, uid: str, session: str) -> str:
        now = self._clock.now_ms() // 1000
        claims = AccessClaims(self._issuer, self._audience, uid, session, now, now + self.seconds)
        signed = f"{self._keys.header}.{b64(encode(claims))}"
        return f"{signed}.{b64(self._keys.signer.sign(signed.encode()))}"

    def verify(self, token: str) -> tuple[AccessClaims, str]:
        """The claims of a good token and the `kid` of its key.

        UNAUTHENTICATED for anything else; TOKEN_EXPIRED for one that was good.
        """
        if len(token) > MAX_ACCESS_TOKEN:
            raise bad_token()
        key = self._keys.find(token.partition(".")[0])
        if key is None:
            raise bad_token()
        claims = self._signed_claims(token, key)
        if claims.iss != self._issuer or claims.aud != self._audience:
            raise bad_token()
        self._check_key(claims, key)
        self.check_times(claims)
        return claims, key.kid

    def check_times(self, claims: AccessClaims) -> None:
        now = self._clock.now_ms() // 1000
        if claims.iat > now + LEEWAY_SECONDS:
            raise bad_token()
        if claims.exp <= now:
            raise Problem(Code.TOKEN_EXPIRED, "The access token has expired; refresh it.")

    def _signed_claims(self, token: str, key: VerifyingKey) -> AccessClaims:
        """Only the one encoding of each part is taken: a token has no second spelling."""
        signed, _, signature = token.rpartition(".")
        payload = signed.partition(".")[2]
        try:
            raw, claims = unb64(signature), unb64(payload)
            if b64(raw) != signature or b64(claims) != payload:
                raise bad_token()
            key.public.verify(raw, signed.encode())
            return self._claims.decode(claims)
        except (InvalidSignature, msgspec.MsgspecError, ValueError):
            raise bad_token() from None

    def _check_key(self, claims: AccessClaims, key: VerifyingKey) -> None:
        """A key that no longer signs cannot vouch for a token made after it stopped."""
        if key.last_exp is not None and claims.exp > key.last_exp:
            raise bad_token()


class RefreshTokens:
    """`brt_{session}.{generation}.{mac}`: made from the session alone, so nothing is stored.

    The same session and generation give the same token, which is how a lost answer can be given
    again; and a forged one is found out before the store is asked.
    """

    def __init__(self, secret: MasterSecret) -> None:
        self._key = secret.derive("auth/refresh-tokens")

    def make(self, session: str, generation: int) -> str:
        return f"brt_{session}.{generation}.{self._mac(session, generation)}"

    def read(self, token: str) -> tuple[str, int]:
        """(session, generation); UNAUTHENTICATED unless this installation made it."""
        match = _REFRESH.fullmatch(token)
        if match is None:
            raise _bad_refresh()
        session, generation, mac = match[1], int(match[2]), match[3]
        if not hmac.compare_digest(mac, self._mac(session, generation)):
            raise _bad_refresh()
        return session, generation

    def _mac(self, session: str, generation: int) -> str:
        digest = hmac.digest(self._key, f"{session}.{generation}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def bad_token() -> Problem:
    """One text for every fault, so that a forger learns nothing from it."""
    return Problem(Code.UNAUTHENTICATED, "The access token is not valid here.")


def _bad_refresh() -> Problem:
    return Problem(Code.UNAUTHENTICATED, "The refresh token is not valid here.")
