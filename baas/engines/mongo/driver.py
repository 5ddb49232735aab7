"""The one module that knows the driver. Everything else of this engine speaks to `Driver`.

`motor` is the brief's choice and deprecated in favour of PyMongo's own asyncio client; a change to
that is a change of this file alone (docs/decisions/mongo.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeAlias

from bson import Binary, Int64
from bson import encode as encode_bson
from bson.datetime_ms import DatetimeMS
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidURI,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.errors import (
    ConfigurationError as DriverConfigurationError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from baas.errors import Code, Problem

__all__ = [
    "Binary", "DatetimeMS", "DeleteOne", "Driver", "Fault", "InsertOne", "Int64", "PyMongoError",
    "ReplaceOne", "Row", "Session", "Transactions", "UpdateOne", "fault_of", "size_of",
    "unavailable",
]  # fmt: skip

Row: TypeAlias = dict[str, Any]
#: Keys with their direction, as an index or a sort has them.
Keys: TypeAlias = Sequence[tuple[str, int]]
#: What reads of one moment, or a transaction, go through; None for the latest majority.
Session: TypeAlias = Any

_APP_NAME: Final = "baas"
#: How often the driver looks whether a server still answers; what waits for one that does not is
#: then told so.
_HEARTBEAT_MS: Final = 2000
#: Documents fetched at a time from a cursor.
_BATCH: Final = 500
#: The same where nobody knows yet how heavy they are, and what they may weigh together.
_FIRST: Final = 64
_HEAVY: Final = 4 * 1024**2
_MAX_TIME_EXPIRED: Final = 50
_UNAUTHORIZED: Final = frozenset({13, 18})
_INDEX_CLASH: Final = frozenset({85, 86})
_PARALLEL_ARRAYS: Final = 171
_SNAPSHOT_GONE: Final = frozenset({239, 246})
_NOT_FOUND: Final = frozenset({26, 27})


class Fault(Enum):
    """What an error of the server means to this engine."""

    DUPLICATE = "a unique key is taken"
    TRANSIENT = "the transaction may be run again from its beginning"
    UNKNOWN = "the transaction may or may not have been committed"
    TIMEOUT = "a time limit ended the operation"
    SNAPSHOT = "the moment is no longer kept"
    PARALLEL = "two arrays meet in one compound index"
    INDEX = "an index of that name has another definition"
    ABSENT = "there is no such collection or index"
    REFUSED = "the server does not let this user in"
    UNREACHABLE = "no primary could be reached"
    OTHER = "anything else"


def size_of(row: Row) -> int:
    """Bytes that the server would be sent."""
    return len(encode_bson(row))


def fault_of(error: PyMongoError) -> Fault:
    if error.has_error_label("UnknownTransactionCommitResult"):
        return Fault.UNKNOWN
    if error.has_error_label("TransientTransactionError"):
        return Fault.TRANSIENT
    if isinstance(error, DuplicateKeyError):
        return Fault.DUPLICATE
    if isinstance(error, BulkWriteError):
        return _fault_of_bulk(error)
    if isinstance(error, ExecutionTimeout):
        return Fault.TIMEOUT
    if isinstance(error, OperationFailure):
        return _fault_of_code(error.code or 0)
    if isinstance(error, (ConnectionFailure, NetworkTimeout)):
        return Fault.UNREACHABLE
    return Fault.OTHER


def _fault_of_bulk(error: BulkWriteError) -> Fault:
    details: Mapping[str, Any] = error.details or {}
    codes = {one.get("code") for one in details.get("writeErrors", ())}
    if 11000 in codes:
        return Fault.DUPLICATE
    return Fault.PARALLEL if _PARALLEL_ARRAYS in codes else Fault.OTHER


def _fault_of_code(code: int) -> Fault:
    if code == _MAX_TIME_EXPIRED:
        return Fault.TIMEOUT
    if code == _PARALLEL_ARRAYS:
        return Fault.PARALLEL
    for codes, fault in (
        (_UNAUTHORIZED, Fault.REFUSED),
        (_SNAPSHOT_GONE, Fault.SNAPSHOT),
        (_INDEX_CLASH, Fault.INDEX),
        (_NOT_FOUND, Fault.ABSENT),
    ):
        if code in codes:
            return fault
    return Fault.OTHER


def unavailable() -> Problem:
    """What a caller is told where the server fails or is away; the log has the rest."""
    return Problem(Code.UNAVAILABLE, "The database cannot serve this now.", retry_after=1.0)


class Transactions:
    """One transaction after the other, all of one server session, which is what operations are
    given as `session`. The server ends what is left of the last one when the next one begins."""

    def __init__(self, session: Any, write_concern: WriteConcern) -> None:
        self.session: Session = session
        self._write_concern = write_concern

    @property
    def id(self) -> Row:
        """What the server knows the session by."""
        return dict(self.session.session_id)

    def begin(self) -> None:
        self.session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=self._write_concern,
            read_preference=ReadPreference.PRIMARY,
        )

    async def commit(self) -> None:
        """May be called again where nobody knows whether it was done."""
        await self.session.commit_transaction()

    async def abort(self) -> None:
        """Of what was begun and not committed; nothing otherwise."""
        with suppress(PyMongoError):
            if self.session.in_transaction:
                await self.session.abort_transaction()

    async def close(self) -> None:
        await self.abort()
        await self.session.end_session()


class Driver:
    """One database of one replica set. Names of collections are the server's own here.

    Reads are of what a majority has, from the primary, so what was read is never rolled back.
    Writes are acknowledged by a majority; with `journal` from its disks.
    """

    def __init__(self, url: str, database: str, timeout: float, *, journal: bool = True) -> None:
        """ValueError for an address that cannot be one; nothing is connected yet."""
        self._timeout = timeout
        try:
            self._client: Any = AsyncIOMotorClient(
                url,
                appname=_APP_NAME,
                serverSelectionTimeoutMS=round(timeout * 1000),
                connectTimeoutMS=round(timeout * 1000),
                heartbeatFrequencyMS=_HEARTBEAT_MS,
                retryWrites=True,
                retryReads=True,
                tz_aware=True,
                datetime_conversion="DATETIME_MS",
                io_loop=asyncio.get_running_loop(),
            )
        except (InvalidURI, DriverConfigurationError, ValueError) as error:
            raise ValueError(str(error)) from None
        self._write = WriteConcern("majority", j=True if journal else None)
        self._database: Any = self._client.get_database(
            database,
            read_concern=ReadConcern("majority"),
            write_concern=self._write,
            read_preference=ReadPreference.PRIMARY,
        )

    def close(self) -> None:
        self._client.close()

    def collection(self, name: str) -> Any:
        return self._database[name]

    async def command(self, name: str, value: Any = 1, **more: Any) -> Row:
        return dict(await self._database.command(name, value, **more))

    async def admin(self, name: str, value: Any = 1, **more: Any) -> Row:
        return dict(await self._client.admin.command(name, value, **more))

    async def server_time(self) -> datetime:
        """What the server's clock shows."""
        now = (await self.admin("hello"))["localTime"]
        return now.as_datetime() if isinstance(now, DatetimeMS) else now

    # -- sessions ----------------------------------------------------------------------------------

    async def transactions(self) -> Transactions:
        session = await self._client.start_session(causal_consistency=True)
        return Transactions(session, self._write)

    async def kill_sessions(self, ids: Sequence[Row]) -> None:
        """Ends what other gateways left open. Any user may do that to its own sessions."""
        if ids:
            await self.admin("killSessions", list(ids))

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Session]:
        """A session whose reads are all of one moment, that of the first of them."""
        session = await self._client.start_session(snapshot=True)
        try:
            yield session
        finally:
            await session.end_session()

    # -- reads -------------------------------------------------------------------------------------

    async def find_one(
        self, name: str, filter: Row, *, session: Session = None, **more: Any
    ) -> Any:
        return await self._of(name, session).find_one(filter, session=session, **more)

    def _of(self, name: str, session: Session) -> Any:
        """The collection; without a read concern of its own where the session has one."""
        found = self._database[name]
        if session is None:
            return found
        return found.with_options(read_concern=ReadConcern(), write_concern=self._write)

    async def batches(
        self,
        name: str,
        filter: Row,
        fields: Row | None = None,
        *,
        session: Session = None,
        sort: Keys | None = None,
        limit: int = 0,
        skip: int = 0,
        max_ms: int | None = None,
        batch: int = _BATCH,
        weigh: Callable[[Row], int] | None = None,
    ) -> AsyncGenerator[list[Row], None]:
        """The documents that match, some at a time; never an empty list.

        With `weigh`, as many as are not heavier together than a few megabytes by what the last
        ones weighed.
        """
        cursor = self._of(name, session).find(
            filter,
            fields,
            session=session,
            sort=list(sort) if sort else None,
            limit=limit,
            skip=skip,
            batch_size=batch,
        )
        if sort and session is None:
            cursor = cursor.allow_disk_use(True)
        if max_ms is not None:
            cursor = cursor.max_time_ms(max_ms)
        some = batch if weigh is None else min(batch, _FIRST)
        seen = 0
        try:
            while rows := await cursor.to_list(some):
                yield rows
                seen += len(rows)
                if len(rows) < some or seen == limit:
                    break
                if weigh is not None:
                    each = max(1, sum(map(weigh, rows)) // len(rows))
                    some = max(1, min(batch, _HEAVY // each))
        finally:
            if cursor.alive:  # closing one that has ended costs a thread, too
                await cursor.close()

    async def find(
        self, name: str, filter: Row, fields: Row | None = None, **more: Any
    ) -> list[Row]:
        found: list[Row] = []
        async for rows in self.batches(name, filter, fields, **more):
            found += rows
        return found

    async def count(
        self, name: str, filter: Row, *, session: Session = None, max_ms: int | None = None
    ) -> int:
        more: dict[str, Any] = {} if max_ms is None else {"maxTimeMS": max_ms}
        return int(await self._of(name, session).count_documents(filter, session=session, **more))

    async def aggregate(self, name: str, pipeline: list[Row]) -> list[Row]:
        return list(await self._database[name].aggregate(pipeline).to_list(None))

    async def distinct(self, name: str, field: str, filter: Row) -> list[Any]:
        return list(await self._database[name].distinct(field, filter))

    # -- writes ------------------------------------------------------------------------------------

    async def bulk(self, name: str, operations: Sequence[Any], *, session: Session = None) -> Any:
        """In order. Raises as `fault_of` knows it."""
        if not operations:
            return None
        target = self._of(name, session)
        return await target.bulk_write(list(operations), ordered=True, session=session)

    async def insert(self, name: str, rows: Sequence[Row], *, session: Session = None) -> None:
        if rows:
            await self._of(name, session).insert_many(list(rows), session=session)

    async def update(
        self, name: str, filter: Row, change: Any, *, session: Session = None, upsert: bool = False
    ) -> int:
        """How many matched or were made."""
        done = await self._of(name, session).update_one(
            filter, change, upsert=upsert, session=session
        )
        return int(done.matched_count) + (done.upserted_id is not None)

    async def replace(self, name: str, row: Row, *, session: Session = None) -> None:
        """Puts the row in the place of the one with its `_id`."""
        await self._of(name, session).replace_one({"_id": row["_id"]}, row, session=session)

    async def update_many(
        self, name: str, filter: Row, change: Any, *, session: Session = None
    ) -> int:
        done = await self._of(name, session).update_many(filter, change, session=session)
        return int(done.matched_count)

    async def delete(self, name: str, filter: Row, *, session: Session = None) -> int:
        done = await self._of(name, session).delete_many(filter, session=session)
        return int(done.deleted_count)

    async def take(
        self, name: str, filter: Row, change: Any, *, session: Session = None, upsert: bool = False
    ) -> Row | None:
        """Updates one document and gives it as it is then; None where none matches."""
        found = await self._of(name, session).find_one_and_update(
            filter, change, upsert=upsert, return_document=True, session=session
        )
        return None if found is None else dict(found)

    # -- indexes -----------------------------------------------------------------------------------

    async def create_index(self, collection: str, keys: Keys, **more: Any) -> None:
        await self._database[collection].create_index(list(keys), **more)

    async def drop_index(self, name: str, index: str) -> None:
        try:
            await self._database[name].drop_index(index)
        except OperationFailure as error:
            if fault_of(error) is not Fault.ABSENT:
                raise

    async def indexes(self, name: str) -> list[str]:
        """The names of a collection's indexes, without that of `_id`."""
        try:
            found = await self._database[name].index_information()
        except OperationFailure as error:
            if fault_of(error) is Fault.ABSENT:
                return []
            raise
        return [index for index in found if index != "_id_"]

    async def drop_database(self) -> None:
        await self._client.drop_database(self._database.name)
