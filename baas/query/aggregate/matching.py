"""Filters within a budget: `query.evaluate` cannot be interrupted, so its cost is judged before."""

from __future__ import annotations

from typing import Final

import msgspec

from baas.errors import Code, Problem
from baas.query.aggregate.budget import Budget
from baas.query.ast import Filter
from baas.query.evaluate import matches
from baas.query.fields import paths_in_filter
from baas.schema.values import Document

#: Most tests (conditions times elements of the arrays they meet) on one document: about a second.
MAX_TESTS: Final = 5_000_000
#: Bytes of a filter, as JSON, that count for one test; and tests that count for one step.
_BYTES_PER_TEST: Final = 16
_TESTS_PER_STEP: Final = 4


class Matcher:
    """One filter, ready to be asked of many documents."""

    def __init__(self, filter: Filter, budget: Budget) -> None:
        self._filter = filter
        self._budget = budget
        self._tests = 1 + len(msgspec.json.encode(filter)) // _BYTES_PER_TEST
        self._names = {path[0] for path in paths_in_filter(filter) if path}

    def holds(self, document: Document) -> bool:
        elements = 1
        for name in self._names:
            value = document.get(name)
            if type(value) is list or type(value) is dict:
                elements += self._budget.size(value) // 8
        tests = self._tests * elements
        if tests > MAX_TESTS:
            message = "A $match compares too many conditions with too long an array."
            raise Problem(Code.LIMIT_EXCEEDED, message)
        self._budget.spend(2 + tests // _TESTS_PER_STEP)
        return matches(self._filter, document)
