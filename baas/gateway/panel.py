"""The admin panel at `/admin`: the files of `admin/dist`, built beforehand and shipped.

The page runs no script but its own files, talks to this gateway alone and is shown in no frame. It
holds no secret, so it is served to anyone; everything that it shows comes from the admin API.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import baas
from baas.errors import Code, Problem, not_found
from baas.gateway.exchange import Answer, Exchange, Header, matches_etag
from baas.gateway.public import content_type_of, is_clean

PREFIX: Final = "/admin"
#: Where the wheel has it, and where a checkout has it.
_PLACES: Final = ("panel", "../admin/dist")
#: Vite names these after their content.
_HASHED: Final = "/assets/"
_MAX_PATH: Final = 200

#: Scripts are this server's files alone: no inline script, no eval, no other origin. Styles are set
#: through the CSSOM, which no policy needs to allow. `blob:` shows previews of files that need a
#: token to be fetched.
_CSP: Final[Header] = (
    b"content-security-policy",
    b"default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self';"
    b" img-src 'self' data: blob:; media-src blob:; base-uri 'none'; form-action 'none';"
    b" frame-ancestors 'none'",
)
_COMMON: Final[tuple[Header, ...]] = (
    _CSP,
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


def is_panel_path(path: str) -> bool:
    return path == PREFIX or path.startswith(PREFIX + "/")


class PanelFiles:
    """Serves the panel; NOT_FOUND for all where there is none, or it is switched off."""

    def __init__(self, *, enabled: bool) -> None:
        self._root = _folder() if enabled else None
        self._read: dict[str, tuple[bytes, str]] = {}

    async def answer(self, exchange: Exchange) -> Answer:
        if exchange.method not in ("GET", "HEAD"):
            raise Problem(Code.METHOD_NOT_ALLOWED, "The panel can be read with GET.")
        if exchange.path == PREFIX:  # links in the page are relative to the folder
            return Answer(b"", 308, ((b"location", b"/admin/"), *_COMMON))
        name = exchange.path[len(PREFIX) :]
        body, etag = await self._file("/index.html" if name == "/" else name)
        fresh = b"public, max-age=31536000, immutable" if name.startswith(_HASHED) else b"no-cache"
        headers = (
            (b"content-type", content_type_of(name if name != "/" else "index.html").encode()),
            (b"etag", etag.encode()),
            (b"cache-control", fresh),
            *_COMMON,
        )
        wanted = exchange.text(b"if-none-match")
        if wanted is not None and matches_etag(wanted, etag):
            return Answer(b"", 304, headers)
        return Answer(body, 200, headers)

    async def _file(self, name: str) -> tuple[bytes, str]:
        """Read once: a release does not change under a running process."""
        found = self._read.get(name)
        if found is None:
            found = await asyncio.to_thread(self._load, name)
            self._read[name] = found
        return found

    def _load(self, name: str) -> tuple[bytes, str]:
        from hashlib import blake2b

        known = len(name) <= _MAX_PATH and is_clean(name) and not name.endswith("/")
        if self._root is None or not known:
            raise not_found("There is no such file.")
        try:
            body = (self._root / name[1:]).read_bytes()
        except OSError:
            raise not_found("There is no such file.") from None
        return body, f'"{blake2b(body, digest_size=9).hexdigest()}"'


def _folder() -> Path | None:
    package = Path(baas.__file__).parent
    for place in _PLACES:
        if (package / place / "index.html").is_file():
            return (package / place).resolve()
    return None
