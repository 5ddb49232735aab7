"""Whole statements: a `Find`, a count, the documents that a write touches."""

from __future__ import annotations

from typing import Any

from baas.engines.sqlite.catalogue import CollectionInfo
from baas.engines.sqlite.compile import Compiler
from baas.engines.sqlite.sort import behind, order_by
from baas.ports.documents import Find
from baas.query import ast

Statement = tuple[str, list[Any]]


def select(info: CollectionInfo, query: Find) -> Statement:
    """The documents of a query, as JSON bytes."""
    to = Compiler(info)
    where = to.filter(query.filter)
    if query.after is not None:
        where = f"{where} AND {behind(to, query.sort, query.after)}"
    sql = f"SELECT CAST(doc AS BLOB) FROM {info.table} WHERE {where}"
    sql += f" ORDER BY {order_by(info, query.sort)}"
    if query.limit is not None or query.skip:
        limit = -1 if query.limit is None else query.limit
        sql += f" LIMIT {to.bind(limit)}"
        if query.skip:
            sql += f" OFFSET {to.bind(query.skip)}"
    return sql, to.params


def select_one(info: CollectionInfo, id: str, filter: ast.Filter) -> Statement:
    if type(filter) is ast.Always:
        return info.get_sql, [id]
    to = Compiler(info)
    sql = f"{info.get_sql.replace('?', to.bind(id))} AND {to.filter(filter)}"
    return sql, to.params


def count(info: CollectionInfo, filter: ast.Filter) -> Statement:
    to = Compiler(info)
    return f"SELECT count(*) FROM {info.table} WHERE {to.filter(filter)}", to.params


def select_ids(info: CollectionInfo, filter: ast.Filter, limit: int) -> Statement:
    """The ids of the first `limit` matches, in their order."""
    to = Compiler(info)
    where = to.filter(filter)
    sql = f"SELECT id FROM {info.table} WHERE {where} ORDER BY id LIMIT {to.bind(limit)}"
    return sql, to.params
