"""A masked field is not to be probed by another spelling of its path."""

from __future__ import annotations

import pytest

from baas.errors import Code, Problem
from baas.query import ast
from baas.query import expr as e
from baas.query.fields import paths_in_filter, paths_in_sort
from baas.query.parse import parse_sort
from baas.rules.masks import CallerMasks, masks_for
from baas.rules.model import FieldMask, Rule
from baas.rules.residual import Known
from tests.support.strategies import parsed


def masks_on(path: str) -> CallerMasks:
    """A mask that lets nobody read `path`."""
    hidden = FieldMask(path=tuple(path.split(".")), read=Rule(expr=e.FALSE, text="false"))
    masks = masks_for((hidden,), Known({}))
    assert isinstance(masks, CallerMasks)
    return masks


PROBES = [
    ("secret", {"secret": 1}),
    ("secret", {"secret": {"$exists": False}}),
    ("secret", {"secret.deep.er": 1}),
    ("secret", {"secret.0": 1}),
    ("secret", {"$nor": [{"$and": [{"secret": {"$gt": 1}}]}]}),
    ("secret", {"secret": "{uid}"}),
    ("items.secret", {"items": {"$size": 1}}),
    ("items.secret", {"items": [{"secret": 1}]}),
    ("items.secret", {"items.secret": 1}),
    ("items.secret", {"items.0.secret": 1}),
    ("items.secret", {"items.0.0.secret": 1}),
    ("items.secret", {"items.0": {"secret": 1}}),
    ("items.secret", {"items": {"$elemMatch": {"secret": 1}}}),
    ("items.secret", {"items": {"$elemMatch": {"$elemMatch": {"secret": 1}}}}),
    ("items.secret", {"items": {"$all": [{"$elemMatch": {"secret": 1}}]}}),
    ("items.secret", {"items": {"$not": {"$elemMatch": {"$or": [{"secret": 1}]}}}}),
    # Names of digits alone may be positions, and may be names.
    ("meta.2024", {"meta.2024": 1}),
    ("meta.2024", {"meta.2024.total": 1}),
    ("meta.2024.total", {"meta.2024.total": 1}),
    ("meta.2024.total", {"meta.0.2024.total": 1}),
    ("a.0.b", {"a.0.b": 1}),
    ("a.0.b", {"a.7.0.b": 1}),
]


@pytest.mark.parametrize(("masked", "raw"), PROBES, ids=str)
def test_a_filter_through_it_is_refused(masked: str, raw: dict[str, object]) -> None:
    paths = paths_in_filter(parsed(raw))
    with pytest.raises(Problem) as caught:
        masks_on(masked).check_used(paths, ast.ALWAYS)
    assert caught.value.code is Code.PERMISSION_DENIED


@pytest.mark.parametrize("key", ["items", "items.secret", "items.0.secret", "items.0"])
def test_a_sort_through_it_is_refused(key: str) -> None:
    with pytest.raises(Problem) as caught:
        masks_on("items.secret").check_used(paths_in_sort(parse_sort({key: 1})), ast.ALWAYS)
    assert caught.value.code is Code.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("masked", "raw"),
    [
        ("secret", {"secrets": 1, "other.secret": 1, "SECRET": 1}),
        ("items.secret", {"items.open": 1, "items.0.open": 1, "secret": 1}),
        ("meta.2024", {"meta.2025x": 1, "2024": 1}),
    ],
    ids=str,
)
def test_what_lies_beside_it_may_be_used(masked: str, raw: dict[str, object]) -> None:
    masks_on(masked).check_used(paths_in_filter(parsed(raw)), ast.ALWAYS)
