"""rules/_channels.yaml: who may hear, speak and be seen in which channels.

    - channel: room:{id}
      subscribe: auth.uid in get('database.rooms.' + params.id).members
      publish: auth.uid in get('database.rooms.' + params.id).members
      presence: auth != null
      history: {keep: 24h, max: 1000}

The first entry whose pattern matches decides alone: `{name}` captures what holds no `:`. What no
entry matches, and what an entry does not say, is denied. `history: none` keeps nothing.
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
from baas.rules.needs import Needs, needs_of
from baas.rules.vocabulary import AUTH_MEMBERS, Root, Scope
from baas.yamlfile import load_yaml

FILE_STEM: Final = "_channels"
#: The caller's own channel; no rule speaks of it.
INBOX: Final = "inbox"
MAX_NAME: Final = 128
_CHANNEL: Final = "channel"
_HISTORY: Final = "history"
_CAPTURE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}", re.ASCII)
_LITERAL: Final = re.compile(r"[A-Za-z0-9_.:/@-]*", re.ASCII)
_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_KEEP: Final = 30 * 86_400
_MAX_MESSAGES: Final = 100_000
REQUEST_MEMBERS: Final = ("data", "ip", "time", "operation")


class ChannelOperation(Enum):
    """What a rule of `_channels.yaml` can be given for. PRESENCE: to be seen, and to see."""

    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"
    PRESENCE = "presence"


_KEYS: Final = (_CHANNEL, *(operation.value for operation in ChannelOperation), _HISTORY)
_NO_DOCUMENT: Final = "there is no document here; other documents are get('database....')"
_NO_FILE: Final = "there is no file here"
_ABSENT: Final = {
    "doc": _NO_DOCUMENT,
    "newDoc": _NO_DOCUMENT,
    "resource": _NO_FILE,
    "stored": _NO_FILE,
}


def _scope(operation: ChannelOperation, params: tuple[str, ...]) -> Scope:
    members: tuple[str, ...] = REQUEST_MEMBERS
    if operation is not ChannelOperation.PUBLISH:
        members = tuple(name for name in members if name != "data")
    roots = {
        "auth": Root(AUTH_MEMBERS),
        "request": Root(members, whole=False),
        "now": Root(()),
        "params": Root(params),
        "channel": Root(()),
    }
    return Scope(roots=roots, absent=_ABSENT)


class History(msgspec.Struct, frozen=True):
    """How long messages are kept, in seconds, and how many of a channel at most."""

    keep: int = 86_400
    max: int = 1000


class ChannelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `history` None: nothing is kept. `needs`: of the rules to hear and to be seen,
    which are asked again while one does."""

    channel: str
    pattern: re.Pattern[str]
    rules: dict[ChannelOperation, EntryRule]
    history: History | None = History()
    needs: Needs = Needs()

    def params_of(self, name: str) -> dict[str, str] | None:
        match = self.pattern.fullmatch(name)
        return None if match is None else match.groupdict()


