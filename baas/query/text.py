"""What a text search finds: words, and pieces of scripts that are written without spaces.

A text is *folded*: compatibility forms and case are evened out (`NFKC`, `casefold`), accents are
taken off. Then it is cut into *units*: runs of letters and digits; and runs of characters of those
scripts that put no space between words (Chinese, Japanese, Korean, Thai, Lao, Khmer, Burmese).
Everything else separates. Written with a space around each unit, that is its *normal form*:

    "Café iPhone手机，好用!"  ->  " cafe iphone 手机 好用 "

A word is found as a whole, so with the spaces around it; a run of an unspaced script is found
wherever its characters follow one another, so without. A phrase is several units in a row. Finding
is therefore no more than looking for a piece of text in the normal form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from baas.query.patterns import ask_clock

#: Characters of one document's fields that are searched, all fields together in the order of the
#: index. Words are cut where the document is written, and there nobody else is to wait.
MAX_TEXT: Final = 50_000
#: Scripts without spaces between words, and Hangul, where endings cling to words.
_UNSPACED: Final = (
    "\u3005-\u3007\u3041-\u3096\u3099-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003fffd"
    "\u1100-\u11ff\uac00-\ud7ff\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ece\u1000-\u1049\u1780-\u17d3"
)
#: Marks that belong to letters of spaced scripts (Hebrew, Arabic, those of India), and are none of
#: Python's word characters.
_MARKS: Final = (
    "\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8"
    "\u0900-\u0903\u093a-\u094f\u0951-\u0957\u0962\u0963\u0981-\u0983\u09bc-\u09cd\u0a01-\u0a03"
    "\u0a3c-\u0a4d\u0a81-\u0a83\u0abc-\u0acd\u0b01-\u0b03\u0b3c-\u0b4d\u0b82\u0bbe-\u0bcd"
    "\u0c00-\u0c04\u0c3e-\u0c4d\u0c81-\u0c83\u0cbc-\u0ccd\u0d00-\u0d03\u0d3b-\u0d4d\u0d81-\u0d83"
    "\u0dca-\u0ddf"
)
_UNIT: Final = re.compile(f"(?P<run>[{_UNSPACED}]+)|(?P<word>(?:(?![{_UNSPACED}_])[\\w{_MARKS}])+)")
_ASCII_WORD: Final = re.compile("[a-z0-9]+")
#: Accents, over Latin, Greek and Cyrillic letters alike. Not the marks that other scripts need.
_ACCENTS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]")
#: Characters of an unspaced run that are filed together.
_PAIR: Final = 2
#: Texts shorter than this are not worth asking the clock; what a character takes at most.
_LONG: Final = 1_000
_SECONDS: Final = 2e-7
_RUN_START: Final = re.compile(f"[{_UNSPACED}]")


def fold(text: str) -> str:
    """Without case, accents and compatibility forms."""
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", apart)).casefold()


def units(text: str) -> list[str]:
    """The words and unspaced runs of a text, folded, in order."""
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    return [match.group() for match in _UNIT.finditer(fold(text))]


@lru_cache(maxsize=16)
def normal_form(text: str) -> str:
    """The units with a space around each; empty for a text without any. Many searches are asked of
    the document that has just changed, so the last ones are kept."""
    found = units(text)
    return f" {' '.join(found)} " if found else ""


def is_run(unit: str) -> bool:
    """Whether a unit is a run of an unspaced script, and not a word."""
    return _RUN_START.match(unit) is not None


def needle(of: list[str]) -> str:
    """What to look for in a normal form: these units in a row."""
    before = "" if is_run(of[0]) else " "
    after = "" if is_run(of[-1]) else " "
    return f"{before}{' '.join(of)}{after}"


def holds(
    texts: Iterable[str],
    some: tuple[str, ...],
    every: tuple[str, ...],
    none: tuple[str, ...],
) -> bool:
    """Whether texts, taken together, have one of the needles `some` (where there are any), `every`
    one of those and `none` of the last. Each needle is to be found within one text. OutOfTime for
    long ones where whoever runs the query has no time left."""
    looked_at = beginning(texts)
    length = sum(map(len, looked_at))
    if length > _LONG:
        ask_clock(length * _SECONDS)
    forms = [form for text in looked_at if (form := normal_form(text))]
    if any(_found(one, forms) for one in none):
        return False
    if not all(_found(one, forms) for one in every):
        return False
    return not some or any(_found(one, forms) for one in some)


def beginning(texts: Iterable[str]) -> list[str]:
    """As much of a document's texts as is searched: MAX_TEXT characters."""
    left = MAX_TEXT
    found = []
    for text in texts:
        found.append(text[:left])
        left -= len(text)
        if left <= 0:
            break
    return found


def _found(needle: str, forms: list[str]) -> bool:
    return any(needle in form for form in forms)


# -- for indexes -----------------------------------------------------------------------------------


def tokens(texts: Iterable[str]) -> set[str]:
    """What an index files a document under: words; of runs each two characters that follow one
    another, and the last one, so that every character begins a token."""
    found: set[str] = set()
    for text in beginning(texts):
        for unit in units(text):
            if is_run(unit):
                found.update(unit[at : at + _PAIR] for at in range(len(unit)))
            else:
                found.add(unit)
    return found


def is_token(needle: str) -> bool:
    """Whether a document is filed under the needle itself exactly where it has it."""
    found = needle.split()
    return len(found) == 1 and (len(found[0]) <= _PAIR or not is_run(found[0]))


def wanted_tokens(needle: str) -> Iterator[tuple[str, bool]]:
    """Tokens that every document with this needle is filed under; true: as a beginning."""
    for unit in needle.split():
        if not is_run(unit):
            yield unit, False
        elif len(unit) == 1:
            yield unit, True
        else:
            yield from ((unit[at : at + _PAIR], False) for at in range(len(unit) - 1))
