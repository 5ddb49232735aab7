"""What `load` makes of rule files: the book that the guard reads from."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import msgspec

from baas.query.expr import Expr
from baas.schema.model import CollectionSpec
from baas.schema.values import Path


class Operation(Enum):
    """What a rule can be given for. COUNT, AGGREGATE and WATCH follow READ unless given."""

    READ = "read"
    COUNT = "count"
    AGGREGATE = "aggregate"
    WATCH = "watch"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"

    # By identity: members are single, and the guard looks operations up on every request.
    __hash__ = object.__hash__


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One checked rule. `text` as written, `file`, `line` and `column` where it stands."""

    expr: Expr
    text: str
    file: str = ""
    line: int = 0
    column: int = 0


class FieldMask(msgspec.Struct, frozen=True, kw_only=True):
    """Who may read and write what lies at and below `path`. None: anyone who may see or write
    the document."""

    path: Path
    read: Rule | None = None
    write: Rule | None = None


class CollectionRules(msgspec.Struct, frozen=True, kw_only=True):
    """One collection. `rules` has every operation; one that no file allows is FALSE."""

    spec: CollectionSpec
    rules: dict[Operation, Rule]
    masks: tuple[FieldMask, ...] = ()
    mode: Literal["filter", "reject"] = "filter"
    file: str = ""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """A warning of `baas rules check`."""

    message: str
    file: str
    line: int = 0
    column: int = 0


class RuleBook(msgspec.Struct, frozen=True, kw_only=True):
    """All rules of an app. `revision` is a digest of the files: equal texts, equal revision."""

    collections: dict[str, CollectionRules]
    revision: str
    advice: tuple[Advice, ...] = ()
