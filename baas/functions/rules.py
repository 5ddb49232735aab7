"""rules/_functions.yaml: who may call which function.

    "*": {invoke: auth != null}
    publish_post: {invoke: "auth.loginType != 'ANONYMOUS'"}
    report: {http: "'staff' in auth.roles"}
    /shop: {http: auth != null}

`invoke` guards `POST /v1/functions/{name}` and denies by default; a name wins over "*", which
speaks only for functions declared with `@fn.event`: one that is there for a timer or a queue must
be named. HTTP functions and mounts (named by their path) are open unless `http` narrows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from baas.database.lookups import FetchedLookups
from baas.errors import denied
from baas.functions.model import EventTrigger, FunctionSpec
from baas.functions.names import is_function_name, suggestion
from baas.functions.routes import parse_mount
from baas.guard import RequestFacts
from baas.ports.documents import DocumentStore, LookupNeeded, Lookups
from baas.query import expr as e
from baas.query.conditions import Env, Instant
from baas.rules.entries import EntryRule, RuleReader, read_rule_text
from baas.rules.model import Advice
from baas.rules.vocabulary import AUTH_MEMBERS, Root, Scope
from baas.schema.actor import Actor
from baas.yamlfile import Mark, load_yaml

FILE_STEM: Final = "_functions"
_KEYS: Final = ("invoke", "http")
EVERY: Final = "*"
_REFUSAL: Final = "The rules do not allow this."
_NO_DOCUMENT: Final = "there is no document here; what the caller sent is request.data"

SCOPE: Final = Scope(
    roots={
        "auth": Root(AUTH_MEMBERS),
        "request": Root(("data", "ip", "time"), whole=False),
        "now": Root(()),
    },
    absent={
        "doc": _NO_DOCUMENT,
        "newDoc": _NO_DOCUMENT,
        "resource": "'resource' is known in _storage.yaml only",
        "stored": "'stored' is known in _storage.yaml only",
        "channel": "'channel' is known in _channels.yaml only",
        "params": "'params' is known in _storage.yaml and _channels.yaml only",
    },
)


class FunctionRules(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file. `revision` is a digest of its text; `file` its name, "" where none is."""

    invoke: dict[str, EntryRule] = {}
    http: dict[str, EntryRule] = {}
    advice: tuple[Advice, ...] = ()
    file: str = ""
    revision: str = ""
    places: dict[str, Mark] = {}

    def unknown_names(
        self, functions: Mapping[str, FunctionSpec], mounts: set[str]
    ) -> list[Advice]:
        """Remarks on entries that speak of nothing that is there: mistyped, or left behind."""
        found = []
        for name in dict.fromkeys((*self.invoke, *self.http)):
            known = (*functions, *mounts)
            if name != EVERY and name not in known:
                mark = self.places[name]
                message = f"there is no function or mount '{name}'{suggestion(name, known)}"
                found.append(
                    Advice(message=message, file=self.file, line=mark.line, column=mark.column)
                )
        return found


def load_function_rules(folder: Path) -> FunctionRules:
    """The rules of a rules folder; without a file, no function can be called. ConfigurationError
    with file, line and column."""
    found = read_rule_text(folder, FILE_STEM)
    return FunctionRules() if found is None else read_function_rules(*found)


def read_function_rules(text: str, file: str) -> FunctionRules:
    """The rules of a file's text."""
    source = text.replace("\t", " ") if file.endswith(".json") else text
    return _Reader(source, load_yaml(source, file)).read()


