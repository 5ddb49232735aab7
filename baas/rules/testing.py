"""`*.test.yaml`: rule tests as data, and whether an answer is what a case expects.

The command line runs the cases (`baas.ruletests`): through the real guard, database service
and engine, each on the same documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path as FilePath
from typing import Any, Final

import msgspec

from baas.errors import Code, Problem
from baas.ids import is_collection_name
from baas.query.rulefunctions import FUNCTIONS, UNDEFINED
from baas.rules.vocabulary import closest
from baas.schema.actor import NOBODY, SERVER, Actor
from baas.schema.values import date_to_ms
from baas.yamlfile import Step, YamlFile, load_yaml

_TOP_KEYS: Final = ("documents", "cases", "now")
_VERBS: Final = ("find", "get", "count", "insert", "update", "replace", "delete", "aggregate")
#: Requests to functions, judged by _functions.yaml: a call by name, and a request below /http.
FUNCTION_VERBS: Final = ("call", "http")
_BODY_KEYS: Final = (
    "id",
    "filter",
    "sort",
    "limit",
    "skip",
    "document",
    "documents",
    "update",
    "multi",
    "upsert",
    "pipeline",
)
_NUMBERS: Final = ("total", "matched", "modified", "deleted")
_EXPECTATIONS: Final = ("sees", "fails", "ok", "fields", "hides", *_NUMBERS)
_FUNCTION_KEYS: Final = ("function", "data", "ip")
_CASE_KEYS: Final = (
    *("as", "do", "collection", "set", "project"),
    *_FUNCTION_KEYS,
    *_BODY_KEYS,
    *_EXPECTATIONS,
)
_CALLER_KEYS: Final = {
    "uid": "uid",
    "openid": "uid",
    "roles": "roles",
    "loginType": "login_type",
    "unionid": "unionid",
    "appid": "appid",
    "claims": "claims",
    "identities": "identities",
}
#: Fields that are in every answer and need not be named in `fields`.
_ALWAYS_THERE: Final = frozenset(("_id", "_openid", "_createTime", "_updateTime"))


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One request and what is expected of its answer."""

    file: str
    line: int
    actor: Actor
    verb: str
    collection: str
    body: dict[str, Any]
    expected: dict[str, Any]

    @property
    def caller(self) -> str:
        if self.actor.trusted:
            return "server"
        roles = f" ({', '.join(self.actor.roles)})" if self.actor.roles else ""
        return (self.actor.uid or "nobody") + roles

    @property
    def request(self) -> str:
        if self.verb in FUNCTION_VERBS:
            return f"{self.verb} {self.body['function']}"
        target = self.body.get("id") or self.body.get("filter") or ""
        shown = target if isinstance(target, str) else msgspec.json.encode(target).decode()
        return f"{self.verb} {self.collection} {shown}".strip()

    @property
    def expectation(self) -> str:
        return ", ".join(
            f"{key} {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"
            for key, value in self.expected.items()
        )


class RuleTests(msgspec.Struct, frozen=True, kw_only=True):
    """`now_ms` is the server's time for every case, or None for the real one."""

    documents: dict[str, list[dict[str, Any]]]
    cases: tuple[Case, ...]
    now_ms: int | None


