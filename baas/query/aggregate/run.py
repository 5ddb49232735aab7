"""Runs a pipeline's stages: pure and synchronous between the documents that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random
from typing import Final, TypeAlias

from baas.errors import Code, Problem, invalid
from baas.query.aggregate.budget import Budget, tree_size
from baas.query.aggregate.evaluate import Scope, evaluate
from baas.query.aggregate.functions.base import Fault
from baas.query.aggregate.limits import MAX_ANSWER_SIZE
from baas.query.aggregate.lookup import LookupRequest, Reader
from baas.query.aggregate.model import Facet, Lookup, PipelineStage
from baas.query.aggregate.stages import RUNNERS, put
from baas.query.limits import QueryLimits
from baas.schema.values import Document, date_from_ms

Documents: TypeAlias = list[Document]
#: Yields what it needs, is sent the documents, returns the answer.
Run: TypeAlias = Generator[LookupRequest, Documents, Documents]

_SYSTEM_RANDOM: Final = Random()  # noqa: S311 - picks samples, guards nothing


def run(
    stages: tuple[PipelineStage, ...],
    documents: Documents,
    limits: QueryLimits,
    *,
    now_ms: int,
    expired: Callable[[], bool],
    random: Random = _SYSTEM_RANDOM,
) -> Run:
    """The documents that `stages` (all of a Pipeline, or `Leading.rest`) make of `documents`.

    A generator. For each `$lookup` it yields a LookupRequest and must be sent the documents of
    that collection that match, as the caller may see them (ruled and masked), in the order of
    `_id`, at most `limit` of them; its return value is the answer. Between two yields it neither
    waits nor reads anything but its arguments, so that part may run in a thread. `documents` are
    not modified; the answer may share parts with them.

    `expired` is asked every few thousand steps whether the time is over (QUERY_TIMEOUT).
    LIMIT_EXCEEDED: more documents at once than `limits.aggregate_input`, an answer of more than
    `limits.aggregate_max`, or too much data. INVALID_ARGUMENT names the stage where an operator
    does not take what it is given.
    """
    budget = Budget(expired, limits.aggregate_input)
    budget.documents(len(documents))
    runner = _Runner(budget, random)
    scope = Scope(budget, {"NOW": date_from_ms(now_ms)})
    answer = yield from runner.stages(stages, documents, scope)
    if len(answer) > limits.aggregate_max:
        message = f"The answer has more than {limits.aggregate_max} documents; add a $limit."
        raise Problem(Code.LIMIT_EXCEEDED, message)
    tree_size(answer, MAX_ANSWER_SIZE)
    return answer


class _Runner:
    def __init__(self, budget: Budget, random: Random) -> None:
        self._budget = budget
        self._random = random
        self._reader = Reader(budget)

    def stages(self, stages: tuple[PipelineStage, ...], documents: Documents, scope: Scope) -> Run:
        for stage in stages:
            try:
                if isinstance(stage, Facet):
                    documents = yield from self._facet(stage, documents, scope)
                elif isinstance(stage, Lookup):
                    documents = yield from self._lookup(stage, documents, scope)
                else:
                    documents = RUNNERS[type(stage)](stage, documents, scope, self._random)
            except Fault as fault:
                raise invalid(stage.where, fault.message) from None
            self._budget.documents(len(documents))
        return documents

    def _facet(self, stage: Facet, documents: Documents, scope: Scope) -> Run:
        """Every branch sees the same documents; all that they make is held together."""
        answers: Document = {}
        held = len(documents)
        for name, branch in stage.branches.items():
            # A branch without stages answers the very list, which is never modified.
            answers[name] = yield from self.stages(branch, documents, scope)
            held += len(answers[name])
            self._budget.documents(held)
        self._budget.check(answers)
        return [answers]

    def _lookup(self, stage: Lookup, documents: Documents, scope: Scope) -> Run:
        candidates = yield from self._reader.candidates(stage, documents)
        # An inner pipeline that nothing of the outer document reaches runs once.
        uniform = candidates.uniform and not stage.variables
        found: Documents | None = None
        result: Documents = []
        held = len(documents)
        for document in documents:
            self._budget.spend()
            if found is None or not uniform:
                inner = Scope(
                    self._budget, scope.variables | self._variables(stage, document, scope)
                )
                found = yield from self.stages(stage.stages, candidates.of(document), inner)
                self._budget.check(found)
            held += len(found)
            self._budget.documents(held)
            self._budget.made_entries(len(found) + len(document))
            result.append(put(document, stage.target, found))
        return result

    def _variables(self, stage: Lookup, document: Document, scope: Scope) -> Document:
        outer = scope.on(document)
        values = {name: evaluate(value, outer) for name, value in stage.variables.items()}
        return {name: self._budget.check(value) for name, value in values.items()}
