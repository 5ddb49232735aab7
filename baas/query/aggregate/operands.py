"""Operands that stages have in common, and what to answer where a name does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from baas.errors import Problem, invalid
from baas.ids import is_collection_name
from baas.query.aggregate.functions.accumulators import ACCUMULATORS
from baas.query.aggregate.model import Equality, Match, PipelineStage
from baas.query.ast import ALWAYS, Filter, both
from baas.query.hint import unknown
from baas.query.parse import parse_path
from baas.schema.values import MAX_INTEGER, Path

Stages = tuple[PipelineStage, ...]

#: Stages of MongoDB that are left out on purpose: the message says so instead of guessing.
NOT_HERE: Final = frozenset(
    {
        "$out",
        "$merge",
        "$function",
        "$accumulator",
        "$where",
        "$graphLookup",
        "$unionWith",
        "$currentOp",
        "$collStats",
        "$indexStats",
        "$listSessions",
        "$listLocalSessions",
        "$planCacheStats",
        "$changeStream",
    }
)


def no_stage(name: str, where: str, known: Iterable[str]) -> Problem:
    """The answer to the name of a stage or accumulator that does not exist."""
    if name in NOT_HERE:
        return invalid(where, f"{name} does not exist here")
    return invalid(where, unknown("stage", name, known))


def no_accumulator(name: str, where: str) -> Problem:
    if name in NOT_HERE:
        return invalid(where, f"{name} does not exist here")
    return invalid(where, unknown("accumulator", name, ACCUMULATORS))


def integer(raw: Any, where: str, least: int) -> int:
    if type(raw) is float and raw.is_integer():
        raw = int(raw)
    if type(raw) is not int or not least <= raw <= MAX_INTEGER:
        raise invalid(where, f"must be an integer, {least} or more")
    return raw


def members(raw: Any, where: str, known: tuple[str, ...], least: int) -> None:
    if type(raw) is not dict:
        raise invalid(where, f"must be an object of {', '.join(known)}")
    for name in raw:
        if name not in known:
            raise invalid(where, unknown("member", str(name), known))
    for name in known[:least]:
        if name not in raw:
            raise invalid(where, f"needs {name}")


def field_path(raw: Any, where: str) -> Path:
    if type(raw) is not str or not raw.startswith("$") or raw.startswith("$$"):
        raise invalid(where, "must be a path with '$' before it")
    return parse_path(raw[1:], where)


def equality(raw: dict[str, Any], where: str) -> Equality | None:
    if "localField" not in raw and "foreignField" not in raw:
        return None
    for name in ("localField", "foreignField"):
        if name not in raw:
            raise invalid(where, f"needs {name}")
    return Equality(
        parse_path(raw["localField"], f"{where}.localField"),
        parse_path(raw["foreignField"], f"{where}.foreignField"),
    )


def collection(raw: Any, where: str) -> str:
    if not is_collection_name(raw):
        raise invalid(where, "is not the name of a collection that clients may read")
    return str(raw)


def leading_filter(stages: Stages) -> tuple[Filter, Stages]:
    """The filter of the `$match` stages at the beginning, and what follows them."""
    found: Filter = ALWAYS
    for position, stage in enumerate(stages):
        if not isinstance(stage, Match):
            return found, stages[position:]
        found = both(found, stage.filter)
    return found, ()
