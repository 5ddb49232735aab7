"""One file up or down: checked by its digest, taken up again where it broke off.

A large file goes up in parts. What has been sent is noted beside the user's settings, so that the
same command goes on with it after it was ended; every part noted is looked at again, in case the
file is another by then.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import IO, Any, Final

import click
import msgspec

from baas.cli.storage.local import PIECE_BYTES, written
from baas.cli.storage.wire import Broken, Refused, Stored, Wire

#: Up to here a file goes in one request.
SMALL_BYTES: Final = 4 * 1024 * 1024
#: Told of bytes that have moved; fewer again where some have to be sent anew.
Told = Callable[[int], None]


class Changed(Exception):
    """A file was written to while it was read."""


# -- down ------------------------------------------------------------------------------------------


def download(wire: Wire, stored: Stored, target: Path, told: Told) -> None:
    with written(target) as file:
        fetch(wire, stored, file, told)


def fetch(wire: Wire, stored: Stored, file: IO[bytes], told: Told) -> None:
    """The bytes of this very file, else Changed. `file` is only written to. OSError where it
    takes no more."""
    getting = _Getting(wire, stored, file, told)
    while getting.left:
        before = getting.position
        try:
            wire.patiently(getting.go_on)
        except _Unwritable as unwritable:
            raise unwritable.fault from None
        except Broken:
            if getting.position == before:
                raise
    if getting.digest.hexdigest() != stored.hash:
        raise Changed(f"{stored.path} changed while it was fetched")


class _Unwritable(Exception):
    """A fault of the disk here, which within a request would be taken for one of the network."""

    def __init__(self, fault: OSError) -> None:
        super().__init__(fault)
        self.fault = fault


class _Getting:
    def __init__(self, wire: Wire, stored: Stored, file: IO[bytes], told: Told) -> None:
        self._wire = wire
        self._stored = stored
        self._file = file
        self._told = told
        self.position = 0
        self.digest = hashlib.sha256()

    @property
    def left(self) -> int:
        return self._stored.size - self.position

    def go_on(self) -> None:
        headers = {"range": f"bytes={self.position}-"} if self.position else {}
        try:
            with self._wire.fetch(self._stored.path, headers) as answer:
                if answer.status != (206 if self.position else 200):
                    raise Changed(f"{self._stored.path} changed while it was fetched")
                while piece := answer.read(PIECE_BYTES):
                    self._take(piece)
        except Refused as refusal:
            if refusal.status == 416:
                raise Changed(f"{self._stored.path} changed while it was fetched") from None
            raise
        if self.left:
            raise Broken("the download broke off")

    def _take(self, piece: bytes) -> None:
        if len(piece) > self.left:
            raise Changed(f"{self._stored.path} changed while it was fetched")
        try:
            self._file.write(piece)
        except OSError as fault:
            raise _Unwritable(fault) from fault
        self.digest.update(piece)
        self.position += len(piece)
        self._told(len(piece))


# -- up --------------------------------------------------------------------------------------------


class Sending(msgspec.Struct, frozen=True):
    """A file to go up; `content_type` None: what its ending means."""

    source: Path
    path: str
    content_type: str | None = None


def upload(wire: Wire, sending: Sending, told: Told) -> str:
    """The SHA-256 of what was stored. Raises Refused, Broken, Changed, OSError."""
    size = sending.source.stat().st_size
    if size <= SMALL_BYTES:
        return _upload_whole(wire, sending, told)
    return _InParts(wire, sending, size, told).run()


def _upload_whole(wire: Wire, sending: Sending, told: Told) -> str:
    data = sending.source.read_bytes()
    boundary = token_hex(16)
    head, tail = _form(sending, boundary, hashlib.sha256(data).digest())
    body = [head, data, tail]
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    length = sum(map(len, body))
    answer = wire.patiently(lambda: wire.post("upload", lambda: body, length, headers))
    told(len(data))
    stored: str = answer["hash"]
    return stored


def _form(sending: Sending, boundary: str, digest: bytes) -> tuple[bytes, bytes]:
    """What goes before and after the bytes."""
    kind = f"Content-Type: {sending.content_type}\r\n" if sending.content_type else ""
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="path"\r\n\r\n{sending.path}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\n{kind}'
        f"Content-Digest: sha-256=:{b64encode(digest).decode()}:\r\n\r\n"
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


class _InParts:
    """An upload in parts, begun or taken up."""

    def __init__(self, wire: Wire, sending: Sending, size: int, told: Told) -> None:
        self._wire = wire
        self._sending = sending
        self._size = size
        self._told = told
        self._notes = Notes(wire.url, sending, size)

    def run(self) -> str:
        noted = self._notes.read()
        if noted is not None:
            try:
                return self._send(noted)
            except Refused as refusal:
                if refusal.code != "NOT_FOUND":  # else it is over: begun anew
                    raise
        body: dict[str, Any] = {"path": self._sending.path, "size": self._size}
        if self._sending.content_type:
            body["contentType"] = self._sending.content_type
        begun = self._wire.call("uploads", body)
        return self._send(Noted(upload=begun["uploadId"], part_size=begun["partSize"]))

    def _send(self, noted: Noted) -> str:
        sent = 0
        try:
            with self._sending.source.open("rb") as file:
                for number in range(1, -(-self._size // noted.part_size) + 1):
                    self._send_part(file, number, noted)
                    self._notes.write(noted)
                    length = min(noted.part_size, self._size - sent)
                    sent += length
                    self._told(length)
        except Refused:
            self._told(-sent)
            self._notes.forget()
            raise
        stored = self._complete(noted)
        self._notes.forget()
        return stored

    def _send_part(self, file: IO[bytes], number: int, noted: Noted) -> None:
        start = (number - 1) * noted.part_size
        length = min(noted.part_size, self._size - start)
        digest = hashlib.sha256()
        for piece in _pieces(file, start, length):
            digest.update(piece)
        if noted.parts.get(number) == digest.hexdigest():
            return
        headers = {
            "content-type": "application/octet-stream",
            "content-digest": f"sha-256=:{b64encode(digest.digest()).decode()}:",
        }
        path = f"uploads/{noted.upload}/parts/{number}"
        self._wire.patiently(
            lambda: self._wire.post(path, lambda: _pieces(file, start, length), length, headers)
        )
        noted.parts[number] = digest.hexdigest()

    def _complete(self, noted: Noted) -> str:
        headers = {"content-type": "application/json", "idempotency-key": noted.upload}
        path = f"uploads/{noted.upload}/complete"
        answer = self._wire.patiently(lambda: self._wire.post(path, lambda: [b"{}"], 2, headers))
        stored: str = answer["hash"]
        return stored


def _pieces(file: IO[bytes], start: int, length: int) -> Iterator[bytes]:
    """Changed where the file has become shorter, or cannot be read any more."""
    while length:
        try:
            file.seek(start)
            piece = file.read(min(PIECE_BYTES, length))
        except OSError as fault:  # which would be taken for one of the network
            raise Changed(f"the file cannot be read: {fault.strerror}") from fault
        if not piece:
            raise Changed("the file changed while it was sent")
        start, length = start + len(piece), length - len(piece)
        yield piece


# -- what was sent ---------------------------------------------------------------------------------


class Noted(msgspec.Struct):
    """An unfinished upload; `parts` are SHA-256 by number."""

    upload: str
    part_size: int
    parts: dict[int, str] = {}


class Notes:
    """Of one file on its way to one path of one gateway. For their owner alone: whoever knows the
    id of an upload that no user began may send parts of it."""

    def __init__(self, url: str, sending: Sending, size: int) -> None:
        named = [url, sending.path, sending.content_type, str(sending.source.resolve()), size]
        name = hashlib.sha256(json.dumps(named).encode()).hexdigest()
        self._path = Path(click.get_app_dir("baas")) / "uploads" / f"{name}.json"

    def read(self) -> Noted | None:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Noted)
        except (OSError, msgspec.MsgspecError):
            return None

    def write(self, noted: Noted) -> None:
        """Where it cannot be kept, an ended command starts anew: no reason to end this one."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = self._path.with_suffix(".new")
            partial.touch(mode=0o600)
            partial.write_bytes(msgspec.json.encode(noted))
            partial.replace(self._path)
        except OSError:
            return

    def forget(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return
