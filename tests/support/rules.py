"""Rules for tests: expressions from text, books from files written on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baas.query import expr as e
from baas.query.conditions import UNDEFINED, Env, Instant, evaluate
from baas.rules.check import check_rule
from baas.rules.load import load_rules
from baas.rules.model import Operation, RuleBook
from baas.rules.scopes import scope_of

NOW_MS = 1_800_000_000_000
READ_SCOPE = scope_of(Operation.READ, shared=False)
UPDATE_SCOPE = scope_of(Operation.UPDATE, shared=False)


def condition(text: str) -> e.Expr:
    """A rule as `update` sees it: both documents are there."""
    return check_rule(text, UPDATE_SCOPE)[0]


def variables(auth: Any = None, data: Any = None, now_ms: int = NOW_MS) -> dict[str, Any]:
    now = Instant(now_ms)
    request = {"data": data, "ip": "", "time": now, "fields": None, "operation": "update"}
    return {"auth": auth, "request": request, "now": now}


def value_of(
    text: str,
    *,
    doc: Any = None,
    new_doc: Any = None,
    auth: Any = None,
    data: Any = None,
    others: dict[tuple[str, str], Any] | None = None,
) -> Any:
    """What a rule's condition comes to; UNDEFINED is shown as the string 'undefined'."""
    found = others or {}
    env = Env(doc, new_doc, variables(auth, data), lambda name, id: found.get((name, id)))
    value = evaluate(condition(text), env)
    return "undefined" if value is UNDEFINED else value


def book(folder: Path, **files: str) -> RuleBook:
    """The book of a folder with one YAML file per keyword."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return load_rules(folder)
