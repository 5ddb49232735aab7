"""Rule text to a tree that remembers where everything stood. No names are looked up here."""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, TypeAlias

import msgspec
from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedInput, UnexpectedToken

from baas.schema.values import MAX_INTEGER, canonical_number

#: Longest rule, in characters, and deepest nesting.
MAX_TEXT: Final = 8_000
MAX_DEPTH: Final = 200


class RuleFault(Exception):
    """What is wrong with a rule's text. `offset` counts characters from the text's beginning."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class _Syntax(msgspec.Struct, frozen=True):
    """Base of the tree's nodes. `at` is the offset of the node's own sign or name."""

    at: int


class Constant(_Syntax, frozen=True):
    """A number or a string."""

    value: int | float | str


class Name(_Syntax, frozen=True):
    name: str


class Items(_Syntax, frozen=True):
    items: tuple[Syntax, ...]


class Dot(_Syntax, frozen=True):
    """`target.name`; `at` is where the name stands."""

    target: Syntax
    name: str


class Item(_Syntax, frozen=True):
    target: Syntax
    key: Syntax


class Calling(_Syntax, frozen=True):
    function: Syntax
    args: tuple[Syntax, ...]


class Template(_Syntax, frozen=True):
    parts: tuple[Syntax, ...]


class Prefixed(_Syntax, frozen=True):
    op: str
    operand: Syntax


class Infix(_Syntax, frozen=True):
    op: str
    left: Syntax
    right: Syntax


class Ternary(_Syntax, frozen=True):
    test: Syntax
    then: Syntax
    other: Syntax


Syntax: TypeAlias = (
    Constant | Name | Items | Dot | Item | Calling | Template | Prefixed | Infix | Ternary
)


def start_of(node: Syntax) -> int:
    """The offset of the first character of what `node` was made from."""
    while True:
        if isinstance(node, (Dot, Item)):
            node = node.target
        elif isinstance(node, Infix):
            node = node.left
        elif isinstance(node, Ternary):
            node = node.test
        elif isinstance(node, Calling):
            node = node.function
        else:
            return node.at


def parse_rule(text: str) -> Syntax:
    """The tree of one rule. RuleFault says what is wrong, where, and what may be meant."""
    return _parse(text, 0)


def _parse(text: str, offset: int) -> Syntax:
    if len(text) > MAX_TEXT:
        raise RuleFault(f"a rule is at most {MAX_TEXT:,} characters", 0)
    if not text.strip():
        raise RuleFault("there is no expression here", offset)
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as fault:
        raise _explained(fault, text, offset) from None
    return _Builder(offset).build(tree.children[0], 0)


@lru_cache(maxsize=1)
def _parser() -> Any:
    grammar = files("baas.rules").joinpath("grammar.lark").read_text("utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=False)


# -- faults ---------------------------------------------------------------------------------------

#: What people write out of habit, what follows it, and what the rule language says instead.
_FOREIGN: Final = (
    (re.compile(r"===?=?(?<====)"), "'===' is '==' here: equality is always exact"),
    (re.compile(r"!=="), "'!==' is '!=' here: equality is always exact"),
    (re.compile(r"=>"), "there are no functions of your own; use `define:`"),
    (re.compile(r"\?\?|\?\."), "'??' and '?.' are not needed: a missing field is null"),
    (re.compile(r"\*\*"), "there is no '**'"),
    (re.compile(r"="), "there are no assignments; did you mean '=='?"),
    (re.compile(r"&"), "did you mean '&&'?"),
    (re.compile(r"\|"), "did you mean '||'?"),
    (re.compile(r"and\b", re.I), "did you mean '&&'?"),
    (re.compile(r"or\b", re.I), "did you mean '||'?"),
    (re.compile(r"not\b", re.I), "did you mean '!'?"),
    (re.compile(r"is\b"), "did you mean '=='?"),
    (re.compile(r"instanceof\b|typeof\b"), "there is no such operator"),
    (re.compile(r"\{"), "there are no objects; lists are written [a, b]"),
    (re.compile(r";"), "a rule is one expression"),
    (re.compile(r"//|/\*"), "there are no comments inside a rule"),
    (re.compile(r"[‘’“”＝＆｜！（），]"), "use plain ASCII quotes, signs and brackets"),
    (re.compile(r"['\"]"), "the string is not closed"),
    (re.compile(r"`"), "the template is not closed"),
)


def _explained(fault: UnexpectedInput, text: str, offset: int) -> RuleFault:
    if isinstance(fault, UnexpectedEOF) or _at_end(fault):
        return RuleFault(f"the expression ends too soon{_unclosed(text)}", offset + len(text))
    position = fault.pos_in_stream or 0
    advice = _foreign(text, position)
    shown = _shown(fault, text, position)
    message = f"unexpected {shown}" + (f"; {advice}" if advice else "")
    return RuleFault(message, offset + position)


def _at_end(fault: UnexpectedInput) -> bool:
    return isinstance(fault, UnexpectedToken) and fault.token.type == "$END"


def _unclosed(text: str) -> str:
    bare = re.sub(r"'([^'\\]|\\.)*'|\"([^\"\\]|\\.)*\"", "", text)
    for opening, closing in ("()", "[]"):
        if bare.count(opening) > bare.count(closing):
            return f": a '{closing}' is missing"
    return ""


def _foreign(text: str, position: int) -> str:
    for back in (2, 1, 0):
        start = position - back
        if start < 0:
            continue
        for pattern, advice in _FOREIGN:
            found = pattern.match(text, start)
            if found and found.end() > position and (back == 0 or len(found[0]) > back):
                return advice
    return _operator_guess(text, position)


def _operator_guess(text: str, position: int) -> str:
    word = re.match(r"[A-Za-z_]+", text[position:])
    if not word:
        return ""
    close = get_close_matches(word[0], ["in"], cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else "an operator is missing before it"


def _shown(fault: UnexpectedInput, text: str, position: int) -> str:
    if isinstance(fault, UnexpectedCharacters):
        word = re.match(r"\w+", text[position:])
        return repr(word[0] if word else text[position])
    return repr(str(getattr(fault, "token", text[position])))


# -- building -------------------------------------------------------------------------------------

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}
_ESCAPE: Final = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.S)
#: `${...}` of a template; the language has no braces of its own but inside strings.
_HOLE: Final = re.compile(r"\$\{((?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^'\"}])*)\}")


def _unescape(text: str, at: int) -> str:
    """The text that a literal stands for; pairs of surrogates are one character."""

    def plain(found: re.Match[str]) -> str:
        escape = found[1]
        if len(escape) > 1:
            return chr(int(escape[1:].strip("{}"), 16))
        return _ESCAPES.get(escape, escape)

    try:
        written = _ESCAPE.sub(plain, text)
        return written.encode("utf-16", "surrogatepass").decode("utf-16")
    except (ValueError, OverflowError):
        raise RuleFault("an escape names no character", at) from None


class _Builder:
    """Lark's tree to ours. `offset` is where this text begins in the whole rule."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def build(self, tree: Tree[Token], depth: int) -> Syntax:
        if depth > MAX_DEPTH:
            raise RuleFault("nested too deeply", self._start(tree))
        kids = [
            self.build(child, depth + 1) if isinstance(child, Tree) else child
            for child in tree.children
        ]
        return getattr(self, f"_{tree.data}")(tree, kids)  # type: ignore[no-any-return]

    def _start(self, part: Tree[Token] | Token) -> int:
        start = part.start_pos if isinstance(part, Token) else part.meta.start_pos
        return self.offset + (start or 0)

    def _number(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        text = str(kids[0])
        try:
            value = canonical_number(float(text)) if not text.isdigit() else int(text)
        except ValueError:  # more digits than int() reads
            value = math.inf
        if not -MAX_INTEGER <= value <= MAX_INTEGER and not math.isfinite(value := float(value)):
            raise RuleFault("the number is too large", self._start(tree))
        return Constant(self._start(tree), value)

    def _string(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Constant(self._start(tree), _unescape(str(kids[0])[1:-1], self._start(tree)))

    def _template(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        start, body = self._start(tree), str(kids[0])[1:-1]
        parts: list[Syntax] = []
        end = 0
        for hole in _HOLE.finditer(body):
            if hole.start() > end:
                parts.append(Constant(start, _unescape(body[end : hole.start()], start)))
            parts.append(_parse(hole[1], start + 1 + hole.start(1)))
            end = hole.end()
        if "${" in body[end:]:
            raise RuleFault("a '}' is missing in the template", start + 1 + end)
        if end < len(body) or not parts:
            parts.append(Constant(start, _unescape(body[end:], start)))
        return Template(start, tuple(parts))

    def _name(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Name(self._start(tree), str(kids[0]))

    def _list(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Items(self._start(tree), tuple(kids))

    def _group(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return kids[0]  # type: ignore[no-any-return]

    def _dot(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Dot(self._start(kids[1]), kids[0], str(kids[1]))

    def _item(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Item(kids[1].at, kids[0], kids[1])

    def _call(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Calling(kids[0].at, kids[0], tuple(kids[1:]))

    def _prefixed(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Prefixed(self._start(kids[0]), str(kids[0]), kids[1])

    def _infix(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        left, op, right = kids
        return Infix(self._start(op), str(op), left, right)

    _equality = _relation = _sum = _product = _infix

    def _either(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Infix(kids[1].at, "||", kids[0], kids[1])

    def _all_of(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Infix(kids[1].at, "&&", kids[0], kids[1])

    def _conditional(self, tree: Tree[Token], kids: list[Any]) -> Syntax:
        return Ternary(self._start(tree), *kids)
