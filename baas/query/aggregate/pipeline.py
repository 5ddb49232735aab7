"""A parsed pipeline, and the part of it that an engine can run as a find."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from baas.query.aggregate.model import Facet, Limit, Lookup, Match, PipelineStage, Skip, SortBy
from baas.query.ast import ALWAYS, BY_ID, Filter, Sort, TextSearch, both
from baas.query.fields import paths_in_filter, paths_in_sort
from baas.query.near import text_search_of, with_text_index
from baas.schema.values import Path

#: Whether the caller may have the engine look at these paths of the stored documents.
Usable = Callable[[frozenset[Path]], bool]


class Leading(msgspec.Struct, frozen=True):
    """`filter sort skip limit` as a find runs them, and the `rest` that runs on what it finds.

    `limit` None: all. `paths` are those that filter and sort look at in stored documents, before
    any mask.
    """

    filter: Filter = ALWAYS
    sort: Sort = BY_ID
    skip: int = 0
    limit: int | None = None
    rest: tuple[PipelineStage, ...] = ()
    paths: frozenset[Path] = frozenset()


class Pipeline(msgspec.Struct, frozen=True):
    """`stages` in order; all of them can also run in memory, on documents in the order of `_id`."""

    stages: tuple[PipelineStage, ...]

    @property
    def collections(self) -> frozenset[str]:
        """The other collections that its `$lookup` stages read, at any depth."""
        return frozenset(_collections(self.stages))

    @property
    def text_search(self) -> TextSearch | None:
        """The `$text` of the first `$match`."""
        first = self.stages[0] if self.stages else None
        return text_search_of(first.filter) if isinstance(first, Match) else None

    def with_text_index(self, paths: tuple[Path, ...]) -> Pipeline:
        """The same with that `$text` asked of these paths."""
        first = self.stages[0]
        assert isinstance(first, Match)
        filter = with_text_index(first.filter, paths)
        return Pipeline((msgspec.structs.replace(first, filter=filter), *self.stages[1:]))

    def leading(self, usable: Usable = lambda paths: True) -> Leading:
        """The longest beginning that a find can run: `$match`es, then at most one each of
        `$sort`, `$skip` and `$limit`, in that order.

        It ends before the first stage whose paths are not `usable`: an engine sees stored values,
        the rest of the pipeline only what the masks leave. So what a mask may hide must not be
        usable, and is then matched or sorted as hidden.
        """
        return _lead(self.stages, usable)


def _lead(stages: tuple[PipelineStage, ...], usable: Usable) -> Leading:
    found = Leading()
    allowed: tuple[type[PipelineStage], ...] = (Match, SortBy, Skip, Limit)
    for position, stage in enumerate(stages):
        paths = stage_paths(stage)
        if not isinstance(stage, allowed) or not usable(paths):
            return msgspec.structs.replace(found, rest=stages[position:])
        paths |= found.paths
        if isinstance(stage, Match):
            filter = both(found.filter, stage.filter)
            found = msgspec.structs.replace(found, filter=filter, paths=paths)
        elif isinstance(stage, SortBy):
            found = msgspec.structs.replace(found, sort=stage.sort, paths=paths)
            allowed = (Skip, Limit)
        elif isinstance(stage, Skip):
            found = msgspec.structs.replace(found, skip=stage.count)
            allowed = (Limit,)
        elif isinstance(stage, Limit):
            found = msgspec.structs.replace(found, limit=stage.count)
            allowed = ()
    return found


def stage_paths(stage: PipelineStage) -> frozenset[Path]:
    """The paths that a `$match` or `$sort` looks at; none for other stages."""
    if isinstance(stage, Match):
        return paths_in_filter(stage.filter)
    if isinstance(stage, SortBy):
        return paths_in_sort(stage.sort)
    return frozenset()


def _collections(stages: tuple[PipelineStage, ...]) -> Iterator[str]:
    for stage in stages:
        if isinstance(stage, Lookup):
            yield stage.collection
            yield from _collections(stage.stages)
        elif isinstance(stage, Facet):
            for branch in stage.branches.values():
                yield from _collections(branch)