class ChannelRules(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `revision` is a digest of its text; `file` its name, "" where none is."""

    entries: tuple[ChannelEntry, ...] = ()
    advice: tuple[Advice, ...] = ()
    file: str = ""
    revision: str = ""

    def find(self, name: str) -> tuple[ChannelEntry, dict[str, str]] | None:
        """The entry that decides for a channel, and what its pattern captured."""
        for entry in self.entries:
            params = entry.params_of(name)
            if params is not None:
                return entry, params
        return None


def load_channel_rules(folder: Path) -> ChannelRules:
    """The rules of a rules folder; without a file there is no channel.
    ConfigurationError with file, line and column."""
    found = read_rule_text(folder, FILE_STEM)
    return ChannelRules() if found is None else read_channel_rules(*found)


def read_channel_rules(text: str, file: str = "_channels.yaml") -> ChannelRules:
    """The rules of a file's text."""
    source = text.replace("\t", " ") if file.endswith(".json") else text
    return _Reader(source, load_yaml(source, file)).read()


class _Reader(EntriesReader):
    pattern_key = _CHANNEL
    keys = _KEYS
    example = "room:{id}"

    def read(self) -> ChannelRules:
        entries = tuple(self._entry(given, index) for index, given in enumerate(self.given()))
        self._refuse_twins(entries)
        return ChannelRules(
            entries=entries,
            advice=tuple(self.advice),
            file=self.yaml.file,
            revision=hashlib.sha256(self.source.encode()).hexdigest()[:16],
        )

    def _entry(self, given: dict[str, Any], index: int) -> ChannelEntry:
        pattern, params = self._pattern(given[_CHANNEL], index)
        rules = {
            operation: self._rule(given[operation.value], index, operation, params)
            for operation in ChannelOperation
            if operation.value in given
        }
        history: History | None = History()
        if _HISTORY in given:
            history = self._history(given[_HISTORY], index)
        lasting = [rule for op, rule in rules.items() if op is not ChannelOperation.PUBLISH]
        return ChannelEntry(
            channel=given[_CHANNEL],
            pattern=pattern,
            rules=rules,
            history=history,
            needs=needs_of(one.rule.expr for one in lasting),
        )

    def _rule(
        self, value: Any, index: int, operation: ChannelOperation, params: tuple[str, ...]
    ) -> EntryRule:
        found = self.rule(value, _scope(operation, params), index, operation.value)
        if operation is ChannelOperation.PUBLISH and found.rule.expr == e.TRUE:
            mark = self.yaml.values[(index, operation.value)]
            self.remark("'publish' is true for everyone, signed in or not", mark)
        return found

    def _pattern(self, name: str, index: int) -> tuple[re.Pattern[str], tuple[str, ...]]:
        """What is no capture is text, never a pattern."""
        if not 1 <= len(name) <= MAX_NAME:
            raise self.yaml.error(f"a channel has 1 to {MAX_NAME} characters", index, _CHANNEL)
        if name == INBOX or name.startswith("_"):
            raise self.yaml.error(f"'{name}' is the kit's own", index, _CHANNEL)
        parts: list[str] = []
        names: list[str] = []
        at = 0
        for match in _CAPTURE.finditer(name):
            parts.append(re.escape(self._literal(name[at : match.start()], index)))
            if match[1] in names:
                raise self.yaml.error(f"'{match[1]}' is captured twice", index, _CHANNEL)
            if at and match.start() == at:
                raise self.yaml.error("two captures need something between", index, _CHANNEL)
            names.append(match[1])
            parts.append(f"(?P<{match[1]}>[^:]+)")
            at = match.end()
        parts.append(re.escape(self._literal(name[at:], index)))
        return re.compile("".join(parts), re.DOTALL), tuple(names)

    def _literal(self, text: str, index: int) -> str:
        if _LITERAL.fullmatch(text) is None:
            raise self.yaml.error(
                f"'{text}': letters, digits and _ . : / @ - , and captures such as {{id}}",
                index,
                _CHANNEL,
            )
        return text

    def _history(self, value: Any, index: int) -> History | None:
        if value == "none":
            return None
        if not isinstance(value, dict):
            raise self.yaml.error("none, or {keep: 24h, max: 1000}", index, _HISTORY)
        for key in value:
            if key not in ("keep", "max"):
                message = f"unknown key '{key}'; there are keep, max"
                raise self.yaml.error(message, index, _HISTORY, key, key=True)
        default = History()
        keep = self._keep(value["keep"], index) if "keep" in value else default.keep
        most = value.get("max", default.max)
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= _MAX_MESSAGES:
            message = f"a number of messages, 1 to {_MAX_MESSAGES}"
            raise self.yaml.error(message, index, _HISTORY, "max")
        return History(keep, most)

    def _keep(self, value: Any, index: int) -> int:
        match = _DURATION.fullmatch(value) if isinstance(value, str) else None
        seconds = 0 if match is None else int(match[1]) * _UNITS[match[2]]
        if not 0 < seconds <= _MAX_KEEP:
            message = "a time such as 90s, 30m, 24h or 7d, at most 30d"
            raise self.yaml.error(message, index, _HISTORY, "keep")
        return seconds

    def _refuse_twins(self, entries: tuple[ChannelEntry, ...]) -> None:
        seen: dict[str, str] = {}
        for index, entry in enumerate(entries):
            shape = re.sub(r"\(\?P<\w+>", "(", entry.pattern.pattern)
            if shape in seen:
                message = f"never reached: '{seen[shape]}' above matches the same channels"
                raise self.yaml.error(message, index, _CHANNEL)
            seen[shape] = entry.channel
