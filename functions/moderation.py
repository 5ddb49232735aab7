"""Moderation: reports are worked off a queue, and moderators have the last word."""

from typing import Literal

import msgspec

from baas import Context, fn

#: So many open reports hide a post until a moderator has looked at it.
HIDE_AT = 3


@fn.on("database.reports.insert")
async def queue_report(ctx: Context, event: fn.DocumentEvent) -> None:
    """Reports of one post are worked off one after the other: they share an ordering key."""
    assert event.document is not None
    post = event.document["post"]
    await ctx.queue.send("moderation", {"post": post}, ordering=post)


@fn.on("queue.moderation", batch=20, retries="patient")
async def hide_reported(ctx: Context, event: fn.QueueEvent) -> dict[str, list[str]]:
    """Hides posts with many open reports. Messages that failed come again, the others do not."""
    failed = []
    for message in event.messages:
        try:
            await _look_at(ctx, message.body["post"])
        except Exception as fault:
            ctx.log.warning("a report was not looked at", id=message.id, fault=repr(fault))
            failed.append(message.id)
    return {"failed": failed}


async def _look_at(ctx: Context, post: str) -> None:
    reports = ctx.database.collection("reports")
    found = await reports.count({"post": post, "state": "open"})
    if found["total"] >= HIDE_AT:
        hide = {"$set": {"hidden": True, "note": f"{found['total']} reports"}}
        await ctx.database.collection("posts").update(filter={"_id": post}, update=hide)


class Decision(msgspec.Struct):
    """What `decide` takes."""

    report: str
    state: Literal["accepted", "rejected"]


@fn.event()
async def decide(ctx: Context, decision: Decision) -> None:
    """A moderator's decision: the report is settled, and the post hidden or shown, together."""

    async def settle(tx: fn.Transaction) -> None:
        reports = tx.collection("reports")
        report = await reports.get(decision.report)
        if report["state"] != "open":
            raise fn.Error("ALREADY_DECIDED", status=409, detail="Someone has decided this.")
        await reports.update(decision.report, {"$set": {"state": decision.state}})
        hidden = {"hidden": decision.state == "accepted"}
        await tx.collection("posts").update(filter={"_id": report["post"]}, update={"$set": hidden})

    await ctx.database.run_transaction(settle)
