"""Whole statements: a `Find`, a count, the documents that a write touches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import apsw

from baas.engines.sqlite.catalogue import CollectionInfo, Compiled
from baas.engines.sqlite.compile import Compiler
from baas.engines.sqlite.sort import behind, behind_in_halves, order_by
from baas.ports.documents import Find
from baas.query import ast
from baas.query.ast import Sort

Statement = tuple[str, list[Any]]


def select(info: CollectionInfo, query: Find) -> Statement:
    """The documents of a query, as JSON bytes."""
    if query.after is None and query.limit is not None and not query.skip:
        sql, params = _first_page(info, query.filter, query.sort)
        return sql, [*params, query.limit]
    to = Compiler(info)
    where = to.filter(query.filter)
    if query.after is None:
        sql = _ordered(to, query.sort, where)
    elif (halves := behind_in_halves(to, query.sort, query.after)) is None:
        # Among nulls, the last ones descending, the first key says nothing.
        only_nulls = query.sort[0].descending and query.after[0] is None and len(query.sort) > 1
        sort = query.sort[1:] if only_nulls else query.sort
        sql = _ordered(to, sort, f"{where} AND {behind(to, query.sort, query.after)}")
    else:
        values, nulls = (f"{where} AND {half}" for half in halves)
        parts = (_ordered(to, query.sort, values), _ordered(to, query.sort[1:], nulls))
        return _joined(to, query, parts)
    if query.limit is not None or query.skip:
        sql += f" LIMIT {to.bind(_limit(query))}"
        if query.skip:
            sql += f" OFFSET {to.bind(query.skip)}"
    return sql, to.params


def _ordered(to: Compiler, sort: Sort, where: str) -> str:
    order, table = order_by(to, sort), to.collection.table
    return f"SELECT CAST(doc AS BLOB) AS body FROM {table} WHERE {where} ORDER BY {order}"


def _joined(to: Compiler, query: Find, parts: Iterable[str]) -> Statement:
    """One part behind the other. SQLite runs them in turn and stops at the limit."""
    limit, skip = to.bind(_limit(query)), to.bind(query.skip)
    enough = to.bind(-1 if query.limit is None else query.limit + query.skip)
    halves = [f"SELECT body FROM ({part} LIMIT {enough})" for part in parts]
    return f"{' UNION ALL '.join(halves)} LIMIT {limit} OFFSET {skip}", to.params


def _limit(query: Find) -> int:
    return -1 if query.limit is None else query.limit


def _first_page(info: CollectionInfo, filter: ast.Filter, sort: Sort) -> Compiled:
    """By far the most usual read; its last parameter is the limit."""
    known = info.compiled(filter, sort)
    if known is not None:
        return known
    to = Compiler(info)
    sql = _ordered(to, sort, to.filter(filter)) + f" LIMIT ?{len(to.params) + 1}"
    return _kept(info, filter, sort, (sql, tuple(to.params)))


def select_one(info: CollectionInfo, id: str, filter: ast.Filter) -> Statement:
    """The document with this id, if it matches."""
    if type(filter) is ast.Always:
        return info.get_sql, [id]
    sql, params = by_id(info, filter)
    return sql, [*params, id]


def by_id(info: CollectionInfo, filter: ast.Filter) -> Compiled:
    """Its last parameter is the id."""
    known = info.compiled(filter, None)
    if known is not None:
        return known
    to = Compiler(info)
    condition = to.filter(filter)
    sql = f"{info.get_sql.replace('?', f'?{len(to.params) + 1}')} AND {condition}"
    return _kept(info, filter, None, (sql, tuple(to.params)))


def _kept(info: CollectionInfo, filter: ast.Filter, shape: Any, statement: Compiled) -> Compiled:
    """Remembered where the filter is a rule's own: such objects are met again."""
    if _is_rule(filter) and not any(type(value) is apsw.pyobject for value in statement[1]):
        info.keep_compiled(filter, shape, statement)
    return statement


def _is_rule(filter: ast.Filter) -> bool:
    if type(filter) is ast.And:
        return all(type(item) is ast.Where for item in filter.items)
    return type(filter) is ast.Where


def count(info: CollectionInfo, filter: ast.Filter) -> Statement:
    to = Compiler(info)
    return f"SELECT count(*) FROM {info.table} WHERE {to.filter(filter)}", to.params


def select_ids(info: CollectionInfo, filter: ast.Filter, limit: int) -> Statement:
    """The ids of the first `limit` matches, in their order."""
    to = Compiler(info)
    where = to.filter(filter)
    sql = f"SELECT id FROM {info.table} WHERE {where} ORDER BY id LIMIT {to.bind(limit)}"
    return sql, to.params
