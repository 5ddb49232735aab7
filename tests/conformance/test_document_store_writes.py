"""DocumentStore, writing: all or nothing, in order, with the check inside the write."""

from __future__ import annotations

import asyncio

import pytest

from baas.errors import Code, Problem
from baas.ports.documents import (
    DELETE,
    KEEP,
    Change,
    ChangeMany,
    Check,
    DuplicateKey,
    Find,
    Once,
    Read,
    resolve,
)
from baas.query.ast import ALWAYS
from baas.schema.values import decode, encode
from tests.support.stores import (
    INFO,
    change,
    change_many,
    delete,
    eq,
    find,
    get,
    ids,
    insert,
    put,
    setting,
    write,
)

pytestmark = pytest.mark.anyio


def refuse(*_: object) -> None:
    raise Problem(Code.PERMISSION_DENIED, "no")


# -- insert ----------------------------------------------------------------------------------------


async def test_a_document_is_kept_byte_for_byte(store) -> None:
    document = {"_id": "a", "text": 'é中😀"\\\n', "n": [1, 1.5, 1e300, None, True], "o": {"x": {}}}
    result = await write(store, insert("posts", document))
    assert result.results[0].written[0].after == encode(document)
    assert result.results[0].written[0].before is None
    assert await asyncio.wait_for(as_bytes(store, "posts", "a"), 5) == encode(document)


async def as_bytes(store, collection: str, id: str) -> bytes | None:
    found = store.get(collection, id)
    return found if found is None or isinstance(found, bytes) else await found


async def test_an_id_is_taken_once(store) -> None:
    await put(store, "posts", {"_id": "a", "n": 1})
    with pytest.raises(DuplicateKey) as caught:
        await put(store, "posts", {"_id": "a", "n": 2})
    assert (caught.value.collection, caught.value.index, caught.value.id) == ("posts", None, "a")
    assert await get(store, "posts", "a") == {"_id": "a", "n": 1}


async def test_ids_differ_by_case(store) -> None:
    await put(store, "posts", {"_id": "a"}, {"_id": "A"})
    assert await ids(store, "posts") == ["A", "a"]


async def test_a_check_that_raises_keeps_the_document_out(store) -> None:
    with pytest.raises(Problem):
        await write(store, insert("posts", {"_id": "a"}, check=refuse))
    assert await ids(store, "posts") == []


async def test_a_check_looks_up_other_documents(store) -> None:
    await put(store, "rooms", {"_id": "r1", "members": ["u1"]})
    seen = []
    await write(
        store,
        insert("posts", {"_id": "a"}, check=lambda look: seen.append(look("rooms", "r1"))),
        insert("posts", {"_id": "b"}, check=lambda look: seen.append(look("posts", "a"))),
        insert("posts", {"_id": "c"}, check=lambda look: seen.append(look("nowhere", "x"))),
    )
    assert seen == [{"_id": "r1", "members": ["u1"]}, {"_id": "a"}, None]


@pytest.mark.parametrize("name", ['x"; DROP TABLE y', "a b", "", "1a", "a" * 65, "a.b", "é", "a\n"])
async def test_what_is_no_name_makes_no_collection(store, name: str) -> None:
    with pytest.raises(Problem) as caught:
        await put(store, name, {"_id": "a"})
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert await ids(store, name) == []
    assert name not in list(await resolve(store.names()))


async def test_names_are_unique_regardless_of_case(store) -> None:
    await put(store, "posts", {"_id": "a"})
    with pytest.raises(Problem):
        await put(store, "Posts", {"_id": "b"})
    assert await ids(store, "Posts") == []
    assert await ids(store, "posts") == ["a"]


# -- batches ---------------------------------------------------------------------------------------


async def test_a_batch_is_kept_whole_or_not_at_all(store) -> None:
    await put(store, "posts", {"_id": "b"})
    with pytest.raises(DuplicateKey):
        await put(store, "posts", {"_id": "a"}, {"_id": "b"}, {"_id": "c"})
    assert await ids(store, "posts") == ["b"]


