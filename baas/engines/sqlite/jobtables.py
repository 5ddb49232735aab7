"""The tables of the job queue, and its statements.

`ready` is when a row next asks for attention: due (or overdue) while it waits, the end of its lease
while it runs, NULL when it is settled or waits behind another of its ordering key. So one index
finds whatever can be claimed, whyever it can.
"""

from __future__ import annotations

from typing import Any, Final

import apsw
import msgspec

from baas.ports.jobs import MAX_HISTORY, SETTLED, Job, JobState

_SETTLED_SQL: Final = ",".join(f"'{state.value}'" for state in sorted(SETTLED, key=str))
OPEN: Final = f"state NOT IN ({_SETTLED_SQL})"
IS_SETTLED: Final = f"state IN ({_SETTLED_SQL})"

_TABLES: Final = f"""
CREATE TABLE baas_jobs(
  seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, kind TEXT NOT NULL,
  payload BLOB NOT NULL, state TEXT NOT NULL, attempt INTEGER NOT NULL, due INTEGER NOT NULL,
  created INTEGER NOT NULL, updated INTEGER NOT NULL, expires INTEGER, ordering TEXT, owner TEXT,
  depth INTEGER NOT NULL, ready INTEGER, lease TEXT, holder TEXT, result BLOB, error BLOB,
  history TEXT NOT NULL);
CREATE INDEX baas_jobs_ready ON baas_jobs(queue,ready,seq) WHERE ready IS NOT NULL;
CREATE INDEX baas_jobs_order ON baas_jobs(queue,ordering,seq)
  WHERE ordering IS NOT NULL AND {OPEN};
CREATE INDEX baas_jobs_holder ON baas_jobs(holder) WHERE holder IS NOT NULL;
CREATE INDEX baas_jobs_state ON baas_jobs(state,updated);
CREATE TABLE baas_marks(
  name TEXT PRIMARY KEY NOT NULL, value, holder TEXT, until INTEGER) WITHOUT ROWID;
"""


def create_job_tables(connection: apsw.Connection) -> None:
    connection.execute(_TABLES)


COLUMNS: Final = (
    "id,queue,kind,payload,state,attempt,due,created,updated,expires,ordering,owner,depth,lease,"
    "result,error,history"
)
#: Parameters: state, now, reason. The first entries of a long history stay, and the last.
_KEEP: Final = MAX_HISTORY - 1
HISTORY: Final = (
    "json_insert(CASE WHEN json_array_length(history)>"
    f"{_KEEP} THEN json_remove(history,'$[{_KEEP // 2}]') ELSE history END,"
    "'$[#]',json_array(?,?,?))"
)
INSERT: Final = (
    "INSERT INTO baas_jobs(id,queue,kind,payload,state,attempt,due,created,updated,expires,"
    "ordering,owner,depth,ready,lease,holder,history)"
    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(id) DO NOTHING"
)
#: A job as it stands elsewhere.
RESTORE: Final = (
    f"INSERT INTO baas_jobs({COLUMNS},ready)"
    f" VALUES({','.join('?' * (COLUMNS.count(',') + 2))}) ON CONFLICT(id) DO NOTHING"
)
#: Parameters: the last row's number, how many.
PAGE: Final = f"SELECT seq,{COLUMNS} FROM baas_jobs WHERE seq>? ORDER BY seq LIMIT ?"
CLAIMABLE: Final = (
    "SELECT ready,seq,state FROM baas_jobs WHERE queue=? AND ready<=? ORDER BY ready,seq LIMIT ?"
)
CLAIM: Final = (
    "UPDATE baas_jobs SET state='running',attempt=attempt+(expires IS NULL OR expires>?),"
    f"lease=?,holder=?,ready=?,updated=?,history={HISTORY} WHERE seq=? RETURNING {COLUMNS}"
)
#: Parameters: state, ready, updated, attempt, due, result, error, then those of HISTORY, then seq.
SETTLE: Final = (
    "UPDATE baas_jobs SET state=?,ready=?,lease=NULL,holder=NULL,updated=?,attempt=?,due=?,"
    f"result=?,error=?,history={HISTORY} WHERE seq=?"
)
#: The oldest unsettled row of an ordering key goes next, if none of them is on its way.
NEXT_IN_ORDER: Final = (
    "UPDATE baas_jobs SET ready=min(due,ifnull(expires,due)) WHERE seq=("
    f"SELECT min(seq) FROM baas_jobs WHERE queue=?1 AND ordering=?2 AND {OPEN})"
    " AND NOT EXISTS(SELECT 1 FROM baas_jobs WHERE queue=?1 AND ordering=?2 AND ready IS NOT NULL"
    f" AND {OPEN})"
)
BEHIND_OTHERS: Final = (
    f"SELECT EXISTS(SELECT 1 FROM baas_jobs WHERE queue=? AND ordering=? AND {OPEN})"
)

#: Parameter: now.
DEPTHS: Final = (
    "SELECT queue,state,count(*),min(CASE WHEN state IN ('enqueued','retrying') AND ready<=?"
    " THEN due END) FROM baas_jobs WHERE state IN"
    " ('enqueued','running','retrying','stopping','failed','expired')"
    " GROUP BY queue,state ORDER BY queue,state"
)


def job_of(row: tuple[Any, ...]) -> Job:
    """A row of COLUMNS."""
    values: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    error, history = values.pop("error"), values.pop("history")
    return Job(
        state=JobState(values.pop("state")),
        error=None if error is None else msgspec.json.decode(error),
        history=_HISTORIES.decode(history),
        **values,
    )


#: COLUMNS as the fields of Job.
_NAMES: Final = tuple(
    f"{name}_ms" if name in ("due", "created", "updated", "expires") else name
    for name in COLUMNS.split(",")
)
_HISTORIES: Final = msgspec.json.Decoder(tuple[tuple[str, int, str | None], ...])