class _Reader(RuleReader):
    def read(self) -> FunctionRules:
        data = {} if self.yaml.data is None else self.yaml.data
        if not isinstance(data, dict):
            raise self.yaml.error("a rule file is a mapping of functions' names")
        kinds: dict[str, dict[str, EntryRule]] = {key: {} for key in _KEYS}
        for name, given in data.items():
            self._check_name(name)
            if not isinstance(given, dict):
                raise self.yaml.error("write {invoke: CONDITION}", name)
            for key, value in given.items():
                self._check_key(name, key)
                kinds[key][self._entry(name)] = self._rule(value, name, key)
        return FunctionRules(
            invoke=kinds["invoke"],
            http=kinds["http"],
            advice=tuple(self.advice),
            file=self.yaml.file,
            revision=hashlib.sha256(self.source.encode()).hexdigest()[:16],
            places={self._entry(name): self.yaml.keys[(name,)] for name in data},
        )

    def _entry(self, name: str) -> str:
        return parse_mount(name) or "/" if name.startswith("/") else name

    def _check_name(self, name: str) -> None:
        if name.startswith("/"):
            try:
                parse_mount(name)
            except ValueError as fault:
                raise self.yaml.error(str(fault), name, key=True) from None
        elif name != EVERY and not is_function_name(name):
            raise self.yaml.error(
                f"'{name}' is no function's name, no mount's path and not '*'", name, key=True
            )

    def _check_key(self, name: str, key: str) -> None:
        if key not in _KEYS:
            hint = suggestion(key, _KEYS) or f"; there are {', '.join(_KEYS)}"
            raise self.yaml.error(f"unknown key '{key}'{hint}", name, key, key=True)
        if key == "invoke" and name.startswith("/"):
            raise self.yaml.error("a mount is not invoked; write http:", name, key, key=True)

    def _rule(self, value: Any, name: str, key: str) -> EntryRule:
        found = self.rule(value, SCOPE, name, key)
        if key == "invoke" and found.rule.expr == e.TRUE:
            message = f"'{key}' is true for everyone, signed in or not"
            self.remark(message, self.yaml.values[(name, key)])
        return found


# -- asking ---------------------------------------------------------------------------------------


class FunctionGuard:
    """Decides calls by the rules in force; `rules` can be replaced at any time. `store` is where
    `get` and `exists` look."""

    def __init__(self, rules: FunctionRules, store: DocumentStore) -> None:
        self.rules = rules
        self._store = store

    async def check_invoke(self, spec: FunctionSpec, actor: Actor, request: RequestFacts) -> None:
        """PERMISSION_DENIED unless this caller may call it. `request.data` is the event."""
        if actor.trusted:
            return
        rule = self.rules.invoke.get(spec.name)
        if rule is None and any(isinstance(t, EventTrigger) for t in spec.triggers):
            rule = self.rules.invoke.get(EVERY)
        if rule is None or not await self._holds(rule, actor, request):
            raise denied(_REFUSAL)

    async def check_http(self, name: str, actor: Actor, request: RequestFacts) -> None:
        """The same for a request below `/http`; `name` is a function's, or a mount's path."""
        if actor.trusted:
            return
        rule = self._http_rule(name)
        if rule is not None and not await self._holds(rule, actor, request):
            raise denied(_REFUSAL)

    def narrows_http(self, name: str) -> bool:
        """Whether requests to it are held by a rule."""
        return self._http_rule(name) is not None

    def _http_rule(self, name: str) -> EntryRule | None:
        return self.rules.http.get(name or "/") or self.rules.http.get(EVERY)

    async def _holds(self, rule: EntryRule, actor: Actor, request: RequestFacts) -> bool:
        variables = _variables(actor, request)
        try:
            return rule.compiled(Env(None, None, variables, _UNASKED)) is True
        except LookupNeeded:
            pass
        async with self._store.snapshot() as reader:
            lookups = FetchedLookups(reader)
            while True:
                try:
                    return rule.compiled(Env(None, None, variables, lookups)) is True
                except LookupNeeded as need:
                    await lookups.fetch(need)


def _unasked(collection: str, id: str) -> None:
    raise LookupNeeded(collection, id)


_UNASKED: Final[Lookups] = _unasked


def _variables(actor: Actor, request: RequestFacts) -> dict[str, Any]:
    now = Instant(request.time_ms)
    facts = {"data": request.data, "ip": request.ip, "time": now}
    return {"auth": actor.as_rule_value(), "request": facts, "now": now}
