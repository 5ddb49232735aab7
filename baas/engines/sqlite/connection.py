"""Opening the database file: the pragmas and functions that every connection has."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import apsw

from baas.engines.sqlite.catalogue import Catalogue, schema_version
from baas.engines.sqlite.compile import MATCH
from baas.engines.sqlite.keys import CONTAINER_KEY, container_key
from baas.engines.sqlite.nearby import BOX, TOKENS, document_box, document_tokens
from baas.engines.sqlite.predicates import REGEXP
from baas.engines.sqlite.sort import DISTANCE, SORT, distance, sort_key
from baas.errors import Code, Problem
from baas.query.patterns import SECONDS_PER_WORK, WATCH, OutOfTime, compile_pattern
from baas.schema.values import Document, decode

#: The name of the database file in the data folder.
FILE: Final = "db.sqlite3"
#: SQLite instructions between two looks at the clock; some tens of microseconds.
_STEPS: Final = 2000
_CACHE_KIB: Final = 8 * 1024
_MAP_BYTES: Final = 256 * 1024**2
#: Characters of an object or array of which the key costs so little that nobody asks the clock; and
#: what one costs at the least.
_LONG_TEXT: Final = 2_000
_SECONDS_PER_CHARACTER: Final = 2e-7
#: Rows fetched between two looks at how much they are.
_ROWS: Final = 50
#: Statements kept prepared per connection; shapes beyond it are prepared again.
_STATEMENTS: Final = 400
#: Only opening may sleep for another process (WAL recovery after a crash); milliseconds.
_OPENING_TIMEOUT_MS: Final = 10_000

#: The setting's values, and `none` for stores that nobody will open again.
Durability = Literal["full", "normal", "none"]
_SYNCHRONOUS: Final = {"full": "FULL", "normal": "NORMAL", "none": "OFF"}


class Database:
    """One connection. Used by one thread at a time.

    `catalogue` is a function, because whoever owns the connection replaces its catalogue.
    """

    def __init__(
        self, folder: Path, durability: Durability, catalogue: Callable[[], Catalogue]
    ) -> None:
        self.raw = open_connection(folder / FILE, durability)
        self.catalogue = catalogue
        self._deadline = 0.0
        self._budget = 0.0
        #: The setting `database.read_bytes`, for whoever serves strangers; None is no bound.
        self.most_bytes: int | None = None
        #: Set by whoever no longer wants what this connection is working on.
        self.cancelled: threading.Event | None = None
        distance: Any = self._distance
        self.raw.create_scalar_function(DISTANCE, distance, 2)
        match: Any = self._match  # apsw's types know no function of certain arguments
        self.raw.create_scalar_function(MATCH, match, 2)
        search: Any = self._regexp
        self.raw.create_scalar_function(REGEXP, search, 3, deterministic=True)
        key: Any = self._container_key
        self.raw.create_scalar_function(CONTAINER_KEY, key, 1, deterministic=True)
        self.raw.set_progress_handler(self._over_budget, _STEPS)

    def allow(self, seconds: float) -> None:
        """From now on a statement that runs longer raises apsw.InterruptError; 0 lifts that.

        The clock is first read when a statement has run for a while, so short ones pay nothing.
        """
        self._budget = seconds
        self._deadline = 0.0

    def stop(self) -> None:
        """Interrupts the statement under way; from any thread."""
        self.raw.interrupt()

    def rows(self, sql: str, params: Any = ()) -> list[Any]:
        """The first column of every row. Problem(LIMIT_EXCEEDED) beyond `most_bytes`."""
        cursor = self.raw.execute(sql, params)
        found = part = [row[0] for row in islice(cursor, _ROWS)]
        held = 0
        while len(part) == _ROWS:
            held += size_of(part)
            if self.most_bytes is not None and held > self.most_bytes:
                cursor.close(force=True)
                raise too_much(self.most_bytes)
            part = [row[0] for row in islice(cursor, _ROWS)]
            found += part
        return found

    def lookup(self, collection: str, id: str) -> Document | None:
        """`Lookups`: another document in the state of this connection's transaction."""
        known = self.catalogue()
        info = known.get(collection)
        if info is None:
            if schema_version(self.raw) != known.version:
                raise StaleCatalogue(collection)  # it may be there, and newer than what is known
            return None
        body = self.raw.execute(info.get_sql, (id,)).get
        return None if body is None else decode(body)

    def close(self) -> None:
        self.raw.close()

    def _match(self, predicate: Any, text: str) -> bool | None:
        WATCH.lacks = self._lacks
        try:
            verdict: bool | None = predicate(decode(text), self.lookup)
        except OutOfTime:
            raise apsw.InterruptError("a search takes too long for this budget") from None
        finally:
            WATCH.lacks = None
        return verdict

    def _distance(self, text: str, key: Any) -> Any:
        WATCH.lacks = self._lacks
        try:
            return distance(text, key)
        except OutOfTime:
            raise apsw.InterruptError("a distance takes too long for this budget") from None
        finally:
            WATCH.lacks = None

    def _regexp(self, pattern: str, flags: str, text: str) -> bool:
        compiled = compile_pattern(pattern, flags)
        if compiled.fits(text) and self._lacks(len(text) * compiled.size * SECONDS_PER_WORK):
            raise apsw.InterruptError("a search takes too long for this budget")
        return compiled.search(text)

    def _container_key(self, text: str | None) -> bytes | None:
        """One of a long array takes as long as a scan, and cannot be stopped either."""
        is_long = text is not None and len(text) > _LONG_TEXT
        if is_long and self._lacks(len(text or "") * _SECONDS_PER_CHARACTER):
            raise apsw.InterruptError("a key takes too long for this budget")
        return container_key(text)

    def _lacks(self, seconds: float) -> bool:
        """One search may take longer than all else in a statement and cannot be stopped: so the
        clock is looked at before it, and one that might not fit is not begun."""
        return bool(self._budget) and (self._over_budget() or seconds > self._budget)

    def _over_budget(self) -> bool:
        if self.cancelled is not None and self.cancelled.is_set():
            return True
        if not self._budget:
            return False
        now = time.monotonic()
        if not self._deadline:
            self._deadline = now + self._budget
        return now > self._deadline


