"""A mounted Starlette app: what a text will look like, by POST or live over a WebSocket.

It knows nothing of baas. FastAPI, Flask and Django apps, whatever speaks ASGI or WSGI, are mounted
in the same way.
"""

from functools import cache
from typing import Any

from _text import page, paragraphs

from baas import fn

MAX_BYTES = 20_000

#: What is typed goes out over the WebSocket beside this page, and comes back as HTML.
FORM = page(
    "Preview",
    """<label for="text">Write here, and see below what the board makes of it.</label>
<textarea id="text" autofocus></textarea>
<article id="shown" aria-live="polite"></article>
<script>
  const text = document.getElementById("text");
  const socket = new WebSocket(new URL("live", location.href).href.replace(/^http/, "ws"));
  const say = () => socket.readyState === WebSocket.OPEN && socket.send(text.value);
  socket.onmessage = (message) => { document.getElementById("shown").innerHTML = message.data; };
  socket.onopen = text.oninput = say;
</script>""",
)


@cache
def app() -> Any:
    """Made for the first request: the gateway starts without waiting for Starlette."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    async def form(request: Request) -> HTMLResponse:
        return HTMLResponse(FORM)

    async def once(request: Request) -> HTMLResponse:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                return HTMLResponse(page("Too long", "<p>A post is shorter.</p>"), 413)
        return HTMLResponse(paragraphs(body.decode("utf-8", "replace")))

    async def live(socket: WebSocket) -> None:
        """Each text that comes in goes out as HTML."""
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(paragraphs(text[:MAX_BYTES]))

    return Starlette(
        routes=[
            Route("/", form, methods=["GET"]),
            Route("/", once, methods=["POST"]),
            WebSocketRoute("/live", live),
        ]
    )


async def preview(scope: Any, receive: Any, send: Any) -> None:
    await app()(scope, receive, send)


fn.mount("/preview", preview)