def find_tests(folder: FilePath) -> list[FilePath]:
    """The rule tests of a rules folder, in order of name."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix in (".yaml", ".yml", ".json") and path.stem.endswith(".test")
    )


def load_tests(path: FilePath) -> RuleTests:
    """One file of cases; ConfigurationError with the place of what is wrong."""
    yaml = load_yaml(path.read_text("utf-8-sig"), path.name)
    return _Reader(yaml, path.stem.removesuffix(".test")).read()


class _Reader:
    def __init__(self, yaml: YamlFile, collection: str) -> None:
        self.yaml = yaml
        self.collection = collection

    def read(self) -> RuleTests:
        data = self.yaml.data
        if not isinstance(data, dict):
            raise self.yaml.error("a test file has 'documents' and 'cases'")
        self._check_keys(data, _TOP_KEYS, ())
        cases = data.get("cases") or []
        if not isinstance(cases, list):
            raise self.yaml.error("'cases' is a list", "cases")
        return RuleTests(
            documents=self._documents(data.get("documents") or {}),
            cases=tuple(self._case(item, position) for position, item in enumerate(cases)),
            now_ms=self._now(data.get("now")),
        )

    def _check_keys(
        self, data: Iterable[str], known: tuple[str, ...], at: tuple[Step, ...]
    ) -> None:
        for key in data:
            if key not in known:
                advice = closest(key, known)
                raise self.yaml.error(f"unknown key '{key}'{advice}", *at, key, key=True)

    def _documents(self, value: Any) -> dict[str, list[dict[str, Any]]]:
        if not isinstance(value, dict):
            raise self.yaml.error("'documents' is lists of documents by collection", "documents")
        for name, documents in value.items():
            if not is_collection_name(name) or not isinstance(documents, list):
                raise self.yaml.error(
                    "a collection and the list of its documents", "documents", name
                )
            if not all(isinstance(item, dict) for item in documents):
                raise self.yaml.error("a document is a mapping", "documents", name)
        return value

    def _now(self, value: Any) -> int | None:
        if value is None:
            return None
        date = FUNCTIONS["date"](value) if isinstance(value, str) else UNDEFINED
        if date is UNDEFINED:
            raise self.yaml.error("'now' is a time such as 2026-11-20T08:00:00Z", "now")
        return date_to_ms(date)

    def _case(self, item: Any, position: int) -> Case:
        at: tuple[Step, ...] = ("cases", position)
        if not isinstance(item, dict):
            raise self.yaml.error("a case is a mapping: {as: ..., do: ..., ...}", *at)
        self._check_keys(item, _CASE_KEYS, at)
        verb = item.get("do")
        if verb not in _VERBS and verb not in FUNCTION_VERBS:
            known = ", ".join((*_VERBS, *FUNCTION_VERBS))
            raise self.yaml.error(f"'do' is one of {known}", *at)
        if verb in FUNCTION_VERBS and not isinstance(item.get("function"), str):
            raise self.yaml.error(f"'{verb}' needs a function's name", *at)
        expected = {key: item[key] for key in _EXPECTATIONS if key in item}
        if not expected:
            raise self.yaml.error(f"a case expects one of {', '.join(_EXPECTATIONS)}", *at)
        self._check_expected(expected, at)
        return Case(
            file=self.yaml.file,
            line=self.yaml.values[at].line,
            actor=self._actor(item.get("as"), at),
            verb=verb,
            collection=item.get("collection", self.collection),
            body=_body(item),
            expected=expected,
        )

    def _check_expected(self, expected: dict[str, Any], at: tuple[Step, ...]) -> None:
        code = expected.get("fails")
        if "fails" in expected and code not in Code.__members__:
            advice = closest(str(code), tuple(Code.__members__))
            raise self.yaml.error(f"unknown code {code!r}{advice}", *at, "fails")
        for key in ("sees", "fields", "hides"):
            if key in expected and not isinstance(expected[key], list):
                raise self.yaml.error(f"'{key}' is a list", *at, key)

    def _actor(self, value: Any, at: tuple[Step, ...]) -> Actor:
        if value is None:
            return NOBODY
        if value == "server":
            return SERVER
        if not isinstance(value, dict) or not ("uid" in value or "openid" in value):
            raise self.yaml.error("'as' is null, server or {uid: ..., roles: [...]}", *at, "as")
        self._check_keys(value, tuple(_CALLER_KEYS), (*at, "as"))
        members: dict[str, Any] = {"login_type": "USERNAME"}
        members.update({_CALLER_KEYS[key]: item for key, item in value.items()})
        members["roles"] = tuple(members.get("roles", ()))
        return Actor(**members, cache_key=msgspec.json.encode(value).decode())


def _body(item: dict[str, Any]) -> dict[str, Any]:
    if item["do"] in FUNCTION_VERBS:
        return {key: item[key] for key in _FUNCTION_KEYS if key in item}
    body: dict[str, Any] = {key: item[key] for key in _BODY_KEYS if key in item}
    if "set" in item:
        body["update"] = {"$set": item["set"]}
    if "project" in item:
        body["fields"] = item["project"]
    return body


# -- judging --------------------------------------------------------------------------------------


def judge(case: Case, answer: dict[str, Any] | Problem) -> str:
    """ "" where the answer is what the case expects, else what is different."""
    wanted = case.expected.get("fails")
    if isinstance(answer, Problem):
        if wanted == answer.code.name:
            return ""
        return f"failed with {answer.code.name}: {answer.detail}"
    if wanted is not None:
        return f"was allowed: {msgspec.json.encode(answer).decode()}"
    for key, value in case.expected.items():
        if difference := _difference(key, value, answer, "sort" in case.body):
            return difference
    return ""


def _difference(key: str, value: Any, answer: dict[str, Any], in_order: bool) -> str:
    documents = _documents_of(answer)
    if key == "ok":
        return "" if value else "was allowed"
    if key == "sees":
        found = answer.get("ids") or [document.get("_id") for document in documents]
        same = found == value if in_order else sorted(map(str, found)) == sorted(map(str, value))
        return "" if same else f"saw {msgspec.json.encode(found).decode()}"
    if key == "fields":
        return next(filter(None, (_field_difference(value, doc) for doc in documents)), "")
    if key == "hides":
        shown = [name for name in value if any(name in document for document in documents)]
        return f"showed {', '.join(shown)}" if shown else ""
    return "" if answer.get(key) == value else f"{key} was {answer.get(key)}"


def _documents_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    if "documents" in answer and isinstance(answer["documents"], list):
        return answer["documents"]
    return [answer] if "_id" in answer else []


def _field_difference(wanted: list[str], document: dict[str, Any]) -> str:
    found = set(document) - (_ALWAYS_THERE - set(wanted))
    if found == set(wanted):
        return ""
    return f"{document.get('_id')} had the fields {', '.join(sorted(found)) or 'none'}"
