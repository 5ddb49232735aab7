"""One document's change inside the store's step: the checks in the protocol's order."""

from __future__ import annotations

from baas.database.context import Call, Context
from baas.database.creation import Creation, creation, encoded
from baas.database.edits import Edit
from baas.database.reads import decide_get
from baas.database.serverfields import check_forms, stamped_change
from baas.errors import Code, Problem
from baas.guard import WriteDecision
from baas.ports.documents import Lookups, Outcome
from baas.query.ast import ALWAYS, BY_ID, NEVER, Filter
from baas.query.evaluate import matches
from baas.rules.masks import without
from baas.rules.model import Operation
from baas.schema.values import Document


class Modification:
    """An edit of a stored document under the update rule.

    `filter` is the client's, or None for a write by id. Raises PERMISSION_DENIED where the rule is
    false for this caller whatever the document.
    """

    #: What makes a new document where none matches: here, nothing.
    otherwise: None = None

    def __init__(
        self,
        context: Context,
        call: Call,
        edit: Edit,
        lookups: Lookups,
        filter: Filter | None = None,
    ) -> None:
        self._context = context
        self._call = call
        self._edit = edit
        self._collection = context.collection(call.collection)
        self._decision = self._decide(filter, lookups)

    def _decide(self, filter: Filter | None, lookups: Lookups) -> WriteDecision:
        return self._context.guard.write(
            Operation.UPDATE,
            self._call.collection,
            self._call.actor,
            self._call.facts(data=self._edit.data, fields=self._edit.fields),
            ALWAYS if filter is None else filter,
            lookups,
            by_id=filter is None,
        )

    @property
    def filter(self) -> Filter:
        """The documents that the caller may see and change, as far as they alone tell."""
        return self._decision.filter

    def by_id(self, stored: Document | None, lookups: Lookups) -> Outcome:
        return self._changed(self._decision.check_stored(stored, lookups), lookups)

    def by_filter(self, stored: Document | None, lookups: Lookups) -> Outcome:
        """For a document that matches `filter`."""
        assert stored is not None
        return self._changed(stored, lookups)

    def _changed(self, stored: Document, lookups: Lookups) -> Document:
        if self._call.hooked_refusal is not None:
            raise self._call.hooked_refusal
        masks = self._decision.masks
        edited = self._edit.apply(self._call, stored, masks, lookups)
        after = stamped_change(self._context, self._call, stored, edited)
        if self._call.actor.trusted:
            check_forms(after, "document")
        encoded(self._context, self._weighed(stored, after, lookups), "document")
        self._collection.validator.check(
            after, hidden=lambda: self._edit.unseen(stored, masks, lookups)
        )
        self._decision.check_result(stored, after, lookups)
        return after

    def _weighed(self, stored: Document, after: Document, lookups: Lookups) -> Document:
        """What counts for the limit on a document's size: not what the caller neither sees nor
        writes, for else its length would show in how much room is left."""
        for path in self._edit.unseen(stored, self._decision.masks, lookups):
            after = without(after, path)
        return after


class Upsert:
    """The update rule where a document is touched, else the create rule on a new one of `seed`.

    So a caller whom the update rule refuses may still create; only where neither is possible is
    the request refused before anything is looked at.
    """

    def __init__(
        self,
        context: Context,
        call: Call,
        edit: Edit,
        lookups: Lookups,
        filter: Filter | None = None,
        *,
        seed: Document,
    ) -> None:
        self._context = context
        self._call = call
        self._edit = edit
        self._seed = seed
        self._modification: Modification | None = None
        try:
            self._modification = Modification(context, call, edit, lookups)
        except Problem as refusal:
            self._refusal = refusal
            self._check_creatable(lookups)
        if filter is None:
            return
        if self._modification is not None:
            self._modification = Modification(context, call, edit, lookups, filter)
        else:
            # A filter that uses a hidden field is refused even if no document can be touched.
            facts = call.facts()
            context.guard.read(
                Operation.READ, call.collection, call.actor, facts, filter, BY_ID, lookups
            )

    def _check_creatable(self, lookups: Lookups) -> None:
        try:
            self._creation(lookups)
        except Problem as problem:
            if problem.code is Code.PERMISSION_DENIED:
                raise self._refusal from None

    def _creation(self, lookups: Lookups) -> Creation:
        fresh = self._edit.fresh(self._call, self._seed)
        made = self._call.hooked_insert
        hooked = None if isinstance(made, Problem) else made
        return creation(self._context, self._call, fresh, lookups, "document", hooked)

    @property
    def filter(self) -> Filter:
        return NEVER if self._modification is None else self._modification.filter

    def by_id(self, stored: Document | None, lookups: Lookups) -> Outcome:
        if stored is None:
            return self.otherwise(lookups)
        if self._modification is None:
            raise self._refusal if self._sees(stored, lookups) else _taken()
        try:
            return self._modification.by_id(stored, lookups)
        except Problem as problem:
            if problem.code is Code.NOT_FOUND:
                raise _taken() from None
            raise

    def by_filter(self, stored: Document | None, lookups: Lookups) -> Outcome:
        assert self._modification is not None
        return self._modification.by_filter(stored, lookups)

    def otherwise(self, lookups: Lookups) -> Document:
        made = self._creation(lookups)
        if isinstance(self._call.hooked_insert, Problem):
            raise self._call.hooked_insert
        made.check(lookups)
        return made.document

    def _sees(self, stored: Document, lookups: Lookups) -> bool:
        try:
            decision = decide_get(self._context, self._call, None, lookups)
        except Problem:
            return False
        return matches(decision.rule, stored, lookups)


def _taken() -> Problem:
    return Problem(Code.CONFLICT, "A document with this _id exists already.")
