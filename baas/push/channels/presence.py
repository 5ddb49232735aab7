"""Who is where: written down, told to those who may see it, and healed after a crash.

A session is shown by one document per channel. Its process says every few seconds that it is alive;
the documents of one that has stopped saying so are taken away by whoever leads. A long-poll has no
process of its own: it is gone when nothing was heard of it for a minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from baas.clock import Clock
from baas.errors import Code, Problem, invalid
from baas.ids import new_id
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    ChangeMany,
    DocumentStore,
    Find,
    Lookups,
    Outcome,
    WriteInfo,
    resolve,
)
from baas.push.channels.rows import OWNERS, PRESENCE, presence_id
from baas.query.ast import And, Eq, Field, Filter, Range
from baas.schema.values import DATE, Document, Value, date_from_ms, decode, encode

_log = logging.getLogger(__name__)

MAX_STATE_BYTES: Final = 1024
#: Sessions of one user that are seen in one channel.
MAX_OF_ONE: Final = 100
#: A process says that it is alive this often, in seconds.
BEAT_SECONDS: Final = 5.0
#: One that has not said so for this long is dead.
OWNER_SECONDS: Final = 20.0
#: A long-poll of which nothing was heard for this long is gone.
SILENCE_SECONDS: Final = 60.0
_SERVER: Final = WriteInfo()


class Presence:
    """`most`: sessions that are shown in one channel. `taken_away` is called when this process was
    taken for dead although it is not (it stood still for a while)."""

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        most: int,
        taken_away: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._most = most
        self._taken_away = taken_away
        self._owner = new_id()
        self._said = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._beat(), name="baas-presence")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._said:
            with suppress(Problem):
                await self._forget_owner(self._owner)

    # -- entries -----------------------------------------------------------------------------------

    async def show(
        self, channel: str, session: str, uid: str | None, state: Value, *, lasting: bool
    ) -> str:
        """Shows a session in a channel, with this state. The document's id."""
        if len(encode(state)) > MAX_STATE_BYTES:
            raise invalid("presence", f"at most {MAX_STATE_BYTES} bytes")
        if not lasting and not self._said:
            await self._say_alive()
        id = presence_id(channel, session)
        await self._check_room(channel, id, uid)
        now = date_from_ms(self._clock.now_ms())
        owner = None if lasting else self._owner

        def apply(stored: Document | None, lookups: Lookups) -> Outcome:
            since = now if stored is None else stored["since"]
            return {
                "_id": id,
                "channel": channel,
                "uid": uid,
                "session": session,
                "state": state,
                "since": since,
                "owner": owner,
                "seen": now,
            }

        await self._store.write((Change(collection=PRESENCE, id=id, apply=apply),), _SERVER)
        return id

    async def _check_room(self, channel: str, id: str, uid: str | None) -> None:
        """LIMIT_EXCEEDED where one more would be too many. Long-polls stay to be seen, so their
        number is not bounded by that of connections: one user's own must not fill a channel."""
        here = _is("channel", channel)
        found = await resolve(self._store.count(PRESENCE, here))
        full = found >= self._most
        crowd = uid is not None and found >= MAX_OF_ONE
        if not full and crowd:
            own = await resolve(self._store.count(PRESENCE, And((here, _is("uid", uid)))))
            full = own >= MAX_OF_ONE
        if full and await resolve(self._store.get(PRESENCE, id)) is None:
            most = f"{self._most} are seen in one channel, {MAX_OF_ONE} of one user"
            raise Problem(Code.LIMIT_EXCEEDED, f"At most {most}.")

    async def hide(self, id: str) -> None:
        await self._store.write((Change(collection=PRESENCE, id=id, apply=_delete),), _SERVER)

    async def seen(self, id: str) -> None:
        """A sign of life of a long-poll."""
        now = date_from_ms(self._clock.now_ms())

        def apply(stored: Document | None, lookups: Lookups) -> Outcome:
            return KEEP if stored is None else {**stored, "seen": now}

        await self._store.write((Change(collection=PRESENCE, id=id, apply=apply),), _SERVER)

    async def entries(self, channel: str) -> list[Document]:
        """Who is seen in a channel, longest first, as clients are told."""
        found = await resolve(
            self._store.find(Find(collection=PRESENCE, filter=_is("channel", channel)))
        )
        rows = sorted((decode(row) for row in found), key=lambda row: str(row["since"][DATE]))
        return [entry_of(row) for row in rows]

    # -- healing -----------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                await self.look_after()
            except Problem as problem:
                _log.warning("presence could not be looked after: %s", problem)
            except Exception:
                _log.exception("presence could not be looked after")

    async def look_after(self) -> None:
        """Says that this process is alive, and takes away what is shown of those that are not."""
        if self._said and not await self._say_alive():
            await self._taken_away()
        await self.sweep()

    async def _say_alive(self) -> bool:
        """Whether that was known before."""
        row = {"_id": self._owner, "seen": date_from_ms(self._clock.now_ms())}
        known = False

        def apply(stored: Document | None, lookups: Lookups) -> Outcome:
            nonlocal known
            known = stored is not None
            return row

        await self._store.write((Change(collection=OWNERS, id=self._owner, apply=apply),), _SERVER)
        self._said = True
        return known

    async def sweep(self) -> None:
        """Takes away what is shown of dead processes and of long-polls that are gone. Every process
        may do it: what is gone already is left alone."""
        now_ms = self._clock.now_ms()
        dead = await resolve(
            self._store.find(
                Find(collection=OWNERS, filter=_before(now_ms - int(OWNER_SECONDS * 1000)))
            )
        )
        for row in dead:
            await self._forget_owner(decode(row)["_id"])
        silent = _before(now_ms - int(SILENCE_SECONDS * 1000))
        await self._take_away(And((_is("owner", None), silent)))

    async def _forget_owner(self, owner: str) -> None:
        await self._take_away(_is("owner", owner))
        await self._store.write((Change(collection=OWNERS, id=owner, apply=_delete),), _SERVER)

    async def _take_away(self, filter: Filter) -> None:
        if await resolve(self._store.count(PRESENCE, filter)):
            step = ChangeMany(collection=PRESENCE, filter=filter, apply=_delete, multi=True)
            await self._store.write((step,), _SERVER)


def entry_of(row: Document) -> Document:
    """A presence document as clients are told."""
    return {name: row[name] for name in ("uid", "session", "state", "since")}


def _delete(stored: Document | None, lookups: Lookups) -> Outcome:
    return KEEP if stored is None else DELETE


def _is(name: str, value: Value) -> Filter:
    return Field((name,), Eq(value))


def _before(ms: int) -> Filter:
    return Field(("seen",), Range("lt", date_from_ms(max(ms, 0))))
