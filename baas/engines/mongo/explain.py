"""How the server would run a query, in the words of the declarations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from baas.engines.mongo.catalogue import Catalogue, CollectionInfo
from baas.engines.mongo.compile import compile_filter
from baas.engines.mongo.driver import Driver, Row
from baas.engines.mongo.natives import all_of
from baas.engines.mongo.sort import behind, order_of
from baas.ports.documents import Find

_INNER: Final = ("inputStage", "inputStages", "queryPlan", "shards")


async def explain(driver: Driver, catalogue: Catalogue, query: Find) -> list[str]:
    info = catalogue.get(query.collection)
    if info is None:
        return [f"{query.collection} has no documents"]
    native = compile_filter(query.filter, info)
    command: Row = {"find": query.collection}
    lines = []
    if info.sorts(query.sort):
        command["sort"] = dict(order_of(query.sort))
        if query.after is not None:
            native = all_of([native, behind(query.sort, query.after)])
        if query.limit and native.exact:
            command["limit"] = query.limit
    else:
        lines.append("the gateway sorts, for documents have arrays there")
    if not native.exact:
        lines.append("the gateway asks the rest of the filter of every row")
    command["filter"] = native.filter
    answer = await driver.command("explain", command, verbosity="queryPlanner")
    plan = answer.get("queryPlanner", {}).get("winningPlan", {})
    return [*(_line(info, stage) for stage in _stages(plan)), *lines]


def _stages(plan: Any) -> Iterator[Row]:
    """From the outermost to the innermost."""
    if isinstance(plan, list):
        for one in plan:
            yield from _stages(one)
        return
    if "stage" in plan:
        yield plan
    for name in _INNER:
        if name in plan:
            yield from _stages(plan[name])


def _line(info: CollectionInfo, stage: Row) -> str:
    index = stage.get("indexName")
    if index is None:
        return str(stage["stage"])
    declared = {one.physical: one.spec.name for one in info.indexes}
    return f"{stage['stage']} {declared.get(index, index)}"
