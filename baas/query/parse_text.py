"""The operand of `$text`: a search as people type it."""

from __future__ import annotations

import re
from typing import Final

from baas.errors import invalid
from baas.query.ast import TextSearch
from baas.query.hint import unknown
from baas.query.limits import MAX_SEARCH_LENGTH, MAX_SEARCH_TERMS, exceeded
from baas.query.text import needle, units
from baas.schema.admit import check_text, shown

_MEMBERS: Final = ("$search", "$language", "$caseSensitive", "$diacriticSensitive")
#: A phrase in quotation marks, or what stands between separators; `-` before it excludes.
_TERM: Final = re.compile('(?P<no>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\\s,;，、；。"]+))')


def read_text(raw: object, where: str) -> TextSearch:
    """`{$search: 'words "a phrase" -without'}`; its index is found later, by the guard."""
    if type(raw) is not dict:
        raise invalid(where, 'takes {"$search": "words"}')
    for name in raw:
        if name not in _MEMBERS:
            raise invalid(where, unknown("member", shown(name).strip("'\""), _MEMBERS))
    for name in ("$caseSensitive", "$diacriticSensitive"):
        if raw.get(name, False) is not False:
            raise invalid(f"{where}.{name}", "only false: case and accents never count")
    if raw.get("$language", "none") != "none":
        raise invalid(f"{where}.$language", 'only "none": words are searched as they are written')
    return _read_search(raw.get("$search"), f"{where}.$search")


def _read_search(raw: object, where: str) -> TextSearch:
    if type(raw) is not str:
        raise invalid(where, "must be a string")
    if len(raw) > MAX_SEARCH_LENGTH:
        raise exceeded(where, f"a search has at most {MAX_SEARCH_LENGTH} characters")
    check_text(raw, where)
    some: dict[str, None] = {}
    every: dict[str, None] = {}
    none: dict[str, None] = {}
    for match in _TERM.finditer(raw):
        phrase = match["phrase"]
        found = units(match["word"] if phrase is None else phrase)
        if found:
            kind = none if match["no"] else some if phrase is None else every
            kind[needle(found)] = None
    if len(some) + len(every) + len(none) > MAX_SEARCH_TERMS:
        raise exceeded(where, f"a search has at most {MAX_SEARCH_TERMS} words and phrases")
    return TextSearch(tuple(some), tuple(every), tuple(none))