async def test_a_batch_that_makes_a_collection_and_fails_makes_none(store) -> None:
    with pytest.raises(Problem):
        await write(store, insert("fresh", {"_id": "a"}), insert("f", {"_id": "b"}, check=refuse))
    assert "fresh" not in list(await resolve(store.names()))
    await put(store, "fresh", {"_id": "a"})
    assert await ids(store, "fresh") == ["a"]


async def test_a_problem_says_which_step_it_came_from(store) -> None:
    with pytest.raises(Problem) as caught:
        await write(store, insert("p", {"_id": "a"}), insert("p", {"_id": "b"}, check=refuse))
    assert caught.value.operation == 1


async def test_a_problem_of_a_lone_step_names_no_position(store) -> None:
    with pytest.raises(Problem) as caught:
        await write(store, insert("p", {"_id": "a"}, check=refuse))
    assert caught.value.operation is None


async def test_steps_see_the_earlier_ones(store) -> None:
    result = await write(
        store,
        insert("p", {"_id": "a", "n": 1}),
        change("p", "a", lambda document: {**document, "n": document["n"] + 1}),
        Read(query=Find(collection="p", filter=eq("n", 2))),
        change_many("p", eq("n", 2), setting(n=7), multi=True),
        delete("p", "a"),
        Read(query=Find(collection="p")),
        insert("p", {"_id": "a", "n": 9}),
    )
    assert [decode(body) for body in result.results[2].documents] == [{"_id": "a", "n": 2}]
    assert result.results[5].documents == ()
    assert await find(store, "p") == [{"_id": "a", "n": 9}]


async def test_a_check_step_sees_the_document_and_can_undo_all(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1})
    seen = []

    def verify(document, lookups) -> None:
        seen.append(document)
        if document is None:
            refuse()

    await write(store, Check(collection="p", id="a", verify=verify))
    with pytest.raises(Problem):
        await write(store, delete("p", "a"), Check(collection="p", id="a", verify=verify))
    assert seen == [{"_id": "a", "n": 1}, None]
    assert await ids(store, "p") == ["a"]


async def test_one_bad_batch_does_not_harm_its_neighbours(store) -> None:
    batches = [put(store, "p", {"_id": f"d{n % 7}"}) for n in range(14)]
    outcomes = await asyncio.gather(*batches, return_exceptions=True)
    assert sum(outcome is None for outcome in outcomes) == 7
    assert sum(isinstance(outcome, DuplicateKey) for outcome in outcomes) == 7
    assert len(await ids(store, "p")) == 7


async def test_a_fault_in_a_callback_reaches_its_caller_alone(store) -> None:
    def broken(document):
        raise KeyError("bug")

    await put(store, "p", {"_id": "a"})
    good, bad = await asyncio.gather(
        put(store, "p", {"_id": "b"}),
        write(store, insert("p", {"_id": "c"}), change("p", "a", broken)),
        return_exceptions=True,
    )
    assert good is None
    assert isinstance(bad, KeyError)
    assert await ids(store, "p") == ["a", "b"]


async def test_no_update_is_lost_between_concurrent_writers(store) -> None:
    await put(store, "p", {"_id": "a", "n": 0})

    def more(document):
        return {**document, "n": document["n"] + 1}

    await asyncio.gather(*(write(store, change("p", "a", more)) for _ in range(200)))
    assert await get(store, "p", "a") == {"_id": "a", "n": 200}


async def test_a_writer_that_goes_away_does_not_stop_the_write(store) -> None:
    task = asyncio.ensure_future(put(store, "p", {"_id": "a"}))
    await asyncio.sleep(0)
    task.cancel()
    await put(store, "p", {"_id": "b"})
    assert await ids(store, "p") == ["a", "b"]


# -- change ----------------------------------------------------------------------------------------


