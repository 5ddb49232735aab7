"""What the rule files beside those of collections have in common: `_storage.yaml` and
`_channels.yaml`, which are lists of entries, and `_functions.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from baas.errors import ConfigurationError
from baas.query.conditions import Compiled, compile
from baas.rules.check import check_rule
from baas.rules.model import Advice, Rule
from baas.rules.places import place_in
from baas.rules.syntax import RuleFault
from baas.rules.vocabulary import Scope, closest
from baas.yamlfile import Mark, YamlFile

_SUFFIXES: Final = (".yaml", ".yml", ".json")
_MAX_BYTES: Final = 1024**2


class EntryRule(msgspec.Struct, frozen=True):
    """A checked rule, ready to be asked."""

    rule: Rule
    compiled: Compiled


def read_rule_text(folder: Path, stem: str) -> tuple[str, str] | None:
    """The text and name of the one file of this stem; None where there is none.
    ConfigurationError."""
    present = [path for suffix in _SUFFIXES if (path := folder / f"{stem}{suffix}").is_file()]
    if len(present) > 1:
        names = " and ".join(path.name for path in present)
        raise ConfigurationError(f"there are {names}; one of them must go", file=present[1].name)
    if not present:
        return None
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
    return text, present[0].name


class RuleReader:
    """Reads the rules of a file, each at the place of its value, and collects what is to be said
    of them."""

    def __init__(self, source: str, yaml: YamlFile) -> None:
        self.source = source
        self.yaml = yaml
        self.advice: list[Advice] = []

    def rule(self, value: Any, scope: Scope, *at: str | int) -> EntryRule:
        """ConfigurationError, at the part of it that is wrong."""
        text = self._text(value, *at)
        mark = self.yaml.values[at]
        try:
            expr, remarks = check_rule(text, scope)
        except RuleFault as fault:
            place = place_in(self.source, mark, text, fault.offset)
            raise ConfigurationError(
                fault.message, file=self.yaml.file, line=place.line, column=place.column
            ) from None
        for remark in remarks:
            self.remark(remark.message, place_in(self.source, mark, text, remark.offset))
        rule = Rule(expr=expr, text=text, file=self.yaml.file, line=mark.line, column=mark.column)
        return EntryRule(rule, compile(expr))

    def _text(self, value: Any, *at: str | int) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str) and value.strip():
            return value
        raise self.yaml.error("a rule is true, false or an expression in quotes", *at)

    def remark(self, message: str, at: Mark) -> None:
        self.advice.append(
            Advice(message=message, file=self.yaml.file, line=at.line, column=at.column)
        )


class EntriesReader(RuleReader):
    """Reads a list of entries, each with a pattern under `pattern_key` and rules under others."""

    pattern_key: str
    keys: tuple[str, ...]
    example: str

    def given(self) -> list[dict[str, Any]]:
        """The entries as they stand there, their form checked."""
        data = [] if self.yaml.data is None else self.yaml.data
        if not isinstance(data, list):
            raise self.yaml.error(f"this file is a list of entries: - {self.pattern_key}: ...")
        for index, entry in enumerate(data):
            self._check_form(entry, index)
        return data

    def _check_form(self, entry: Any, index: int) -> None:
        name = self.pattern_key
        if not isinstance(entry, dict):
            raise self.yaml.error(f"an entry has a {name} and rules: - {name}: ...", index)
        for key in entry:
            if key not in self.keys:
                hint = closest(key, self.keys) or f"; there are {', '.join(self.keys)}"
                raise self.yaml.error(f"unknown key '{key}'{hint}", index, key, key=True)
        if not isinstance(entry.get(name), str):
            raise self.yaml.error(f"an entry needs a {name}, such as {self.example}", index)
