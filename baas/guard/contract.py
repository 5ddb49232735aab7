"""What services may count on: the guard's questions and the form of its answers."""

from __future__ import annotations

from typing import Protocol

import msgspec

from baas.ports.documents import Lookups
from baas.query.ast import Filter, Sort
from baas.rules.model import CollectionRules, Operation, RuleBook
from baas.schema.actor import Actor
from baas.schema.values import Document, Path, Value


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`request` in rules. `data` what the client sent (on update the `$set` object), `fields` the
    top-level names written or projected (None: all)."""

    time_ms: int
    ip: str = ""
    data: Value = None
    fields: tuple[str, ...] | None = None


class Masks(Protocol):
    """The field masks of one collection for one caller."""

    @property
    def hides_nothing(self) -> bool:
        """Whether stored bytes may be sent as they are."""
        ...

    def readable(self, document: Document, lookups: Lookups) -> Document:
        """A copy without what this caller may not read of this document (which may share parts)."""
        ...

    def check_used(self, paths: frozenset[Path], known: Filter) -> None:
        """PERMISSION_DENIED naming a path of a filter or sort that the caller may not read.

        A parent of a masked path counts. Fine where the mask is true for the caller, or implied
        by `known`: the rule and the filter together.
        """
        ...

    def touches(self, paths: frozenset[Path]) -> bool:
        """Whether one of `paths`, a parent or a child of one may be masked for this caller.

        What touches nothing (a leading `$match`, `$sort` of a pipeline) may run in the engine.
        """
        ...

    def check_read(self, paths: frozenset[Path], document: Document, lookups: Lookups) -> None:
        """PERMISSION_DENIED naming a path that an update operator reads and the caller may not."""
        ...

    def check_written(self, paths: frozenset[Path], document: Document, lookups: Lookups) -> None:
        """PERMISSION_DENIED naming a path that this write may not set on this document."""
        ...

    def unreadable(self, document: Document, lookups: Lookups) -> frozenset[Path]:
        """The masked paths that the caller may not read of this document."""
        ...


class ReadDecision(msgspec.Struct, frozen=True):
    """`filter`: the client's filter and the rule's, to be run as one. `rule`: the rule's alone."""

    filter: Filter
    rule: Filter
    masks: Masks


class WriteDecision(Protocol):
    """What a write must satisfy. For a trusted actor everything passes."""

    filter: Filter
    """For writes by filter: client's filter, what is visible, and as much of the write rule as
    speaks of the stored document alone. Documents outside it are as if absent."""

    masks: Masks

    def check_stored(self, document: Document | None, lookups: Lookups) -> Document:
        """For writes by id: NOT_FOUND for absent or hidden, PERMISSION_DENIED for visible but not
        allowed by what the rule says of the stored document; else the document."""
        ...

    def check_result(self, before: Document | None, after: Document, lookups: Lookups) -> None:
        """The whole rule, with `doc` and `newDoc` known: PERMISSION_DENIED unless true."""
        ...


class Guard(Protocol):
    """The shape; `RuleGuard` is the one implementation."""

    book: RuleBook

    def rules_of(self, collection: str) -> CollectionRules | None: ...

    def text_paths(self, collection: str) -> tuple[Path, ...]:
        """The fields of its text index; INVALID_ARGUMENT where none is declared. To be asked once
        the caller is known to be allowed to read."""
        ...

    def read(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        sort: Sort,
        lookups: Lookups,
        by_id: bool = False,
    ) -> ReadDecision:
        """PERMISSION_DENIED for a rule that is false for this caller whatever the document, for a
        collection no file names, in mode `reject` for a query that does not imply the rule (naming
        the missing condition), and for a masked field in `filter` or `sort`. May raise
        LookupNeeded (`get()` of another document): fetch it and ask again.

        A `$text` in `filter` is asked of the text index's fields, in the answer's `filter`; those
        are judged by masks as any field that a filter names.

        `by_id` says that one document is asked for by its id: mode `reject` then decides on the
        document. For AGGREGATE, `filter` is the pipeline's leading `$match`; it is part of the
        answer's `filter` only where it meets no masked field (`masks.touches`), so the pipeline
        runs as a whole, `$match` included, over the documents that `masks.readable` gives."""
        ...

    def write(
        self,
        operation: Operation,
        collection: str,
        actor: Actor,
        request: RequestFacts,
        filter: Filter,
        lookups: Lookups,
        by_id: bool = False,
    ) -> WriteDecision:
        """As `read`, for CREATE, UPDATE and DELETE; `filter` is ALWAYS for writes by id."""
        ...