async def test_a_change_writes_what_it_answers(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1})
    result = await write(store, change("p", "a", setting(n=2)))
    (written,) = result.results[0].written
    assert (written.id, decode(written.before), decode(written.after)) == (
        "a",
        {"_id": "a", "n": 1},
        {"_id": "a", "n": 2},
    )
    assert await get(store, "p", "a") == {"_id": "a", "n": 2}


@pytest.mark.parametrize("collection", ["p", "never_written"])
async def test_a_change_is_asked_even_where_there_is_no_document(store, collection: str) -> None:
    await put(store, "p", {"_id": "other"})
    seen = []

    def apply(document, lookups):
        seen.append(document)
        return {"_id": "a", "made": True}

    result = await write(store, Change(collection=collection, id="a", apply=apply))
    assert seen == [None]
    assert result.results[0].written[0].before is None
    assert await get(store, collection, "a") == {"_id": "a", "made": True}


async def test_keep_writes_nothing(store) -> None:
    await put(store, "p", {"_id": "a"})
    result = await write(store, change("p", "a", lambda document: KEEP))
    assert result.results[0].written == ()
    assert await ids(store, "p") == ["a"]


async def test_delete_removes_and_reports(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1})
    result = await write(store, delete("p", "a"))
    assert result.results[0].written[0].after is None
    assert decode(result.results[0].written[0].before) == {"_id": "a", "n": 1}
    assert await get(store, "p", "a") is None
    assert (await write(store, delete("p", "a"))).results[0].written == ()


async def test_a_change_cannot_give_a_document_another_id(store) -> None:
    await put(store, "p", {"_id": "a"})
    with pytest.raises(ValueError, match="_id"):
        await write(store, change("p", "a", lambda document: {"_id": "b"}))
    assert await ids(store, "p") == ["a"]


# -- change many -----------------------------------------------------------------------------------


async def test_without_multi_the_first_match_by_id_is_changed(store) -> None:
    await put(store, "p", {"_id": "c", "n": 1}, {"_id": "b", "n": 1}, {"_id": "a", "n": 2})
    result = await write(store, change_many("p", eq("n", 1), setting(n=5)))
    assert [one.id for one in result.results[0].written] == ["b"]


async def test_multi_changes_every_match_in_the_order_of_ids(store) -> None:
    await put(store, "p", *({"_id": f"d{n:03d}", "n": n % 2} for n in range(300, 0, -1)))
    result = await write(store, change_many("p", eq("n", 1), setting(n=5), multi=True))
    changed = [one.id for one in result.results[0].written]
    assert changed == sorted(changed)
    assert len(changed) == 150
    assert await ids(store, "p", eq("n", 5)) == changed


async def test_multi_leaves_out_what_is_kept(store) -> None:
    await put(store, "p", {"_id": "a", "n": 1}, {"_id": "b", "n": 2})
    work = change_many("p", ALWAYS, lambda d: DELETE if d["n"] == 2 else KEEP, multi=True)
    result = await write(store, work)
    assert [one.id for one in result.results[0].written] == ["b"]
    assert await ids(store, "p") == ["a"]


async def test_more_matches_than_the_limit_change_nothing(store) -> None:
    await put(store, "p", *({"_id": f"d{n}"} for n in range(4)))
    with pytest.raises(Problem) as caught:
        await write(store, change_many("p", ALWAYS, setting(x=1), multi=True, limit=3))
    assert caught.value.code is Code.LIMIT_EXCEEDED
    assert await ids(store, "p", eq("x", 1)) == []
    await write(store, change_many("p", ALWAYS, setting(x=1), multi=True, limit=4))
    assert len(await ids(store, "p", eq("x", 1))) == 4


@pytest.mark.parametrize("collection", ["p", "never_written"])
async def test_otherwise_inserts_where_nothing_matches(store, collection: str) -> None:
    await put(store, "p", {"_id": "z", "n": 0})
    step = ChangeMany(
        collection=collection,
        filter=eq("n", 1),
        apply=lambda document, lookups: {**(document or {}), "seen": True},
        otherwise=lambda lookups: {"_id": "a", "n": 1},
    )
    first = await write(store, step)
    second = await write(store, step)
    assert first.results[0].written[0].before is None
    assert second.results[0].written[0].before is not None
    assert await get(store, collection, "a") == {"_id": "a", "n": 1, "seen": True}


