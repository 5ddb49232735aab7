"""Rows: what is kept of files, unfinished uploads and what users hold.

- `_files`: one per file, its `_id` the digest of its path, so that one path has one row. `blob` is
  where its bytes are (copies share one); `generation` is new when a file is made, not when it is
  replaced: links are bound to it.
- `_uploads`: one per unfinished upload in parts. The store forgets it once `expires` has passed.
- `_file_usage`: bytes and number of files of one user.
"""

from __future__ import annotations

from hashlib import blake2b, sha256
from typing import Final
from urllib.parse import quote

from baas.ids import new_id
from baas.schema.filepath import file_id, row_id
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, date_from_ms
from baas.storage.bodies import File

FILES: Final = "_files"
UPLOADS: Final = "_uploads"
USAGE: Final = "_file_usage"

#: Shown in place. Everything else, known to run scripts or not, is an attachment.
_SHOWN: Final = frozenset(
    ("image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "text/plain")
)
_SHOWN_KINDS: Final = ("audio/", "video/")


def _by(name: str) -> IndexSpec:
    return IndexSpec(name=name, keys=(IndexKey((name,)),))


#: What the app declares to the store.
STORAGE_COLLECTIONS: Final[dict[str, CollectionSpec]] = {
    FILES: CollectionSpec(name=FILES, indexes=(_by("path"), _by("blob"))),
    UPLOADS: CollectionSpec(name=UPLOADS, indexes=(_by("openid"),), ttl=("expires",)),
    USAGE: CollectionSpec(name=USAGE),
}


def new_row(
    stored: Document | None,
    *,
    path: str,
    size: int,
    content_type: str,
    metadata: Document,
    openid: str | None,
    now_ms: int,
) -> Document:
    """The file that will be, its bytes not known yet. It stays whose it was."""
    now = date_from_ms(now_ms)
    return {
        "_id": row_id(path),
        "path": path,
        "size": size,
        "contentType": content_type,
        "openid": openid if stored is None else stored["openid"],
        "metadata": metadata,
        "createTime": now if stored is None else stored["createTime"],
        "updateTime": now,
        "generation": new_id() if stored is None else stored["generation"],
    }


def file_of(app: str, row: Document) -> File:
    return File(
        file_id=file_id(app, row["path"]),
        path=row["path"],
        size=row["size"],
        content_type=row["contentType"],
        hash=row["hash"],
        openid=row["openid"],
        metadata=row["metadata"],
        create_time=row["createTime"],
        update_time=row["updateTime"],
    )


def etag_of(row: Document) -> str:
    """Of what a download sends: the bytes and their type."""
    seen = f"{row['hash']} {row['contentType']}".encode()
    return f'"{blake2b(seen, digest_size=16).hexdigest()}"'


def disposition_of(row: Document) -> str:
    """Content-Disposition of what is sent: what could run in a browser is saved, not shown."""
    kind = row["contentType"].partition(";")[0].strip()
    shown = kind in _SHOWN or kind.startswith(_SHOWN_KINDS)
    name = quote(row["path"].rpartition("/")[2], safe="")
    return f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{name}"


def usage_id(openid: str) -> str:
    return sha256(openid.encode()).hexdigest()
