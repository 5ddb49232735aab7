"""A mounted ASGI app: what a text will look like, by POST or live over a WebSocket.

It is written without any framework and knows nothing of baas; Starlette, FastAPI, Flask and Django
apps are mounted in the same way.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from _text import page, paragraphs

from baas import fn

MAX_BYTES = 20_000
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: What is typed goes out over the WebSocket of this very path, and comes back as HTML.
FORM = page(
    "Preview",
    """<label for="text">Write here, and see below what the board makes of it.</label>
<textarea id="text" autofocus></textarea>
<article id="shown" aria-live="polite"></article>
<script>
  const text = document.getElementById("text");
  const socket = new WebSocket(location.href.replace(/^http/, "ws"));
  const say = () => socket.readyState === WebSocket.OPEN && socket.send(text.value);
  socket.onmessage = (message) => { document.getElementById("shown").innerHTML = message.data; };
  socket.onopen = text.oninput = say;
</script>""",
)


async def preview(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await live(receive, send)
    elif scope["type"] == "http" and scope["method"] == "POST":
        text = await read(receive)
        if text is None:
            await answer(send, 413, page("Too long", "<p>A post is shorter.</p>"))
        else:
            await answer(send, 200, paragraphs(text))
    elif scope["type"] == "http":
        await answer(send, 200, FORM)


async def read(receive: Receive) -> str | None:
    """The body; None where it is too long."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            return None
        if not message.get("more_body"):
            return body.decode("utf-8", "replace")


async def answer(send: Send, status: int, html: str) -> None:
    headers = [(b"content-type", b"text/html; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": html.encode()})


async def live(receive: Receive, send: Send) -> None:
    """Each text that comes in goes out as HTML."""
    while True:
        message = await receive()
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif message["type"] == "websocket.disconnect":
            return
        elif message.get("text") is not None:
            html = paragraphs(message["text"][:MAX_BYTES])
            await send({"type": "websocket.send", "text": html})


fn.mount("/preview", preview)
