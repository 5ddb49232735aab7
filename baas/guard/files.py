"""The choke point of storage: what one caller may do with one file.

Rules of files are asked with the file known, so the answer is yes or no; there is no filter to
push down. `allows` raises LookupNeeded where a rule looks up a document that `lookups` does not
hold: inside a write the store fetches it, before one `settled` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from baas.errors import Problem, denied, not_found
from baas.guard.contract import RequestFacts
from baas.guard.plans import REFUSAL
from baas.ports.documents import DocumentReader, KnownLookups, LookupNeeded, Lookups, resolve
from baas.query.conditions import Env, Instant
from baas.rules.storagefile import RESOURCE_MEMBERS, FileOperation, StorageRules
from baas.schema.actor import Actor
from baas.schema.values import Document, decode

T = TypeVar("T")


class FileGuard:
    """Decides by the rules in force; `rules` can be replaced at any time. Trusted callers pass."""

    def __init__(self, rules: StorageRules) -> None:
        self.rules = rules

    def allows(
        self,
        operation: FileOperation,
        file: Document,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
        stored: Document | None = None,
    ) -> bool:
        """`file` is the stored one, on write the one that will be, `stored` then the one that it
        replaces; members that are not known yet are left out, and so undefined to the rule."""
        if actor.trusted:
            return True
        found = self.rules.find(operation, file["path"])
        if found is None:
            return False
        rule, params = found
        variables = _variables(operation, actor, request)
        variables["params"] = params
        variables["resource"] = _resource(file)
        variables["stored"] = None if stored is None else _resource(stored)
        return rule.compiled(Env(None, None, variables, lookups)) is True

    def check_write(
        self,
        file: Document,
        stored: Document | None,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
    ) -> None:
        """PERMISSION_DENIED unless this caller may put `file` where `stored` is."""
        if not self.allows(FileOperation.WRITE, file, actor, request, lookups, stored):
            raise denied(REFUSAL)

    def check_read(
        self, stored: Document | None, actor: Actor, request: RequestFacts, lookups: Lookups
    ) -> Document:
        """The file; NOT_FOUND alike where there is none and where this caller may not read it."""
        if stored is None or not self.allows(FileOperation.READ, stored, actor, request, lookups):
            raise no_file()
        return stored

    def check_delete(
        self, stored: Document | None, actor: Actor, request: RequestFacts, lookups: Lookups
    ) -> Document:
        """The file. NOT_FOUND where there is none, or none that this caller may know of, else
        PERMISSION_DENIED."""
        if stored is None:
            raise no_file()
        if not self.allows(FileOperation.DELETE, stored, actor, request, lookups):
            self.check_read(stored, actor, request, lookups)
            raise denied(REFUSAL)
        return stored


def no_file() -> Problem:
    return not_found("There is no such file.")


async def settled(
    reader: DocumentReader, decide: Callable[[Lookups], T], lookups: KnownLookups | None = None
) -> T:
    """What `decide` answers once every document that its rules look up has been fetched; into
    `lookups`, for several decisions of one moment."""
    lookups = lookups or KnownLookups()
    while True:
        try:
            return decide(lookups)
        except LookupNeeded as need:
            found = await resolve(reader.get(need.collection, need.id))
            lookups.known[need.collection, need.id] = None if found is None else decode(found)


_MEMBERS: Final = frozenset(RESOURCE_MEMBERS)


def _resource(file: Document) -> Document:
    return {name: value for name, value in file.items() if name in _MEMBERS}


def _variables(operation: FileOperation, actor: Actor, request: RequestFacts) -> dict[str, Any]:
    now = Instant(request.time_ms)
    facts = {"ip": request.ip, "time": now, "operation": operation.value}
    return {"auth": actor.as_rule_value(), "request": facts, "now": now}
