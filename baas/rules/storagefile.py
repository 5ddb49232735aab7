"""rules/_storage.yaml: who may read, write, list and delete which files.

    - path: avatars/{uid}/{file...}
      read: true
      write: auth.uid == params.uid && resource.size <= 2 * 1024 * 1024

The first entry whose path matches decides alone: `{name}` captures one segment, `{name...}` the
rest. `list` follows `read` and `delete` follows `write` unless given; what no entry matches, and
what an entry does not say, is denied.
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum
from pathlib import Path
from typing import Any, Final

import msgspec

from baas.errors import ConfigurationError
from baas.query import expr as e
from baas.query.conditions import Compiled, compile
from baas.rules.check import check_rule
from baas.rules.model import Advice, Rule
from baas.rules.places import place_in
from baas.rules.syntax import RuleFault
from baas.rules.vocabulary import AUTH_MEMBERS, Root, Scope, closest
from baas.schema.filepath import fault_of
from baas.yamlfile import Mark, YamlFile, load_yaml

FILE_STEM: Final = "_storage"
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_MAX_BYTES: Final = 1024**2
_PATH: Final = "path"
_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.\.\.)?\}", re.ASCII)

RESOURCE_MEMBERS: Final = ("path", "openid", "size", "contentType", "metadata")
REQUEST_MEMBERS: Final = ("ip", "time", "operation")


class FileOperation(Enum):
    """What a rule of `_storage.yaml` can be given for."""

    READ = "read"
    WRITE = "write"
    LIST = "list"
    DELETE = "delete"


_FOLLOWS: Final = {
    FileOperation.LIST: FileOperation.READ,
    FileOperation.DELETE: FileOperation.WRITE,
}
_KEYS: Final = (_PATH, *(operation.value for operation in FileOperation))

_NO_DOCUMENT: Final = "there is no document here; the file is 'resource'"
_ROOTS: Final = {
    "auth": Root(AUTH_MEMBERS),
    "request": Root(REQUEST_MEMBERS, whole=False),
    "now": Root(()),
    "params": Root(None),
    "resource": Root(RESOURCE_MEMBERS, whole=False),
}
_ABSENT: Final = {
    "doc": _NO_DOCUMENT,
    "newDoc": _NO_DOCUMENT,
    "channel": "'channel' is known in _channels.yaml only",
}


def _scope(operation: FileOperation, params: tuple[str, ...]) -> Scope:
    roots = {**_ROOTS, "params": Root(params)}
    if operation is FileOperation.WRITE:
        return Scope(roots={**roots, "stored": Root(RESOURCE_MEMBERS)}, absent=_ABSENT)
    stored = "only a write has a 'stored' file beside the new one; here it is 'resource'"
    return Scope(roots=roots, absent={**_ABSENT, "stored": stored})


class FileRule(msgspec.Struct, frozen=True):
    """A checked rule, ready to be asked."""

    rule: Rule
    compiled: Compiled


class FileRules(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `pattern` matches whole paths, its groups are `params`."""

    path: str
    pattern: re.Pattern[str]
    rules: dict[FileOperation, FileRule]

    def params_of(self, path: str) -> dict[str, str] | None:
        match = self.pattern.fullmatch(path)
        return None if match is None else match.groupdict()


