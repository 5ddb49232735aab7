"""The floor for files: a bare ASGI app on uvicorn that keeps bodies as files and sends them back.

No rules, no rows, no digests, no logs: bytes go to a file that is flushed and renamed, and come
from one in pieces of 256 KiB, by threads. The difference to the gateway's cost is what those are
paid with.

    python -m bench.filefloor FOLDER        prints {"port", "pid"} when it listens
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import IO, Any, Final

import uvicorn

PIECE: Final = 256 * 1024


class Files:
    """POST keeps the body under the path's last word, GET sends it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        path = self._folder / scope["path"].rpartition("/")[2]
        if scope["method"] == "POST":
            await self._keep(path, receive)
            await _answer(send, 2)
            await send({"type": "http.response.body", "body": b"{}"})
            return
        with path.open("rb") as file:
            await _answer(send, os.fstat(file.fileno()).st_size)
            while piece := await asyncio.to_thread(file.read, PIECE):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _keep(self, path: Path, receive: Any) -> None:
        self._count += 1
        aside = path.with_suffix(f".{self._count}")
        waiting, size, more = [], 0, True
        with aside.open("wb", buffering=0) as file:
            while more:
                message = await receive()
                more = message.get("more_body", False)
                waiting.append(message.get("body", b""))
                size += len(waiting[-1])
                if size >= PIECE or not more:
                    await asyncio.to_thread(file.write, b"".join(waiting))
                    waiting, size = [], 0
            await asyncio.to_thread(_place, file, aside, path)


def _place(file: IO[bytes], aside: Path, path: Path) -> None:
    os.fsync(file.fileno())
    aside.replace(path)


async def _answer(send: Any, length: int) -> None:
    headers = [(b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1], "pid": os.getpid()}), flush=True)
    config = uvicorn.Config(Files(Path(sys.argv[1])), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