_FUNCTIONS: Final[tuple[tuple[str, Any, int], ...]] = (
    (CONTAINER_KEY, container_key, 1),
    (SORT, sort_key, 3),
    (TOKENS, document_tokens, 2),
    (BOX, document_box, 2),
)


def open_connection(path: Path, durability: Durability = "full") -> apsw.Connection:
    """A connection with the kit's pragmas; creates the file. apsw.Error where it cannot."""
    create_private(path)
    connection = apsw.Connection(str(path), statementcachesize=_STATEMENTS)
    try:
        for name, function, arguments in _FUNCTIONS:
            connection.create_scalar_function(name, function, arguments, deterministic=True)
        connection.set_busy_timeout(_OPENING_TIMEOUT_MS)
        set_pragmas(connection, durability)
        connection.set_busy_timeout(0)
    except BaseException:
        connection.close()
        raise
    return connection


def create_private(path: Path) -> None:
    """An empty file for its owner's eyes alone, which SQLite then fills: it holds password hashes.
    The log and index files beside it get the same mode.

    A file that is there is not touched: closing it would drop this process's locks on it.
    """
    if not path.exists():
        path.touch(mode=0o600)


def set_pragmas(connection: apsw.Connection, durability: Durability) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={_SYNCHRONOUS[durability]}")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
    connection.execute(f"PRAGMA mmap_size={_MAP_BYTES}")
    connection.execute("PRAGMA temp_store=MEMORY")
    # A statement that names a column that is not there is a fault, never a string.
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    # Plans do not depend on bound values. Else a statement whose condition an index expression
    # serves is prepared again at each new value: measured 15 us against 2 for one row by key.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def size_of(rows: list[Any]) -> int:
    """Bytes of documents; ids and numbers weigh nothing."""
    return sum([len(row) for row in rows if type(row) is bytes])


def too_much(most: int) -> Problem:
    """A few large documents, or many: what would be held in memory, and sent, has a bound."""
    message = f"The documents have more than {most} bytes together; ask for fewer at once."
    return Problem(Code.LIMIT_EXCEEDED, message)


def unavailable() -> Problem:
    """What a caller is told where the file or the disk fails; the log has the rest."""
    return Problem(Code.UNAVAILABLE, "The database cannot serve this now.", retry_after=1.0)


class StaleCatalogue(apsw.SQLError):
    """Tables have come or gone since the catalogue was read."""


def is_stale(error: apsw.Error) -> bool:
    """Whether to read the catalogue anew: a statement named a table of an earlier generation."""
    if isinstance(error, StaleCatalogue):
        return True
    return isinstance(error, apsw.SQLError) and "no such table: c" in str(error)
