"""Text as the board shows it."""

import re
from html import escape

_GAPS = re.compile(r"[\W_]+")


def slug_of(title: str, limit: int = 60) -> str:
    """Lower case words with hyphens; letters of any script stay."""
    return _GAPS.sub("-", title.lower()).strip("-")[:limit].strip("-") or "post"


def paragraphs(text: str) -> str:
    """Plain text as HTML: blank lines part paragraphs, nothing in it is markup."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    return "\n".join(f"<p>{escape(part)}</p>" for part in parts)


def page(title: str, body: str) -> str:
    """A whole document; `body` is HTML already."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><h1>{escape(title)}</h1>\n{body}\n</html>\n"
    )
