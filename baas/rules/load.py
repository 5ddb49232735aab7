"""The rules folder: every file read, checked, and gathered into one book.

A fault is a ConfigurationError with file, line, column and, where one is near, a suggestion.
Nothing of a folder with a fault is used.
"""

from __future__ import annotations

import hashlib
from pathlib import Path as FilePath
from typing import Final

from baas.errors import ConfigurationError
from baas.ids import is_collection_name
from baas.rules.collectionfile import read_collection
from baas.rules.model import Advice, CollectionRules, RuleBook

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_MAX_FILE_BYTES: Final = 1024**2
#: Rule files of other services; each reads its own.
OTHER_FILES: Final = frozenset(("_storage", "_functions", "_channels"))
EMPTY: Final = RuleBook(collections={}, revision="")


def load_rules(folder: FilePath) -> RuleBook:
    """The book of a rules folder. One that is not there allows nothing."""
    collections: dict[str, CollectionRules] = {}
    advice: list[Advice] = []
    digest = hashlib.sha256()
    for path in rule_files(folder):
        text = _read(path)
        digest.update(f"{path.name}\0{len(text)}\0{text}".encode())
        rules, remarks = load_file(path, text)
        _refuse_twin(collections, rules, path)
        collections[rules.spec.name] = rules
        advice.extend(remarks)
    return RuleBook(collections=collections, revision=digest.hexdigest()[:16], advice=tuple(advice))


def load_file(path: FilePath, text: str | None = None) -> tuple[CollectionRules, list[Advice]]:
    """One collection's file."""
    name = path.name[: -len(path.suffix)]
    if not is_collection_name(name):
        raise ConfigurationError(
            f"'{name}' cannot be a collection's name: letters, digits, '_' and '-', at most 64,"
            " beginning with a letter",
            file=path.name,
        )
    return read_collection(name, _read(path) if text is None else text, path.name)


def rule_files(folder: FilePath) -> list[FilePath]:
    """The collections' files in order of name: no tests, none of other services."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in _SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and not path.stem.endswith(".test")
        and path.stem not in OTHER_FILES
    )


def _read(path: FilePath) -> str:
    try:
        data = path.read_bytes()
        if len(data) > _MAX_FILE_BYTES:
            raise ConfigurationError("a rule file is at most 1 MiB", file=path.name)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ConfigurationError(f"not UTF-8: byte {fault.start}", file=path.name) from None
    except OSError as fault:
        raise ConfigurationError(f"cannot be read: {fault.strerror}", file=path.name) from None


def _refuse_twin(
    collections: dict[str, CollectionRules], rules: CollectionRules, path: FilePath
) -> None:
    name = rules.spec.name
    for other in collections:
        if other.lower() == name.lower():
            raise ConfigurationError(
                f"the collection '{name}' has a file already: {collections[other].file}"
                " (names differ by more than case)",
                file=path.name,
            )
