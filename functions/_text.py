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


STYLE = """
:root { color-scheme: light dark }
:root { --paper: #f5f2ec; --ink: #22201c; --line: #e6e0d4; --accent: #c33d22 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #171513; --ink: #efe9df; --line: #35302a; --accent: #ff8a66 }
}
body { max-width: 40rem; margin: 0 auto; padding: 1rem }
body { background: var(--paper); color: var(--ink) }
body, textarea { font: 16px/1.55 system-ui, sans-serif }
h1 { font: 600 1.6rem/1.3 ui-serif, Georgia, serif }
h1, p { overflow-wrap: anywhere } p { white-space: pre-line }
textarea { width: 100%; min-height: 8rem; padding: .5rem; box-sizing: border-box; color: inherit }
textarea { background: none; border: 1px solid var(--line); border-radius: .5rem }
footer { border-top: 1px solid var(--line); padding-top: .5rem } a { color: var(--accent) }
"""


def page(title: str, body: str) -> str:
    """A whole document; `body` is HTML already."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><title>{escape(title)}</title><style>{STYLE}</style>'
        f'<h1>{escape(title)}</h1>\n{body}\n<footer><a href="/">The board</a></footer></html>\n'
    )
