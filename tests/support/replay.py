"""What must hold of documents and feed after whatever happened to a gateway under a `Load`."""

from __future__ import annotations

from typing import Any

from baas.ports.documents import resolve
from baas.schema.values import decode
from tests.support.gateway import Gateway
from tests.support.writers import MOVES, Writer


def shared_count(gateway: Gateway, token: str) -> int:
    answer = gateway.post("/v1/database/shared/get", {"id": MOVES}, token=token)
    return int(answer.json()["n"])


def settle(writer: Writer) -> None:
    """Its documents are those before the write under way, or those after it; a retry of that one,
    and of the last that was answered, does nothing twice."""
    found = writer.found()
    if (pending := writer.pending) is None:
        assert found == writer.documents
    else:
        after = pending.applied(writer.documents)
        assert found in (writer.documents, after)
        if pending.key is not None:
            answers = [pending.send(writer.client) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
            assert answers[0].content == answers[1].content
            found = writer.found()
            assert found == after
    writer.documents, writer.pending = found, None
    if writer.answered is not None:
        write, content = writer.answered
        assert write.send(writer.client).content == content
        assert writer.found() == found


async def replay(store: Any, start: str) -> None:
    """From `start` on, each event begins where the one before it on its document ended, those of
    a transaction lie together, and the last images are the documents."""
    images: dict[tuple[str, str], bytes | None] = {}
    transactions: list[str] = []
    cursor = start
    while events := await resolve(store.feed.read(cursor)):
        for event in events:
            place = event.collection, event.id
            assert images.get(place) == event.before
            images[place] = event.after
            if transactions[-1:] != [event.transaction]:
                transactions.append(event.transaction)
        cursor = events[-1].cursor
    assert cursor == await resolve(store.feed.head())
    assert len(transactions) == len(set(transactions))
    stored = {
        (name, decode(body)["_id"]): body
        for name in ("load", "shared")
        async for body in store.scan(name)
    }
    assert stored == {
        place: body
        for place, body in images.items()
        if body is not None and place[0] in ("load", "shared")
    }
