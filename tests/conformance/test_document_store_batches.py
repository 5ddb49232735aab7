"""DocumentStore, batches: counting between steps, and which step met a key that is taken."""

from __future__ import annotations

import pytest

from baas.ports.documents import Count, DuplicateKey
from baas.query.ast import ALWAYS
from tests.support.stores import delete, eq, ids, insert, write

pytestmark = pytest.mark.anyio


async def test_a_count_sees_the_steps_before_it(store) -> None:
    everything, ones = Count(collection="posts", filter=ALWAYS), eq("n", 1)
    result = await write(
        store,
        everything,
        insert("posts", {"_id": "a", "n": 1}),
        insert("posts", {"_id": "b", "n": 2}),
        everything,
        Count(collection="posts", filter=ones),
        delete("posts", "a"),
        everything,
    )
    assert [result.results[step].count for step in (0, 3, 4, 6)] == [0, 2, 1, 1]


async def test_a_duplicate_says_which_step_met_it(store) -> None:
    await write(store, insert("posts", {"_id": "b"}))
    with pytest.raises(DuplicateKey) as caught:
        await write(store, insert("posts", {"_id": "a"}), insert("posts", {"_id": "b"}))
    assert caught.value.step == 1
    assert await ids(store, "posts") == ["b"]


async def test_a_long_batch_is_one_batch(store) -> None:
    """However many turns it takes."""
    documents = [{"_id": f"d{number:04}"} for number in range(450)]
    with pytest.raises(DuplicateKey) as caught:
        await write(store, *[insert("posts", one) for one in [*documents, documents[7]]])
    assert caught.value.step == 450
    assert await ids(store, "posts") == []
    await write(store, *[insert("posts", one) for one in documents])
    assert await ids(store, "posts") == [one["_id"] for one in documents]
