"""A post as a page of its own, for links that are shared outside of the app."""

from typing import Any

from _text import page, paragraphs

from baas import Context, fn

HTML = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "cache-control": "max-age=60",
}


@fn.http("GET", "/posts/{slug}")
async def post_page(ctx: Context, request: fn.HttpRequest) -> dict[str, Any]:
    """Reads as whoever asks: what the rules hide is not there."""
    posts = ctx.as_caller().database.collection("posts")
    found = await posts.find({"slug": request.params["slug"]}, limit=1)
    if not found["documents"]:
        body = page("Not here", "<p>There is no such post.</p>")
        return {"statusCode": 404, "headers": HTML, "body": body}
    post = found["documents"][0]
    likes = post.get("likes", 0)
    liked = "1 like" if likes == 1 else f"{likes} likes"
    body = page(post["title"], f"{paragraphs(post['text'])}\n<p><small>{liked}</small></p>")
    return {"statusCode": 200, "headers": HTML, "body": body}
