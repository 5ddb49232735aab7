"""What type checkers let through of the board's client, and what not: lines that end in
`type: ignore` are wrong, and mypy must say so; where it does not, the comment itself is an error.
"""

from __future__ import annotations

from datetime import UTC, datetime

from board_cloud import (
    AsyncUserTransaction,
    ModeratorCloud,
    NobodyCloud,
    UserTransaction,
    create_async_cloud,
    create_cloud,
)
from board_cloud import (
    command as _,
)

cloud = create_cloud("http://127.0.0.1")
moderator = ModeratorCloud("http://127.0.0.1")
nobody = NobodyCloud("http://127.0.0.1")
later = create_async_cloud("http://127.0.0.1")
db = cloud.database()


def documents() -> None:
    posts = db.collection("posts")
    found = posts.where({"published": True, "likes": _.gt(1)}).order_by("title", "desc").get().data
    title: str = found[0]["title"]
    made: datetime = found[0]["_createTime"]
    posts.add({"title": title, "text": "x", "tags": ["a"]})
    posts.doc("a").update({"tags": _.push("b"), "text": "y"})
    posts.doc("a").set({"title": title, "text": made.isoformat()})
    posts.where({"_createTime": _.gt(datetime.now(UTC)), "tags": "a"}).field({"title": True})

    db.collection("postings")  # type: ignore[call-overload]
    found[0]["titel"]  # type: ignore[typeddict-item]
    posts.where({"titel": "x"})  # type: ignore[arg-type]
    posts.where({"title": 7})  # type: ignore[arg-type]
    posts.add({"title": "x"})  # type: ignore[typeddict-item]
    # The server counts the likes, and keeps the times.
    posts.add({"title": "x", "text": "x", "likes": 7})  # type: ignore[typeddict-unknown-key]
    posts.doc("a").update({"likes": _.inc(1)})  # type: ignore[typeddict-unknown-key]
    posts.doc("a").update({"_createTime": db.server_date()})  # type: ignore[typeddict-unknown-key]
    posts.doc("a").update({"tags": "a"})  # type: ignore[typeddict-item]
    posts.order_by("titel")  # type: ignore[arg-type]
    posts.order_by("title", "down")  # type: ignore[arg-type]
    posts.field({"titel": True})  # type: ignore[dict-item]


def open_documents() -> None:
    """Of a schema that allows more members than it names."""
    drafts = db.collection("drafts")
    drafts.add({"title": "x", "mood": 7})
    drafts.doc("a").update({"mood": _.inc(1)})
    title: str = drafts.where({"mood": 7}).order_by("mood").get().data[0]["title"]
    drafts.doc(title).get().data["titel"]  # type: ignore[typeddict-item]


def audiences() -> None:
    mine = db.collection("posts").doc("a").get().data
    theirs = moderator.database().collection("posts").doc("a").get().data
    note: str | None = theirs.get("note")
    moderator.database().collection("posts").doc("a").update({"hidden": True, "note": note})

    mine["note"]  # type: ignore[typeddict-item]
    db.collection("posts").where({"note": "x"})  # type: ignore[arg-type]
    db.collection("posts").doc("a").update({"note": "x"})  # type: ignore[typeddict-unknown-key]
    db.collection("reports").where({"state": "open"})  # type: ignore[arg-type]
    nobody.database().collection("posts").add({"title": "x"})  # type: ignore[arg-type]
    db.collection("comments").doc("a").update({"text": "x"})  # type: ignore[arg-type]


def functions() -> None:
    likes: int = cloud.call_function("my_numbers").result["likes"]
    cloud.call_function("decide", {"report": f"{likes}", "state": "accepted"}, timeout=2)

    cloud.call_function("decides")  # type: ignore[call-overload]
    cloud.call_function("decide", {"report": "r", "state": "maybe"})  # type: ignore[call-overload]
    cloud.call_function("my_numbers").result["dislikes"]  # type: ignore[typeddict-item]


def transactions() -> None:
    def run(transaction: UserTransaction) -> int:
        found = transaction.collection("posts").doc("a").get().data
        found["title"]  # type: ignore[index]
        if found is not None:
            transaction.collection("posts").doc("b").set({"title": found["title"], "text": ""})
        transaction.collection("posts").doc("b").set({"title": "x"})  # type: ignore[typeddict-item]
        return 7

    answer: int = db.run_transaction(run)
    wrong: str = db.run_transaction(run)  # type: ignore[assignment]
    print(answer, wrong)


async def asynchronous() -> None:
    posts = later.database().collection("posts")
    found = (await posts.where({"title": "x"}).get()).data
    title: str = found[0]["title"]
    async for snapshot in posts.watch():
        title = snapshot.docs[0]["title"]
        snapshot.docs[0]["titel"]  # type: ignore[typeddict-item]
    async for post in posts.all():
        title = post["title"]

    async def run(transaction: AsyncUserTransaction) -> None:
        await transaction.collection("posts").doc("a").update({"title": title})

    await later.database().run_transaction(run)
    posts.get()  # type: ignore[unused-coroutine]
