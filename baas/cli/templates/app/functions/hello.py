"""A first cloud function. It is loaded again whenever this file changes.

    curl -X POST -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
        -d '{"name": "Ann"}' http://127.0.0.1:8000/v1/functions/hello
"""

import msgspec

from baas import Context, fn


class Greeting(msgspec.Struct):
    """What clients send; anything else is answered with 400 and the field's path."""

    name: str


@fn.event()
async def hello(ctx: Context, greeting: Greeting) -> dict[str, str | int]:
    """Who may call it stands in rules/_functions.yaml. The function itself may do everything;
    `ctx.as_caller()` may do what its caller may."""
    uid = ctx.auth.uid if ctx.auth else None  # nobody: an admin key, or another function's timer
    mine = await ctx.database.collection("notes").count({"_openid": uid})
    return {"text": f"Hello {greeting.name}!", "notes": mine["total"]}


# @fn.timer("30 2 * * *", tz="Asia/Shanghai")        every night
# @fn.on("database.notes.insert")                    after a note was written
# @fn.before("database.notes.insert")                before it is; may change or refuse it
# @fn.http("GET", "/pages/{id}")                     a route at /http/pages/...
# @fn.on("queue.mails", batch=10)                    messages of a queue
