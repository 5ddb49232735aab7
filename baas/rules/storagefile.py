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

from baas.query import expr as e
from baas.rules.entries import EntriesReader, EntryRule, read_rule_text
from baas.rules.model import Advice
from baas.rules.vocabulary import AUTH_MEMBERS, Root, Scope
from baas.schema.filepath import fault_of
from baas.yamlfile import load_yaml

FILE_STEM: Final = "_storage"
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


class FileRules(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `pattern` matches whole paths, its groups are `params`."""

    path: str
    pattern: re.Pattern[str]
    rules: dict[FileOperation, EntryRule]

    def params_of(self, path: str) -> dict[str, str] | None:
        match = self.pattern.fullmatch(path)
        return None if match is None else match.groupdict()


class StorageRules(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `revision` is a digest of its text; `file` its name, "" where none is."""

    entries: tuple[FileRules, ...] = ()
    advice: tuple[Advice, ...] = ()
    file: str = ""
    revision: str = ""

    def find(self, operation: FileOperation, path: str) -> tuple[EntryRule, dict[str, str]] | None:
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
    found = read_rule_text(folder, FILE_STEM)
    return StorageRules() if found is None else read_storage_rules(*found)


def read_storage_rules(text: str, file: str = "_storage.yaml") -> StorageRules:
    """The rules of a file's text."""
    source = text.replace("\t", " ") if file.endswith(".json") else text
    return _Reader(source, load_yaml(source, file)).read()


class _Reader(EntriesReader):
    pattern_key = _PATH
    keys = _KEYS
    example = "avatars/{uid}/{file...}"

    def read(self) -> StorageRules:
        entries = tuple(self._entry(given, index) for index, given in enumerate(self.given()))
        self._refuse_twins(entries)
        return StorageRules(
            entries=entries,
            advice=tuple(self.advice),
            file=self.yaml.file,
            revision=hashlib.sha256(self.source.encode()).hexdigest()[:16],
        )

    def _entry(self, given: dict[str, Any], index: int) -> FileRules:
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
    ) -> EntryRule:
        found = self.rule(value, _scope(operation, params), index, operation.value)
        writes = operation in (FileOperation.WRITE, FileOperation.DELETE)
        if writes and found.rule.expr == e.TRUE:
            mark = self.yaml.values[(index, operation.value)]
            self.remark(f"'{operation.value}' is true for everyone, signed in or not", mark)
        return found
