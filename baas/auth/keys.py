"""The keys that sign access tokens: made at first start, sealed at rest, rotated, published.

All keys are one document, so that making the first key and rotating are single steps whoever
does them, and one read tells a process whether anything changed. The newest key signs. An older
one goes on verifying tokens that ended by its `last_exp`; its private part is gone.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from baas.auth.collections import KEYS
from baas.clock import Clock
from baas.errors import ConfigurationError
from baas.ports.documents import (
    KEEP,
    Apply,
    Change,
    DocumentStore,
    Lookups,
    Outcome,
    WriteInfo,
    resolve,
)
from baas.schema.values import Document, date_from_ms, decode, encode
from baas.secret import MasterSecret

DOCUMENT_ID: Final = "access"
ALGORITHM: Final = "EdDSA"
TOKEN_TYPE: Final = "at+jwt"  # noqa: S105 - RFC 9068's `typ`, not a secret
#: How old this process's view of the keys may be.
RELOAD_SECONDS: Final = 1.0
#: Another process may sign with the old key until it looks again.
_GRACE_SECONDS: Final = 10
#: Old public keys kept so that long-expired tokens still answer TOKEN_EXPIRED.
_KEPT: Final = 16
_NONCE_BYTES: Final = 12


class VerifyingKey(msgspec.Struct, frozen=True):
    """`last_exp`: latest `exp` (seconds) this key may vouch for; None while it signs."""

    kid: str
    public: Ed25519PublicKey
    raw: str
    last_exp: int | None


class SigningKeys:
    """This process's view of the keys. `start` before use; `refresh` whenever freshness matters."""

    def __init__(
        self, store: DocumentStore, secret: MasterSecret, clock: Clock, token_seconds: int
    ) -> None:
        self._store = store
        self._seal = AESGCM(secret.derive("auth/signing-keys"))
        self._clock = clock
        self._token_seconds = token_seconds
        self._seen: bytes | None = None
        self._loaded = 0.0
        self._by_header: dict[str, VerifyingKey] = {}
        self._kids: frozenset[str] = frozenset()
        self.signer: Ed25519PrivateKey
        self.kid = ""

    async def start(self) -> None:
        """Loads the keys, making the first one where there is none.

        ConfigurationError where they were sealed with another master secret.
        """
        if await resolve(self._store.get(KEYS, DOCUMENT_ID)) is None:
            first = self._make()

            def apply(document: Document | None, _: Lookups) -> Outcome:
                return self._document([first]) if document is None else KEEP

            await self._write(apply)
        await self._load()

    async def refresh(self) -> None:
        """Looks at the store again if the last look is older than `RELOAD_SECONDS`."""
        if self._clock.monotonic() - self._loaded >= RELOAD_SECONDS:
            await self._load()

    async def rotate(self, *, drop_old: bool = False) -> str:
        """Makes a new signing key and returns its `kid`.

        `drop_old` forgets the older ones: every access token out there is refused at once and has
        to be refreshed. Also the way out when they cannot be unsealed, which is otherwise a
        ConfigurationError: a tool with another secret must not lock the gateway out of its keys.
        """
        if not drop_old:
            await self.start()
        made = self._make()

        def apply(document: Document | None, _: Lookups) -> Outcome:
            older = [] if drop_old or document is None else document["keys"]
            return self._document([made, *map(self._retire, older)][:_KEPT])

        await self._write(apply)
        await self._load()
        return str(made["kid"])

    def find(self, header: str) -> VerifyingKey | None:
        """By a token's first segment, which must be byte for byte what this kit writes.

        So nothing in a header is ever believed: not its `alg`, not `jwk`, `x5u` or `crit`.
        """
        return self._by_header.get(header)

    def accepts(self, kid: str) -> bool:
        return kid in self._kids

    @property
    def header(self) -> str:
        """The first segment of a new token."""
        return _header(self.kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys as a JWK set (RFC 7517, RFC 8037), without those no token needs."""
        now = self._clock.now_ms() // 1000
        keys = self._by_header.values()
        return {"keys": [_jwk(key) for key in keys if key.last_exp is None or key.last_exp > now]}

    def _make(self) -> Document:
        private = Ed25519PrivateKey.generate()
        public = b64(private.public_key().public_bytes_raw())
        kid = thumbprint(public)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._seal.encrypt(nonce, private.private_bytes_raw(), kid.encode())
        created = date_from_ms(self._clock.now_ms())
        return {"kid": kid, "public": public, "private": b64(sealed), "createTime": created}

    def _retire(self, key: Document) -> Document:
        """What stays of a key that no longer signs. Idempotent."""
        last = self._clock.now_ms() // 1000 + self._token_seconds + _GRACE_SECONDS
        kept = {name: value for name, value in key.items() if name != "private"}
        return {"lastExp": last, **kept}

    def _document(self, keys: list[Document]) -> Document:
        return {"_id": DOCUMENT_ID, "keys": keys}

    async def _write(self, apply: Apply) -> None:
        step = Change(collection=KEYS, id=DOCUMENT_ID, apply=apply)
        await self._store.write((step,), WriteInfo())

    async def _load(self) -> None:
        now = self._clock.monotonic()
        stored = await resolve(self._store.get(KEYS, DOCUMENT_ID))
        if stored is None:
            raise ConfigurationError("the signing keys are gone from the data folder")
        if stored != self._seen:
            self._take(decode(stored)["keys"])
            self._seen = stored
        self._loaded = now

    def _take(self, keys: list[Document]) -> None:
        signer = self._unseal(keys[0])
        found = [_verifying(key) for key in keys]
        self.signer, self.kid = signer, found[0].kid
        self._by_header = {_header(key.kid): key for key in found}
        self._kids = frozenset(key.kid for key in found)

    def _unseal(self, key: Document) -> Ed25519PrivateKey:
        sealed = unb64(key["private"])
        nonce, box = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        try:
            raw = self._seal.decrypt(nonce, box, key["kid"].encode())
        except InvalidTag:
            raise ConfigurationError(
                "the signing keys in this data folder were sealed with another secret; bring back "
                "the old server.secret (or the data folder's file `secret`), or make new keys "
                "with: baas admin keys rotate --drop-old"
            ) from None
        return Ed25519PrivateKey.from_private_bytes(raw)


def thumbprint(public: str) -> str:
    """The key's `kid`: its JWK thumbprint (RFC 7638)."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}'
    return b64(hashlib.sha256(members.encode()).digest())


def _verifying(key: Document) -> VerifyingKey:
    public = Ed25519PublicKey.from_public_bytes(unb64(key["public"]))
    return VerifyingKey(key["kid"], public, key["public"], key.get("lastExp"))


def _header(kid: str) -> str:
    """A token's first segment: members sorted, no spaces."""
    return b64(encode({"alg": ALGORITHM, "kid": kid, "typ": TOKEN_TYPE}))


def _jwk(key: VerifyingKey) -> dict[str, str]:
    fixed = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": ALGORITHM}
    return {**fixed, "kid": key.kid, "x": key.raw}


def b64(data: bytes) -> str:
    """base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    """The reverse. ValueError where it cannot be one; some other spellings are taken too."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
