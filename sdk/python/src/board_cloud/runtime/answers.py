"""What calls answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from .values import decode

D = TypeVar("D")


@dataclass(frozen=True, slots=True)
class QueryAnswer(Generic[D]):
    """`next`: where the next page begins (`after`), None on the last. `total`: all that match,
    where `with_total` asked."""

    data: list[D]
    next: str | None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class DocumentAnswer(Generic[D]):
    data: D


@dataclass(frozen=True, slots=True)
class Total:
    total: int


@dataclass(frozen=True, slots=True)
class Added:
    id: str


@dataclass(frozen=True, slots=True)
class AddedMany:
    ids: list[str]


@dataclass(frozen=True, slots=True)
class Stats:
    """`updated`: documents that matched, and so were changed. `upserted_id`: the new document of an
    upsert."""

    updated: int
    upserted_id: str | None


@dataclass(frozen=True, slots=True)
class Removed:
    removed: int


@dataclass(frozen=True, slots=True)
class AggregateAnswer:
    list: list[Any]


@dataclass(frozen=True, slots=True)
class FunctionAnswer(Generic[D]):
    result: D


@dataclass(frozen=True, slots=True)
class Invocation:
    """Of a call that was handed over."""

    invocation_id: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """`file_id`: `cloud://app/path`. `size` in bytes; `openid`: whose it is."""

    file_id: str
    path: str
    size: int
    content_type: str
    hash: str
    openid: str | None
    metadata: dict[str, Any]
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class FileList:
    files: list[StoredFile]
    next: str | None


@dataclass(frozen=True, slots=True)
class Download:
    """`data` is empty where the file went to a path."""

    data: bytes
    content_type: str
    size: int


@dataclass(frozen=True, slots=True)
class TempFile:
    """`status` 0, or 1 where there is no link: then `code` says why."""

    file_id: str
    temp_file_url: str
    status: int
    code: str
    err_msg: str


@dataclass(frozen=True, slots=True)
class DeletedFile:
    """`status` 0, or 1 where it is not deleted: then `code` says why."""

    file_id: str
    status: int
    code: str
    err_msg: str


def stats_of(wire: Any) -> Stats:
    return Stats(updated=wire["modified"], upserted_id=wire["upsertedId"])


def file_of(wire: Any) -> StoredFile:
    found = decode(wire)
    return StoredFile(
        file_id=found["fileId"],
        path=found["path"],
        size=found["size"],
        content_type=found["contentType"],
        hash=found["hash"],
        openid=found["openid"],
        metadata=found["metadata"],
        create_time=found["createTime"],
        update_time=found["updateTime"],
    )
