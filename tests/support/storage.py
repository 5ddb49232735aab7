"""Uploads as clients send them, and an app whose files have rules of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from tests.support.app import Harness, Reply

BOUNDARY = "x-boundary-x"

#: Home is its owner's, the open shelf anybody's to read, a drop box nobody's.
RULES = """
- path: home/{uid}/{file...}
  read: auth.uid == params.uid
  write: auth.uid == params.uid && resource.size <= 1000
- path: shelf/{file}
  read: true
  write: auth != null
  delete: resource.openid == auth.uid
- path: drop/{file...}
  read: "'staff' in auth.roles"
  write: auth != null && stored == null
- path: looked/{id}
  read: get('database.rooms.' + params.id).open == true
  write: get('database.rooms.' + params.id).open == true
"""
APP = {
    "baas.yaml": "app: {name: files}\n",
    "rules/_storage.yaml": RULES,
    "rules/rooms.yaml": "collection: rooms\nacl: ADMINONLY\n",
}


def form(
    data: bytes,
    *,
    path: str | None = None,
    metadata: str | None = None,
    content_type: str | None = "text/plain",
    file_headers: str = "",
    end: bytes = b"\r\n",
) -> bytes:
    """The body of an upload."""
    body = b""
    for name, value in (("path", path), ("metadata", metadata)):
        if value is not None:
            body += f"--{BOUNDARY}\r\n".encode()
            body += f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
            body += value.encode("utf-8", "surrogatepass") + b"\r\n"
    kind = f"Content-Type: {content_type}\r\n" if content_type else ""
    body += f"--{BOUNDARY}\r\n".encode()
    body += f'Content-Disposition: form-data; name="file"; filename="f"\r\n{kind}'.encode()
    return body + f"{file_headers}\r\n".encode() + data + f"\r\n--{BOUNDARY}--".encode() + end


def form_headers(body: bytes, token: str | None) -> dict[str, str]:
    headers = {
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(body)),
    }
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    return headers


def upload(
    app: Harness,
    path: str | None,
    data: bytes,
    token: str | None = None,
    **options: str | None,
) -> Reply:
    body = form(data, path=path, **options)  # type: ignore[arg-type]
    return app.request("POST", "/v1/storage/upload", body, form_headers(body, token))


def download(
    app: Harness, path: str, token: str | None = None, query: str = "", **headers: str
) -> Reply:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        given["authorization"] = f"Bearer {token}"
    return app.request("GET", f"/v1/storage/files/{path}", headers=given, query=query)


def uid_of(app: Harness, token: str) -> str:
    uid: str = app.get("/v1/auth/me", token).json()["uid"]
    return uid


def blobs_of(app: Harness) -> list[str]:
    """The keys of every blob that is kept."""

    async def listing() -> list[str]:
        return sorted([found.key async for found in app.app.storage.parts.blobs.listing()])

    return app.run(listing())


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


def rows_of(app: Harness) -> list[dict[str, object]]:
    async def scan() -> list[dict[str, object]]:
        return [msgspec.json.decode(row) async for row in app.app.store.scan("_files")]

    return app.run(scan())
