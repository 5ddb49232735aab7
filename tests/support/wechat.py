"""A local stand-in for WeChat's one call."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

OPENID = "oGZUI0egBJY1zhBYw2KhdUfwVJJE"


class FakeWechat(ThreadingHTTPServer):
    """Answers `code2session` from `answers`, by code; `asked` keeps the queries it got."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Any] = {}
        self.asked: list[dict[str, list[str]]] = []
        self.released = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def knows(self, code: str, openid: str = OPENID, **more: Any) -> None:
        self.answers[code] = {"openid": openid, "session_key": "tiihtNczf5v6AKRyjwEUhQ==", **more}


class _Handler(BaseHTTPRequestHandler):
    server: FakeWechat

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        self.server.asked.append({"path": [url.path], **query})
        answer = self.server.answers.get(query["js_code"][0], {"errcode": 40029, "errmsg": "no"})
        if answer == "hang":
            self.server.released.wait(10)
            return
        status, body = (200, json.dumps(answer).encode()) if type(answer) is dict else answer
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"{self.server.address}/sns/jscode2session?js_code=good")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def fake_wechat() -> Iterator[FakeWechat]:
    """One that listens for the length of a `with`."""
    server = FakeWechat()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