async def test_otherwise_meets_a_taken_id(store) -> None:
    await put(store, "p", {"_id": "a", "n": 0})
    step = change_many("p", eq("n", 1), setting(), otherwise=lambda lookups: {"_id": "a"})
    with pytest.raises(DuplicateKey):
        await write(store, step)


# -- idempotency -----------------------------------------------------------------------------------


def once(key: str = "k", body: bytes = b"1", **more) -> Once:
    options = {"keep_seconds": 60, "keep_records": 100, **more}
    return Once(key=key, fingerprint=body, render=lambda results: b"%d" % len(results), **options)


async def test_a_batch_with_a_known_key_gives_the_first_answer_again(store) -> None:
    first = await write(store, insert("p", {"_id": "a"}), once=once())
    again = await write(store, insert("p", {"_id": "b"}), once=once())
    assert first.replayed is None
    assert (again.replayed, again.results) == (b"1", ())
    assert await ids(store, "p") == ["a"]


async def test_the_same_key_at_once_runs_once(store) -> None:
    work = [write(store, insert("p", {"_id": f"d{n}"}), once=once()) for n in range(20)]
    results = await asyncio.gather(*work)
    assert sum(result.replayed is None for result in results) == 1
    assert len(await ids(store, "p")) == 1


async def test_a_known_key_with_another_body_is_refused(store) -> None:
    await write(store, insert("p", {"_id": "a"}), once=once())
    with pytest.raises(Problem) as caught:
        await write(store, insert("p", {"_id": "b"}), once=once(body=b"2"))
    assert caught.value.code is Code.IDEMPOTENCY_MISMATCH
    assert await ids(store, "p") == ["a"]


async def test_a_batch_that_fails_leaves_its_key_free(store) -> None:
    with pytest.raises(Problem):
        await write(store, insert("p", {"_id": "a"}, check=refuse), once=once())
    result = await write(store, insert("p", {"_id": "a"}), once=once())
    assert result.replayed is None


async def test_a_record_is_kept_for_its_time(store, clock) -> None:
    await write(store, insert("p", {"_id": "a"}), once=once())
    clock.advance(59)
    assert (await write(store, insert("p", {"_id": "b"}), once=once())).replayed == b"1"
    clock.advance(2)
    assert (await write(store, insert("p", {"_id": "b"}), once=once())).replayed is None


async def test_the_oldest_records_go_first(store, engine, clock) -> None:
    for n in range(5):
        await write(store, insert("p", {"_id": f"d{n}"}), once=once(f"k{n}", keep_records=3))
        clock.advance(1)
    await engine.maintain(store)
    redo = [
        (await write(store, insert("p", {"_id": f"e{n}"}), once=once(f"k{n}", keep_records=3)))
        for n in (4, 3, 2, 1, 0)
    ]
    assert [result.replayed for result in redo] == [b"1", b"1", b"1", None, None]


# -- the end ---------------------------------------------------------------------------------------


async def test_what_was_written_is_there_after_a_restart(engine) -> None:
    store = await engine.open()
    await put(store, "p", {"_id": "a", "n": [1]})
    await store.close()
    store = await engine.open()
    assert await find(store, "p") == [{"_id": "a", "n": [1]}]
    await store.close()


async def test_close_finishes_what_was_taken_and_may_be_called_twice(engine) -> None:
    store = await engine.open()
    pending = [store.write((insert("p", {"_id": f"d{n}"}),), INFO) for n in range(50)]
    await store.close()
    await asyncio.gather(*pending)
    await store.close()
    with pytest.raises(Problem) as caught:
        await store.write((insert("p", {"_id": "late"}),), INFO)
    assert caught.value.code is Code.UNAVAILABLE
    store = await engine.open()
    assert len(await ids(store, "p")) == 50
    await store.close()
