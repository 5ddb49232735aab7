"""Every morning: what was best yesterday, as a notice."""

from datetime import timedelta

from baas import Context, fn

BEST = 10


@fn.timer("30 6 * * *", tz="Asia/Shanghai", missed="once")
async def nightly_digest(ctx: Context, tick: fn.TimerEvent) -> None:
    """Reads as somebody who is not signed in, so the rules decide what may be told to everybody.
    The notice's id is its day's: a second run on one day replaces it."""
    day = {"$gte": tick.scheduled - timedelta(days=1), "$lt": tick.scheduled}
    posts = ctx.as_caller().database.collection("posts")
    found = await posts.find(
        {"_createTime": day},
        sort={"likes": -1, "_createTime": -1},
        limit=BEST,
        fields={"title": 1, "slug": 1, "likes": 1},
    )
    if found["documents"]:
        notice = {"kind": "digest", "posts": found["documents"]}
        id = f"digest-{tick.scheduled:%Y-%m-%d}"
        await ctx.database.collection("notices").update(id, {"$set": notice}, upsert=True)
