"""Where in a rule file a character of a rule's text stands, quotes and line folding undone."""

from __future__ import annotations

from baas.yamlfile import Mark


def place_in(source: str, mark: Mark, text: str, offset: int) -> Mark:
    """The place in `source` of `text[offset]`, where `text` is the scalar that begins at `mark`.

    YAML changes only blanks, escapes and quotes: the other characters are counted off.
    """
    lines = source.split("\n")
    row, column = _begin(lines, mark.line - 1, mark.column - 1)
    if offset >= len(text.rstrip()):
        return _after(lines, row, column, text.rstrip())
    wanted = sum(not char.isspace() for char in text[:offset])
    return _advance(lines, row, column, wanted)


def _begin(lines: list[str], row: int, column: int) -> tuple[int, int]:
    """Past an opening quote, or on the line below a block scalar's `|` or `>`."""
    line = lines[row] if row < len(lines) else ""
    if line[column : column + 1] in ("|", ">"):
        return row + 1, 0
    return row, column + (line[column : column + 1] in ("'", '"'))


def _advance(lines: list[str], row: int, column: int, wanted: int) -> Mark:
    """The place of the character before which stand `wanted` others that are not blank."""
    quoted = column > 0 and lines[row][column - 1] in ("'", '"')
    quote = lines[row][column - 1] if quoted else ""
    while row < len(lines):
        while column < len(lines[row]):
            if lines[row][column].isspace():
                column += 1
                continue
            if not wanted:
                return Mark(row + 1, column + 1)
            column += _width(lines[row], column, quote)
            wanted -= 1
        row, column = row + 1, 0
    return Mark(row, 1)


def _width(line: str, column: int, quote: str) -> int:
    """How many characters of the file make one of the text."""
    escaped = (quote == "'" and line.startswith("''", column)) or (
        quote == '"' and line[column] == "\\"
    )
    return 2 if escaped else 1


def _after(lines: list[str], row: int, column: int, text: str) -> Mark:
    if not text:
        return Mark(row + 1, column + 1)
    count = sum(not char.isspace() for char in text)
    last = _advance(lines, row, column, count - 1)
    return Mark(last.line, last.column + 1)