class StorageRules(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `revision` is a digest of its text; `file` its name, "" where none is."""

    entries: tuple[FileRules, ...] = ()
    advice: tuple[Advice, ...] = ()
    file: str = ""
    revision: str = ""

    def find(self, operation: FileOperation, path: str) -> tuple[FileRule, dict[str, str]] | None:
        """The rule that decides for this path, and what its pattern captured."""
        for entry in self.entries:
            params = entry.params_of(path)
            if params is not None:
                rule = entry.rules.get(operation)
                return None if rule is None else (rule, params)
        return None


def load_storage_rules(folder: Path) -> StorageRules:
    """The rules of a rules folder; without a file, no file can be read or written.
    ConfigurationError with file, line and column."""
    named = [folder / f"{FILE_STEM}{suffix}" for suffix in _SUFFIXES]
    present = [path for path in named if path.is_file()]
    if len(present) > 1:
        names = " and ".join(path.name for path in present)
        raise ConfigurationError(f"there are {names}; one of them must go", file=present[1].name)
    if not present:
        return StorageRules()
    try:
        data = present[0].read_bytes()
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        message = f"not UTF-8: byte {fault.start}"
        raise ConfigurationError(message, file=present[0].name) from None
    except OSError as fault:
        message = f"cannot be read: {fault.strerror}"
        raise ConfigurationError(message, file=present[0].name) from None
    if len(data) > _MAX_BYTES:
        raise ConfigurationError("a rule file is at most 1 MiB", file=present[0].name)
    return read_storage_rules(text, present[0].name)


def read_storage_rules(text: str, file: str = "_storage.yaml") -> StorageRules:
    """The rules of a file's text."""
    source = text.replace("\t", " ") if file.endswith(".json") else text
    return _Reader(source, load_yaml(source, file)).read()


class _Reader:
    def __init__(self, source: str, yaml: YamlFile) -> None:
        self.source = source
        self.yaml = yaml
        self.advice: list[Advice] = []

    def read(self) -> StorageRules:
        data = [] if self.yaml.data is None else self.yaml.data
        if not isinstance(data, list):
            raise self.yaml.error("this file is a list of entries: - path: ...")
        entries = tuple(self._entry(given, index) for index, given in enumerate(data))
        self._refuse_twins(entries)
        return StorageRules(
            entries=entries,
            advice=tuple(self.advice),
            file=self.yaml.file,
            revision=hashlib.sha256(self.source.encode()).hexdigest()[:16],
        )

    def _entry(self, given: Any, index: int) -> FileRules:
        if not isinstance(given, dict):
            raise self.yaml.error("an entry has a path and rules: - path: ...", index)
        for key in given:
            if key not in _KEYS:
                hint = closest(key, _KEYS) or f"; there are {', '.join(_KEYS)}"
                raise self.yaml.error(f"unknown key '{key}'{hint}", index, key, key=True)
        if not isinstance(given.get(_PATH), str):
            raise self.yaml.error("an entry needs a path, such as avatars/{uid}/{file...}", index)
        pattern, params = self._pattern(given[_PATH], index)
        rules = {
            operation: self._rule(given[operation.value], index, operation, params)
            for operation in FileOperation
            if operation.value in given
        }
        for operation, other in _FOLLOWS.items():
            if operation not in rules and other in rules:
                rules[operation] = rules[other]
        return FileRules(path=given[_PATH], pattern=pattern, rules=rules)

    # -- paths ------------------------------------------------------------------------------------

    def _pattern(self, path: str, index: int) -> tuple[re.Pattern[str], tuple[str, ...]]:
        """Translated segment by segment: what is no capture is text, never a pattern."""
        parts: list[str] = []
        names: list[str] = []
        segments = path.split("/")
        for place, segment in enumerate(segments):
            match = _CAPTURE.fullmatch(segment)
            if match is None:
                parts.append(re.escape(self._literal(segment, index)))
                continue
            if match[1] in names:
                raise self.yaml.error(f"'{match[1]}' is captured twice", index, _PATH)
            if match[2] and place != len(segments) - 1:
                raise self.yaml.error(f"{segment} takes the rest: it comes last", index, _PATH)
            names.append(match[1])
            parts.append(f"(?P<{match[1]}>{'.+' if match[2] else '[^/]+'})")
        return re.compile("/".join(parts), re.DOTALL), tuple(names)

    def _literal(self, segment: str, index: int) -> str:
        if "{" in segment or "}" in segment:
            raise self.yaml.error(
                f"'{segment}': a capture is a whole segment, {{name}} or {{name...}}", index, _PATH
            )
        fault = fault_of(segment)
        if fault is not None:
            raise self.yaml.error(f"no file can have this path: it {fault}", index, _PATH)
        return segment

    def _refuse_twins(self, entries: tuple[FileRules, ...]) -> None:
        seen: dict[str, str] = {}
        for index, entry in enumerate(entries):
            shape = re.sub(r"\(\?P<\w+>", "(", entry.pattern.pattern)
            if shape in seen:
                raise self.yaml.error(
                    f"never reached: '{seen[shape]}' above matches the same paths", index, _PATH
                )
            seen[shape] = entry.path

    # -- rules ------------------------------------------------------------------------------------

    def _rule(
        self, value: Any, index: int, operation: FileOperation, params: tuple[str, ...]
    ) -> FileRule:
        key = operation.value
        text = self._text(value, index, key)
        try:
            expr, remarks = check_rule(text, _scope(operation, params))
        except RuleFault as fault:
            place = self._place(text, index, key, fault.offset)
            raise ConfigurationError(
                fault.message, file=self.yaml.file, line=place.line, column=place.column
            ) from None
        for remark in remarks:
            self._remark(remark.message, self._place(text, index, key, remark.offset))
        mark = self.yaml.values[(index, key)]
        if operation in (FileOperation.WRITE, FileOperation.DELETE) and expr == e.TRUE:
            self._remark(f"'{key}' is true for everyone, signed in or not", mark)
        rule = Rule(expr=expr, text=text, file=self.yaml.file, line=mark.line, column=mark.column)
        return FileRule(rule, compile(expr))

    def _text(self, value: Any, index: int, key: str) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str) and value.strip():
            return value
        raise self.yaml.error("a rule is true, false or an expression", index, key)

    def _place(self, text: str, index: int, key: str, offset: int) -> Mark:
        return place_in(self.source, self.yaml.values[(index, key)], text, offset)

    def _remark(self, message: str, at: Mark) -> None:
        self.advice.append(
            Advice(message=message, file=self.yaml.file, line=at.line, column=at.column)
        )
