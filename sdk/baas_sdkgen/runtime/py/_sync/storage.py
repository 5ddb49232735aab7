"""Files: upload, download, links."""

from __future__ import annotations

import builtins
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, Unpack

from ..answers import DeletedFile, Download, FileList, StoredFile, TempFile, file_of
from ..command import given
from ..files import (
    PIECE_BYTES,
    Counted,
    ImageOptions,
    Source,
    address_of,
    calling,
    content_of,
    form_of,
    landing,
    length_of,
    naming,
    opened,
)
from ..options import Answer, CallOptions, Progress, TransferOptions
from ..values import encode
from .blocks import pieces
from .http import Http, parsed


class Storage:
    """A file is named by its path or its `file_id` (`cloud://app/path`)."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def upload_file(
        self,
        cloud_path: str,
        file: Source,
        *,
        content_type: str | None = None,
        metadata: dict[str, Any] | None = None,
        **options: Unpack[TransferOptions],
    ) -> StoredFile:
        """`file`: bytes, a path of this machine, or a file that is open for reading bytes."""
        fields = {"path": cloud_path}
        if metadata is not None:
            fields["metadata"] = json.dumps(encode(metadata))
        form = form_of(fields, cloud_path.rpartition("/")[2], content_type)
        with opened(file) as (source, size):
            begin, headers = source.tell(), form.headers(size)

            def call(limit: float) -> Answer:
                source.seek(begin)
                counted = Counted(source, size, options.get("on_progress"))
                request = self._http.client.build_request(
                    "POST",
                    f"{self._http.base}/v1/storage/upload",
                    content=pieces(form.head, counted, form.tail),
                    headers=headers,
                    timeout=limit,
                )
                return self._http.answer(request, limit)

            # Once: whether a broken upload has replaced the file is not known, and files are large.
            answer = self._http.attempt(call, "once", headers, **calling(options))
        return file_of(parsed(answer))

    def download_file(
        self,
        file_id: str,
        *,
        to: str | os.PathLike[str] | None = None,
        image: ImageOptions | None = None,
        **options: Unpack[TransferOptions],
    ) -> Download:
        """The bytes, or a file at `to`, which is there once it is whole."""
        headers: dict[str, str] = {}
        url = self.url(file_id, image)
        with landing(to) as target:

            def call(limit: float) -> Answer:
                target.seek(0)
                target.truncate()
                return self._fetch(url, headers, target, limit, options.get("on_progress"))

            answer = self._http.attempt(call, "read", headers, **calling(options))
            kind = answer.headers.get("content-type") or ""
            return Download(content_of(target), kind, target.tell())

    def _fetch(
        self,
        url: str,
        headers: dict[str, str],
        target: BinaryIO,
        limit: float,
        tell: Callable[[Progress], None] | None,
    ) -> Answer:
        until = time.monotonic() + limit
        client = self._http.client
        request = client.build_request("GET", url, headers=headers, timeout=limit)
        response = client.send(request, stream=True)
        try:
            if not response.is_success:
                return Answer(response.status_code, response.headers, response.read())
            total = length_of(response.headers)
            for piece in response.iter_bytes(PIECE_BYTES):
                target.write(piece)
                if tell is not None:
                    tell(Progress(target.tell(), total))
                if time.monotonic() > until:
                    raise TimeoutError
        finally:
            response.close()
        return Answer(response.status_code, response.headers, b"")

    def get_temp_file_url(
        self,
        file_list: Sequence[str],
        *,
        max_age: int | None = None,
        **options: Unpack[CallOptions],
    ) -> builtins.list[TempFile]:
        """Links that work without a token for `max_age` seconds. Each file by itself: see
        `status`."""
        files = [given({**naming(name), "expires": max_age}) for name in file_list]
        found = self._http.post("/v1/storage/sign", {"files": files}, "read", **options)
        return [
            TempFile(name, self._absolute(one.get("url") or ""), *_outcome(one))
            for name, one in zip(file_list, found["files"], strict=True)
        ]

    def delete_file(
        self, file_list: Sequence[str], **options: Unpack[CallOptions]
    ) -> builtins.list[DeletedFile]:
        files = [naming(name) for name in file_list]
        found = self._http.post("/v1/storage/delete", {"files": files}, "key", **options)
        return [
            DeletedFile(name, *_outcome(one))
            for name, one in zip(file_list, found["files"], strict=True)
        ]

    def stat(self, name: str, **options: Unpack[CallOptions]) -> StoredFile:
        return file_of(self._http.post("/v1/storage/stat", naming(name), "read", **options))

    def list(
        self,
        prefix: str | None = None,
        *,
        limit: int | None = None,
        after: str | None = None,
        **options: Unpack[CallOptions],
    ) -> FileList:
        """A page; it may be short. `after`: `next` of the page before."""
        body = given({"prefix": prefix, "limit": limit, "after": after})
        found = self._http.post("/v1/storage/list", body, "read", **options)
        return FileList([file_of(one) for one in found["files"]], found["next"])

    def copy(self, source: str, target: str, **options: Unpack[CallOptions]) -> StoredFile:
        body = {"from": source, "to": target}
        return file_of(self._http.post("/v1/storage/copy", body, "key", **options))

    def move(self, source: str, target: str, **options: Unpack[CallOptions]) -> StoredFile:
        body = {"from": source, "to": target}
        return file_of(self._http.post("/v1/storage/move", body, "key", **options))

    def url(self, name: str, image: ImageOptions | None = None) -> str:
        """The address of a file that everybody may read."""
        return self._http.base + address_of(name, given(image or {}))

    def _absolute(self, url: str) -> str:
        return f"{self._http.base}{url}" if url.startswith("/") else url


def _outcome(one: dict[str, Any]) -> tuple[int, str, str]:
    code = one.get("code")
    return (1 if code else 0, code or "SUCCESS", one.get("detail") or "ok")
