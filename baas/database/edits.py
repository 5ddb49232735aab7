"""What a write makes of a stored document: by operators (`update`) or as a whole (`replace`).

An edit is pure and knows its form alone. `writes` runs it inside the store's callback, between the
check of the stored document and the check of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from baas.database.context import Call
from baas.database.paths import is_same, lies_within, paths_changed
from baas.database.serverfields import OWNER, STAMPS, not_writable, refuse_stamps
from baas.errors import Problem, denied
from baas.guard import Masks
from baas.ports.documents import Lookups
from baas.query.fields import get_path, overlap
from baas.query.update import Update, apply_update, paths_read, paths_written, set_object
from baas.query.update.model import AssignOnInsert, Rename, paths_entered
from baas.schema.values import MISSING, Document, Path, Value, is_date


class Edit(Protocol):
    """One form of change. `data` and `fields` are what rules see as `request`."""

    data: Document
    fields: tuple[str, ...]

    def check_form(self, call: Call) -> None:
        """PERMISSION_DENIED for what no stored document could make right."""
        ...

    def apply(self, call: Call, before: Document, masks: Masks, lookups: Lookups) -> Document:
        """The changed document, its server fields as they were; PERMISSION_DENIED by a mask."""
        ...

    def unseen(self, before: Document, masks: Masks, lookups: Lookups) -> frozenset[Path]:
        """Hidden paths that this edit leaves as they are."""
        ...

    def fresh(self, call: Call, seed: Document) -> Document:
        """The fields of a new document, as if sent, where an upsert finds nothing. What was made
        of an update has no part in it."""
        ...


class UpdateEdit:
    def __init__(self, update: Update, hooked: Update | None = None) -> None:
        """`update` is what the client sent; `hooked`, what before-hooks made of it, is done."""
        self._update = update
        self._done = hooked or update
        self._written = paths_written(update)
        self.data = set_object(update)
        self.fields = tuple(dict.fromkeys(path[0] for path in sorted(self._written)))

    def check_form(self, call: Call) -> None:
        refuse_stamps(call, self.fields)

    def apply(self, call: Call, before: Document, masks: Masks, lookups: Lookups) -> Document:
        refuse_stamps(call, self.fields)
        masks.check_written(self._written, before, lookups)
        if not masks.hides_nothing:
            self._check_blind(masks.unreadable(before, lookups))
        return apply_update(self._done, before, now_ms=call.now_ms)

    def _check_blind(self, hidden: frozenset[Path]) -> None:
        """Operators that would show a hidden value by what they do, or by failing."""
        read, entered = paths_read(self._update), paths_entered(self._update)
        for mask in sorted(hidden):
            if any(overlap(path, mask) for path in read):
                raise _needs_to_read(mask)
            if any(lies_within(path, mask) for path in entered):
                raise _needs_to_read(mask)

    def unseen(self, before: Document, masks: Masks, lookups: Lookups) -> frozenset[Path]:
        if masks.hides_nothing:
            return frozenset()
        hidden = masks.unreadable(before, lookups)
        written = list(self._set_on(before))
        return frozenset(
            mask for mask in hidden if not any(overlap(mask, path) for path in written)
        )

    def _set_on(self, before: Document) -> Iterator[Path]:
        """The paths that this update really sets, as far as the caller can tell: a `$rename` of
        nothing and a `$setOnInsert` set none. Whether a hidden value differs does not count."""
        for operation in self._update.operations:
            if isinstance(operation, AssignOnInsert):
                continue
            if not isinstance(operation, Rename):
                yield operation.path
            elif get_path(before, operation.path) is not MISSING:
                yield operation.path
                yield operation.target

    def fresh(self, call: Call, seed: Document) -> Document:
        refuse_stamps(call, self.fields, inserting=True)
        return apply_update(self._update, seed, now_ms=call.now_ms, inserting=True)


def _needs_to_read(mask: Path) -> Problem:
    return denied(
        f"{'.'.join(mask)}: you may write this field but not read it; use $set or $unset."
    )


class ReplaceEdit:
    """The document that was sent takes the place of the stored one.

    Fields that the caller may not read and did not send are kept. Only what differs from what the
    caller sees counts as written, so a document can be read, changed and sent back under a mask.
    """

    def __init__(
        self,
        id: str,
        document: Document,
        completed: Callable[[Document], Document],
        hooked: Document | None = None,
    ) -> None:
        """`completed` gives the schema's defaults to what is left out; `hooked` is what
        before-hooks made of the document."""
        self._hooked = hooked
        self._id = id
        self._completed = completed
        self._sent = document
        self.data = document
        self.fields = tuple(document)

    def check_form(self, call: Call) -> None:
        pass

    def apply(self, call: Call, before: Document, masks: Masks, lookups: Lookups) -> Document:
        seen = before if masks.hides_nothing else masks.readable(before, lookups)
        # Even where nothing is hidden now: what is refused must not depend on that.
        hidden = sorted(masks.unreadable(before, lookups))
        self._check_stamps(call, seen)
        visible = {name: value for name, value in seen.items() if name not in STAMPS}
        fields = {name: value for name, value in self._sent.items() if name not in STAMPS}
        fields = {"_id": self._id, **fields}
        masks.check_written(self._changed(visible, fields, hidden), before, lookups)
        if self._hooked is not None:
            given = {name: value for name, value in self._hooked.items() if name not in STAMPS}
            fields = {"_id": self._id, **given}
        for mask in hidden:
            fields = _keep(mask, 0, before, visible, fields)
        return {**self._completed(fields), **self._stamps(call, before)}

    def _changed(self, visible: Document, sent: Document, hidden: list[Path]) -> frozenset[Path]:
        """What this replacement writes. A field that was left out and gets back, by its default,
        the value that it had is not written; nor is a hidden one, for it is kept."""
        written = paths_changed(visible, self._completed(sent))
        sent_paths = paths_changed(visible, sent)
        return frozenset(
            path
            for path in written
            if path in sent_paths or not any(lies_within(path, mask) for mask in hidden)
        )

    def _check_stamps(self, call: Call, seen: Document) -> None:
        for name in STAMPS:
            if name not in self._sent or (call.actor.trusted and name == OWNER):
                continue
            if name not in seen or seen[name] != self._sent[name]:
                raise not_writable(name)

    def _stamps(self, call: Call, before: Document) -> Document:
        stamps: Document = {name: before[name] for name in STAMPS if name in before}
        if call.actor.trusted and OWNER in self._sent:
            stamps[OWNER] = self._sent[OWNER]
        return stamps

    def unseen(self, before: Document, masks: Masks, lookups: Lookups) -> frozenset[Path]:
        if masks.hides_nothing:
            return frozenset()
        hidden = masks.unreadable(before, lookups)
        return frozenset(mask for mask in hidden if get_path(self._sent, mask) is MISSING)

    def fresh(self, call: Call, seed: Document) -> Document:
        return {**seed, **self._sent}


def _keep(mask: Path, at: int, before: Value, seen: Value, sent: Value) -> Value:
    """`sent` with what is hidden at `mask` put back from `before`, unless it was sent.

    Inside an array elements cannot be told apart, so an array that holds a masked field goes back
    as it was seen or not at all; and what was seen as an object stays one. Both depend on what the
    caller sees alone, never on whether anything is hidden there.
    """
    if at == len(mask):
        return before if sent is MISSING else sent
    if type(seen) is list:
        if not is_same(sent, seen):
            raise denied(f"{'.'.join(mask)}: a list that holds a hidden field is replaced whole.")
        return before
    if not _is_object(seen):
        # At the mask itself nothing is ever seen; above it, no object means nothing is hidden.
        return sent
    if sent is not MISSING and not _is_object(sent):
        raise denied(f"{'.'.join(mask[:at])}: holds a field that you may not read; send an object.")
    name = mask[at]
    base: Document = {} if sent is MISSING else sent
    seen_inner = seen.get(name, MISSING) if at + 1 < len(mask) else MISSING
    inner = _keep(mask, at + 1, before.get(name, MISSING), seen_inner, base.get(name, MISSING))
    return base if inner is MISSING else {**base, name: inner}


def _is_object(value: Value) -> bool:
    return type(value) is dict and not is_date(value)
