"""YAML that remembers where everything stood.

YAML 1.2's core schema, as people expect it: `no`, `on` and `12:30` are strings. Duplicate keys,
anchors that build bombs, tags and non-string keys are refused. Every fault is a
ConfigurationError with file, line and column.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from baas.errors import ConfigurationError

Step: TypeAlias = str | int

_MAX_DEPTH: Final = 40

_NULL = re.compile(r"~|null|Null|NULL|", re.ASCII)
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE", re.ASCII)
_INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
_HEX = re.compile(r"0x[0-9a-fA-F]+|0o[0-7]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Mark(msgspec.Struct, frozen=True):
    """A place in a file; line and column from 1."""

    line: int
    column: int


class YamlFile(msgspec.Struct, frozen=True):
    """`data` as plain dicts, lists and scalars, and the place of every value and key in it."""

    file: str
    data: Any
    values: dict[tuple[Step, ...], Mark]
    keys: dict[tuple[Step, ...], Mark]
    #: Positions whose scalar was written plain (unquoted): for advice about YAML's traps.
    plain: frozenset[tuple[Step, ...]]

    def error(self, message: str, *path: Step, key: bool = False, offset: int = 0) -> Exception:
        """A ConfigurationError at the value (or the key) at `path`; `offset` columns further.

        Falls back to the nearest enclosing place that is known.
        """
        marks = self.keys if key else self.values
        mark = marks.get(path) or self.values.get(path)
        while mark is None and path:
            path = path[:-1]
            mark = self.values.get(path)
        line, column = (mark.line, mark.column + offset) if mark else (None, None)
        return ConfigurationError(message, file=self.file, line=line, column=column)


def load_yaml(text: str, file: str) -> YamlFile:
    """Parses one document (JSON is YAML too). An empty file has the data None."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        raise ConfigurationError(
            f"not YAML: {fault.problem or fault.context}{_advice(text, mark)}",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        ) from None
    except yaml.YAMLError as fault:
        raise ConfigurationError(f"not YAML: {fault}", file=file) from None
    builder = _Builder(file)
    data = None if node is None else builder.build(node, ())
    return YamlFile(file, data, builder.values, builder.keys, frozenset(builder.plain))


def _advice(text: str, mark: Any) -> str:
    """A hint for the traps that rule authors fall into: `!x`, backticks, `? :`, quotes."""
    if mark is None:
        return ""
    lines = text.splitlines()
    line = lines[mark.line] if mark.line < len(lines) else ""
    name, colon, rest = line.partition(":")
    rest = rest.strip()
    if colon and rest[:1] == "{":
        name, colon, rest = _inside_braces(rest, mark.column - line.index("{"))
    if not colon or not rest or rest[0] in "[{|>":
        return ""
    return f"; quote the whole value: {name.strip()}: {quoted(rest)}"


def _inside_braces(text: str, column: int) -> tuple[str, str, str]:
    """The last `name: value` of a flow mapping that begins before the column of the fault."""
    found = None
    for pair in re.finditer(r"([A-Za-z_][\w.-]*)\s*:\s+((?:'[^']*'|\"[^\"]*\"|[^,{}'\"])+)", text):
        if found is None or pair.start() < column:
            found = pair
    return (found[1], ":", found[2].strip()) if found else ("", "", "")


def quoted(text: str) -> str:
    """`text` as a YAML scalar in quotes, in the form that is easier to read."""
    if "'" in text and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


class _Builder:
    def __init__(self, file: str) -> None:
        self.file = file
        self.values: dict[tuple[Step, ...], Mark] = {}
        self.keys: dict[tuple[Step, ...], Mark] = {}
        self.plain: set[tuple[Step, ...]] = set()
        self._open: set[int] = set()

    def build(self, node: Any, path: tuple[Step, ...]) -> Any:
        self.values[path] = _mark(node)
        if len(path) > _MAX_DEPTH or id(node) in self._open:
            raise self._fault("nested too deeply", node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any, path: tuple[Step, ...]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._fault("a key must be plain text", key_node)
            key = key_node.value
            if key in out:
                raise self._fault(f"the key {key!r} is here twice", key_node)
            self.keys[(*path, key)] = _mark(key_node)
            out[key] = self.build(value_node, (*path, key))
        return out

    def _scalar(self, node: Any, path: tuple[Step, ...]) -> Any:
        text: str = node.value
        if node.tag.startswith("!"):
            whole = quoted(f"{node.tag} {text}".strip())
            raise self._fault(f"a value cannot start with '!' unless it is quoted: {whole}", node)
        if node.style:  # None or "" where it was written plain
            return text
        self.plain.add(path)
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text[0] in "tT"
        if _INT.fullmatch(text):
            return int(text)
        if _HEX.fullmatch(text):
            return int(text, 0)
        if _FLOAT.fullmatch(text):
            return float(text)
        return text

    def _fault(self, message: str, node: Any) -> ConfigurationError:
        mark = _mark(node)
        return ConfigurationError(message, file=self.file, line=mark.line, column=mark.column)


def _mark(node: Any) -> Mark:
    return Mark(node.start_mark.line + 1, node.start_mark.column + 1)
