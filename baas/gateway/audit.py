"""Who changed what: one document for every change by an admin key.

Written ahead: the entry is durable before the change is begun, and says afterwards how it ended.
So no change is without its entry, and one whose end nobody saw shows as `started`. Every route
passes here (`framework._handler`, and `database.answer_verb` for the hot verbs), so a new one is
recorded without doing anything; one that only reads says so by its scope.

What is recorded of a body is named route by route (`Route.recorded`), so that no secret, password
or document ends up here because somebody forgot to leave it out. A server's own writes to `/v1` are
not recorded (they are the app's traffic, and in the log of requests); those of a person are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from baas.auth.admin_keys import PREFIX
from baas.auth.steps import insert, write
from baas.clock import Clock
from baas.errors import Problem
from baas.gateway.exchange import Answer, Exchange, Receive
from baas.ids import new_id
from baas.ports.documents import KEEP, Change, DocumentStore, Find, Lookups, Outcome, resolve
from baas.query.ast import ALWAYS, Eq, Field, Filter, SortKey, both
from baas.schema.actor import Actor
from baas.schema.model import CollectionSpec, IndexKey, IndexSpec
from baas.schema.values import Document, Value, date_from_ms, decode, encode

if TYPE_CHECKING:
    from baas.gateway.route import Route

AUDIT: Final = "_audit"
_DAY_MS: Final = 86_400_000
#: Bodies larger than this are not looked into.
MAX_BODY: Final = 256 * 1024
#: Most of one recorded member, as JSON.
MAX_MEMBER: Final = 1024
MAX_LISTED: Final = 500
_NEWEST_FIRST: Final = (SortKey(("_id",), descending=True),)

AUDIT_COLLECTIONS: Final = {
    AUDIT: CollectionSpec(
        name=AUDIT,
        indexes=(
            IndexSpec(name="who", keys=(IndexKey(("who",)),)),
            IndexSpec(name="action", keys=(IndexKey(("action",)),)),
        ),
        ttl=("expires",),
    ),
}


class AuditEntry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """`who` is a person's name or an admin key's, `key` the key or session used. `outcome`:
    `started` until it has ended, then the status of the answer; `code` that of a refusal."""

    id: str
    time: dict[str, str]
    who: str
    key: str
    action: str
    path: str
    outcome: str
    code: str | None = None
    user: str | None = None
    ip: str = ""
    request: str = ""
    details: Any = None


class AuditQuery(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """`before` is the id of the last entry of the page before."""

    who: str | None = None
    action: str | None = None
    before: str | None = None
    limit: int = 100


class Audit:
    """Entries are kept for `days`."""

    def __init__(self, store: DocumentStore, clock: Clock, days: float) -> None:
        self._store = store
        self._clock = clock
        self._keep_ms = int(days * _DAY_MS)

    async def begin(
        self, action: str, exchange: Exchange, who: str, key: str, user: str | None = None
    ) -> str:
        """The id of a new entry, which is durable."""
        now_ms = self._clock.now_ms()
        entry: Document = {
            "_id": new_id(),
            "time": date_from_ms(now_ms),
            "expires": date_from_ms(now_ms + self._keep_ms),
            "who": who,
            "key": key,
            "user": user,
            "action": action,
            "path": exchange.path,
            "ip": exchange.ip,
            "request": exchange.id,
            "outcome": "started",
        }
        await write(self._store, insert(AUDIT, entry), actor=key)
        return str(entry["_id"])

    async def end(self, id: str, outcome: str, code: str | None, details: Value) -> None:
        members = {"outcome": outcome, "code": code, "details": details}

        def apply(entry: Document | None, _: Lookups) -> Outcome:
            return KEEP if entry is None else {**entry, **members}

        await write(self._store, Change(collection=AUDIT, id=id, apply=apply))

    async def list(self, query: AuditQuery) -> list[AuditEntry]:
        """The newest first."""
        filter: Filter = ALWAYS
        for name, value in (("who", query.who), ("action", query.action)):
            if value is not None:
                filter = both(filter, Field((name,), Eq(value)))
        wanted = Find(
            collection=AUDIT,
            filter=filter,
            sort=_NEWEST_FIRST,
            limit=max(1, min(query.limit, MAX_LISTED)),
            after=None if query.before is None else (query.before,),
        )
        found = await resolve(self._store.find(wanted))
        return [_entry(decode(body)) for body in found]


def _entry(stored: Document) -> AuditEntry:
    known: dict[str, Any] = {
        name: stored.get(name) for name in AuditEntry.__struct_fields__ if name != "id"
    }
    return AuditEntry(id=stored["_id"], **known)


# -- around an endpoint ----------------------------------------------------------------------------

#: Routes of the services that change something, beside those that take an Idempotency-Key.
_CHANGES: Final = ("auth.", "storage.upload")


def changes(route: Route) -> bool:
    """Whether a call of `route` is to be recorded: all but what plainly only reads."""
    if route.method != "POST":
        return False
    if route.access == "admin":
        return not (route.scope or "").endswith(":read")
    return route.idempotent or route.name.startswith(_CHANGES)


def may_be_admin(exchange: Exchange) -> bool:
    header = exchange.headers.get(b"authorization", b"")
    return header[7 : 7 + len(PREFIX)] == PREFIX.encode()


async def recorded(
    audit: Audit,
    action: str,
    members: tuple[str, ...],
    exchange: Exchange,
    actor: Actor,
    receive: Receive,
    work: Callable[[Receive], Awaitable[Answer]],
) -> Answer:
    """`work`, with an entry before and its outcome after. What `work` raises is raised."""
    who = actor.operator or f"key {actor.key}"
    id = await audit.begin(action, exchange, who, actor.key or "", actor.uid)
    body = _Overheard(receive, members)

    async def end(outcome: str, code: str | None) -> None:
        noted = exchange.noted and {name: _cut(text) for name, text in exchange.noted.items()}
        await audit.end(id, outcome, code, noted or body.details())

    try:
        answer = await work(body)
    except Problem as problem:
        await end(str(problem.status), problem.public.name)
        raise
    except Exception:
        await end("500", "INTERNAL")
        raise
    await end(str(answer.status), answer.error)
    return answer


class _Overheard:
    """A `receive` that keeps a small body, for the members to be recorded."""

    def __init__(self, receive: Receive, members: tuple[str, ...]) -> None:
        self._receive = receive
        self._members = members
        self._parts: list[bytes] = []
        self._size = 0

    async def __call__(self) -> Any:
        message = await self._receive()
        if self._members and message["type"] == "http.request":
            self._size += len(message.get("body", b""))
            if self._size <= MAX_BODY:
                self._parts.append(message.get("body", b""))
            else:
                self._parts.clear()
        return message

    def details(self) -> Value:
        """The members to be recorded, cut where they are long; None where there are none."""
        if not self._members or self._size > MAX_BODY:
            return None
        try:
            body = msgspec.json.decode(b"".join(self._parts))
        except msgspec.DecodeError:
            return None
        if not isinstance(body, dict):
            return None
        return {name: _cut(body[name]) for name in self._members if name in body} or None


def _cut(value: Value) -> Value:
    """A short text. Objects too: their names may be operators, which no document can hold."""
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else encode(value).decode()
    return text[:MAX_MEMBER].replace("\0", "\N{REPLACEMENT CHARACTER}")
