"""Presigned URLs and forms: leave to read one object, or to write one, straight at the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from baas.engines.s3.credentials import outlives, present
from baas.ports.blobs import UploadForm

if TYPE_CHECKING:
    from minio import Minio
    from minio.credentials.providers import Provider

#: The largest body that S3 takes in one request.
MAX_FORM_BYTES: Final = 5 * 1024**3


class PresignedLinks:
    """`client` signs for the address that clients use, with `keys`. None for what these keys would
    not outlive: a link must not end before it says so."""

    def __init__(self, client: Minio, bucket: str, keys: Provider) -> None:
        self._client = client
        self._bucket = bucket
        self._keys = keys

    def _hold(self, seconds: int) -> bool:
        found = present(self._keys)
        return found is not None and outlives(found, seconds)

    def read(self, name: str, seconds: int, content_type: str, disposition: str) -> str | None:
        if not self._hold(seconds):
            return None
        url: str = self._client.get_presigned_url(
            "GET",
            self._bucket,
            name,
            timedelta(seconds=seconds),
            response_headers={
                "response-content-type": content_type,
                "response-content-disposition": disposition,
                "response-cache-control": "private, max-age=60",
            },
        )
        return url

    def form(self, name: str, size: int, content_type: str, seconds: int) -> UploadForm | None:
        """Nothing but this object, of this type, with exactly so many bytes."""
        from minio.datatypes import PostPolicy

        if size > MAX_FORM_BYTES or not self._hold(seconds):
            return None
        policy = PostPolicy(self._bucket, datetime.now(UTC) + timedelta(seconds=seconds))
        policy.add_equals_condition("key", name)
        policy.add_equals_condition("Content-Type", content_type)
        policy.add_content_length_range_condition(size, size)
        signed = self._client.presigned_post_policy(policy)
        fields = {"key": name, "Content-Type": content_type, **signed}
        return UploadForm(self._address(name), fields)

    def _address(self, name: str) -> str:
        """Of the bucket, in whichever style: what a link to `name` has in front of it."""
        url = self._client.get_presigned_url("POST", self._bucket, name)
        return url.partition("?")[0].removesuffix(f"/{name}")
