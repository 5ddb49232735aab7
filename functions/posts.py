"""Posts: an address made of the title, how many like them, and an author's numbers."""

import secrets

import msgspec
from _text import slug_of

from baas import Context, fn


@fn.before("database.posts.insert")
async def give_slug(ctx: Context, event: fn.BeforeWrite) -> None:
    """The client cannot set it (rules/posts.yaml masks it); this can. The random end keeps two
    posts of one title apart."""
    assert event.document is not None
    title = event.document.get("title")
    words = slug_of(title) if isinstance(title, str) else "post"
    event.document["slug"] = f"{words}-{secrets.token_hex(3)}"


@fn.on("database.likes.insert")
@fn.on("database.likes.delete")
async def count_likes(ctx: Context, event: fn.DocumentEvent) -> None:
    """Counted afresh each time: a trigger runs at least once, so adding one would count too many.
    Of two counts of one post at the same time the transaction makes one go again."""
    like = event.document or event.before
    assert like is not None
    post = like["post"]

    async def recount(tx: fn.Transaction) -> None:
        found = await tx.collection("posts").find({"_id": post}, fields={"likes": 1})
        if found["documents"]:
            total = (await tx.collection("likes").count({"post": post}))["total"]
            await tx.collection("posts").update(post, {"$set": {"likes": total}})

    await ctx.database.run_transaction(recount)


class Numbers(msgspec.Struct):
    """What `my_numbers` answers."""

    posts: int
    likes: int


@fn.event()
async def my_numbers(ctx: Context) -> Numbers:
    """How many posts the caller has written, and how many likes they got."""
    if ctx.auth is None:  # an admin key: the rules of functions let no other stranger in
        return Numbers(posts=0, likes=0)
    mine = {"$match": {"_openid": ctx.auth.uid}}
    sums = {"$group": {"_id": None, "posts": {"$sum": 1}, "likes": {"$sum": "$likes"}}}
    found = await ctx.database.collection("posts").aggregate([mine, sums])
    for row in found["documents"]:
        return Numbers(posts=row["posts"], likes=row["likes"])
    return Numbers(posts=0, likes=0)
