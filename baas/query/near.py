"""What a whole query asks beside its conditions: an order by distance, and a text index."""

from __future__ import annotations

import msgspec

from baas.query import ast
from baas.query.geo import Near
from baas.schema.values import Path


def near_of(filter: ast.Filter) -> ast.SortKey | None:
    """By the distance that a `$near` of the filter asks for; it is one of its conjuncts."""
    if type(filter) is ast.Field:
        test = filter.test
        if type(test) is ast.Geo and type(test.region) is Near:
            return ast.SortKey(filter.path, near=test.region)
    elif type(filter) is ast.And:
        for item in filter.items:
            if (found := near_of(item)) is not None:
                return found
    return None


def default_sort(filter: ast.Filter) -> ast.Sort:
    """The order of a query that names none: nearest first where it has a `$near`, else by `_id`."""
    key = near_of(filter)
    return ast.BY_ID if key is None else (key, *ast.BY_ID)


def text_search_of(filter: ast.Filter) -> ast.TextSearch | None:
    """The `$text` of a filter; there is one at most. On the way of every request."""
    if type(filter) is ast.TextSearch:
        return filter
    if type(filter) is ast.And or type(filter) is ast.Or:
        for item in filter.items:
            if type(item) is not ast.Field and (found := text_search_of(item)) is not None:
                return found
    elif type(filter) is ast.Not:
        return text_search_of(filter.item)
    return None


def with_text_index(filter: ast.Filter, paths: tuple[Path, ...]) -> ast.Filter:
    """The same with the `$text` in it asked of these paths."""
    if isinstance(filter, ast.TextSearch):
        return msgspec.structs.replace(filter, paths=paths)
    if isinstance(filter, ast.And | ast.Or):
        items = tuple(with_text_index(item, paths) for item in filter.items)
        return msgspec.structs.replace(filter, items=items)
    if isinstance(filter, ast.Not):
        return ast.Not(with_text_index(filter.item, paths))
    return filter
