"""Runs scenario.json with the Python SDK: `await run(cloud, steps, cut)`, whichever face it is.

What the synchronous face returns is there at once; `_later` waits for the other's.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, Final

from baas_sdkgen.runtime.py import BaasError, command

PATIENCE: Final = 20.0
_NAME: Final = re.compile(r"\$(\w+)(?:\.(\w+))?")
#: Steps by the names of the scenario, where the face calls them otherwise.
_NAMES: Final = {"in": "in_", "and": "and_", "or": "or_", "not": "not_"}

#: They look at `expect` by themselves.
_WAITING: Final = ("watch", "watched", "heard", "here")


async def run(cloud: Any, steps: list[Any], cut: Callable[[], None]) -> int:
    """How many steps there were. AssertionError names the one that went otherwise."""
    play = Play(cloud, cut)
    for number, step in enumerate(steps):
        try:
            await play.take(step)
        except Exception as fault:
            raise AssertionError(f"step {number} ({json.dumps(step)}): {fault!r}") from fault
    return len(steps)


class Play:
    def __init__(self, cloud: Any, cut: Callable[[], None]) -> None:
        self.cloud = cloud
        self.cut = cut
        self.saved: dict[str, Any] = {"run": f"r{secrets.token_hex(4)}"}
        self.live: dict[str, Live] = {}
        self.rooms: dict[str, Room] = {}

    async def take(self, raw: Any) -> None:
        step = self._filled(raw)
        try:
            answer = wire(await _later(getattr(self, f"do_{_snake(step['do'])}")(step)))
        except BaasError as fault:
            if fault.code != step.get("fails"):
                raise
            return
        assert "fails" not in step, f"it did not fail: {answer}"
        if "save" in step:
            self.saved[step["save"]] = answer
        if "expect" in step and step["do"] not in _WAITING:
            check(answer, step["expect"], "answer")
        if "exactly" in step:
            assert answer == step["exactly"], answer
        if "counts" in step:
            assert len(answer) == step["counts"], answer
        for name in step.get("lacks", ()):
            assert name not in answer, answer

    # -- accounts

    def do_sign_up(self, step: Any) -> Any:
        return self.cloud.auth().sign_up(**step["with"])

    def do_sign_in_with_password(self, step: Any) -> Any:
        return self.cloud.auth().sign_in_with_password(**step["with"])

    def do_sign_in_anonymously(self, step: Any) -> Any:
        return self.cloud.auth().sign_in_anonymously()

    def do_sign_out(self, step: Any) -> Any:
        return self.cloud.auth().sign_out()

    def do_me(self, step: Any) -> Any:
        return self.cloud.auth().me()

    def do_update_profile(self, step: Any) -> Any:
        return self.cloud.auth().update_profile(step["with"])

    def do_sessions(self, step: Any) -> Any:
        return self.cloud.auth().sessions()

    def do_link(self, step: Any) -> Any:
        return self.cloud.auth().link(**step["with"])

    def do_delete_account(self, step: Any) -> Any:
        return self.cloud.auth().delete_account()

    # -- documents

    async def do_add(self, step: Any) -> Any:
        return {"_id": (await _later(self._collection(step).add(value(step["data"])))).id}

    async def do_get(self, step: Any) -> Any:
        return (await _later(self._collection(step).doc(step["id"]).get())).data

    async def do_find(self, step: Any) -> Any:
        return (await _later(self._query(step).get())).data

    def do_count(self, step: Any) -> Any:
        return self._query(step).count()

    async def do_all(self, step: Any) -> Any:
        found = self._query(step).all()
        return [one async for one in found] if hasattr(found, "__aiter__") else list(found)

    def do_update(self, step: Any) -> Any:
        return self._collection(step).doc(step["id"]).update(value(step["data"]))

    def do_update_many(self, step: Any) -> Any:
        return self._query(step).update(value(step["data"]))

    def do_set(self, step: Any) -> Any:
        return self._collection(step).doc(step["id"]).set(value(step["data"]))

    def do_remove(self, step: Any) -> Any:
        return self._collection(step).doc(step["id"]).remove()

    def do_remove_many(self, step: Any) -> Any:
        return self._query(step).remove()

    async def do_aggregate(self, step: Any) -> Any:
        stages = self._collection(step).aggregate()
        for stage in step["pipeline"]:
            stages = stages.stage(stage)
        return (await _later(stages.end())).list

    async def do_transfer(self, step: Any) -> None:
        """Reads, and writes what it read with an end to it; a first try meets a write between."""
        tries = 0
        document = self._collection(step).doc(step["id"])

        async def later(transaction: Any) -> None:
            nonlocal tries
            tries += 1
            kept = transaction.collection(step["in"]).doc(step["id"])
            found = (await kept.get()).data
            if tries == 1:
                await document.update({"title": "between"})
            await kept.update({step["member"]: found[step["member"]] + step["suffix"]})

        def now(transaction: Any) -> None:
            nonlocal tries
            tries += 1
            kept = transaction.collection(step["in"]).doc(step["id"])
            found = kept.get().data
            if tries == 1:
                document.update({"title": "between"})
            kept.update({step["member"]: found[step["member"]] + step["suffix"]})

        database = self.cloud.database()
        is_async = inspect.iscoroutinefunction(database.run_transaction)
        await _later(database.run_transaction(later if is_async else now))
        assert tries == 2, tries

    # -- functions and files

    async def do_call_function(self, step: Any) -> Any:
        return (await _later(self.cloud.call_function(step["name"], step.get("data")))).result

    def do_upload(self, step: Any) -> Any:
        path, text = step["cloudPath"], step["text"].encode()
        return self.cloud.upload_file(path, text, content_type=step["contentType"])

    async def do_download(self, step: Any) -> Any:
        return (await _later(self.cloud.download_file(step["fileID"]))).data.decode()

    def do_get_temp_file_url(self, step: Any) -> Any:
        return self.cloud.get_temp_file_url(step["fileList"])

    def do_delete_file(self, step: Any) -> Any:
        return self.cloud.delete_file(step["fileList"])

    # -- live queries

    async def do_watch(self, step: Any) -> None:
        live = self.live[step["save"]] = Live()
        live.watch = self._query(step).watch(live.follow, live.errors.append)
        await eventually(lambda: live.first is not None or live.errors)
        if live.errors:
            raise live.errors[0]
        check(live.first, step["expect"], "result")

    async def do_watched(self, step: Any) -> None:
        live = self.live[step["of"]]
        await eventually(lambda: _fits(live.docs, step["expect"]))
        check(live.docs, step["expect"], "result")
        assert not live.faults, live.faults

    async def do_unwatch(self, step: Any) -> None:
        await _later(self.live[step["of"]].watch.close())

    # -- channels

    async def do_join(self, step: Any) -> None:
        channel = await _later(self.cloud.channel(step["channel"]))
        room = self.rooms[step.get("save", "")] = Room(channel)
        await _later(
            channel.join(room.heard.append, on_presence=room.present, presence=step.get("presence"))
        )

    def do_publish(self, step: Any) -> Any:
        return self.rooms[step["of"]].channel.publish(step["event"], value(step["data"]))

    async def do_heard(self, step: Any) -> None:
        room = self.rooms[step["of"]]
        await eventually(lambda: _fits(room.said(), step["expect"]))
        check(room.said(), step["expect"], "heard")

    def do_set_presence(self, step: Any) -> Any:
        return self.rooms[step["of"]].channel.set_presence(step["state"])

    async def do_here(self, step: Any) -> None:
        room = self.rooms[step["of"]]
        await eventually(lambda: _fits(wire(room.here), step["expect"]))
        check(wire(room.here), step["expect"], "here")
        assert room.here == room.channel.here

    def do_leave(self, step: Any) -> Any:
        return self.rooms[step["of"]].channel.leave()

    def do_cut(self, step: Any) -> None:
        self.cut()

    # -- words of the scenario

    def _collection(self, step: Any) -> Any:
        return self.cloud.database().collection(step["in"])

    def _query(self, step: Any) -> Any:
        found = self._collection(step)
        if step.get("where"):
            found = found.where(value(step["where"]))
        for field, direction in step.get("orderBy", ()):
            found = found.order_by(field, direction)
        for name in ("skip", "limit", "field"):
            if name in step:
                found = getattr(found, name)(step[name])
        return found

    def _filled(self, raw: Any) -> Any:
        """With the names of answers replaced by what they stand for."""
        if isinstance(raw, str):
            return _NAME.sub(self._named, raw)
        if isinstance(raw, list):
            return [self._filled(one) for one in raw]
        if isinstance(raw, dict):
            return {name: self._filled(one) for name, one in raw.items()}
        return raw

    def _named(self, match: re.Match[str]) -> str:
        name, member = match.groups()
        if name not in self.saved:
            return match[0]
        found = self.saved[name]
        return str(found if member is None else found[member])


class Live:
    """What a watcher was told, applied change by change: it must come to what it was told whole."""

    def __init__(self) -> None:
        self.first: list[Any] | None = None
        self.docs: list[Any] | None = None
        self.errors: list[BaasError] = []
        self.faults: list[str] = []
        self.watch: Any = None
        self._known: set[str] = set()

    def follow(self, snapshot: Any) -> None:
        for change in snapshot.doc_changes:
            if change.queue_type == "dequeue":
                self._known.remove(change.doc_id)
            elif change.queue_type == "enqueue" and change.doc_id in self._known:
                self.faults.append(f"{change.doc_id} came twice")
            else:
                self._known.add(change.doc_id)
        if self._known != {doc["_id"] for doc in snapshot.docs}:
            self.faults.append(f"{self._known} is not {snapshot.docs}")
        self.docs = [wire(doc) for doc in snapshot.docs]
        self.first = self.docs if self.first is None else self.first


class Room:
    """A channel, what was heard in it and who is there."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        self.heard: list[Any] = []
        self.here: Any = ()

    def present(self, entries: Any) -> None:
        self.here = entries

    def said(self) -> Any:
        return [{"from": one.sender, **wire(one)} for one in list(self.heard)]


async def _later(found: Any) -> Any:
    return await found if inspect.isawaitable(found) else found


async def eventually(test: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE
    while not test() and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def value(raw: Any) -> Any:
    """`{"_": "gt", "value": 1}` is `_.gt(1)`; `{"date": "..."}` a datetime."""
    if isinstance(raw, list):
        return [value(one) for one in raw]
    if not isinstance(raw, dict):
        return raw
    if isinstance(raw.get("date"), str):
        return datetime.fromisoformat(raw["date"])
    made = {name: value(one) for name, one in raw.items()}
    if not isinstance(raw.get("_"), str):
        return made
    call = getattr(command, {**_NAMES, "in": "in_"}.get(raw["_"], raw["_"]))
    given = [made[name] for name in ("of", "value", "options") if name in made]
    return call(*given)


def wire(found: Any) -> Any:
    """As the scenario writes it: names in camel case, dates as `{"date": ...}`."""
    if isinstance(found, datetime):
        return {"date": found.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    if is_dataclass(found) and not isinstance(found, type):
        return {_camel(name): wire(one) for name, one in asdict(found).items()}
    if isinstance(found, dict):
        return {name: wire(one) for name, one in found.items()}
    if isinstance(found, (list, tuple)):
        return [wire(one) for one in found]
    return found


def check(found: Any, wanted: Any, path: str) -> None:
    """Whether `found` has all that `wanted` says; lists must be as long."""
    if isinstance(wanted, dict):
        for name, one in wanted.items():
            check(found[name], one, f"{path}.{name}")
    elif isinstance(wanted, list):
        assert len(found) == len(wanted), f"{path} is {found}"
        for place, one in enumerate(wanted):
            check(found[place], one, f"{path}.{place}")
    else:
        assert found == wanted, f"{path} is {found!r}, not {wanted!r}"


def _fits(found: Any, wanted: Any) -> bool:
    try:
        check(found, wanted, "")
    except (AssertionError, KeyError, TypeError):
        return False
    return True


def _snake(name: str) -> str:
    name = name.replace("URL", "Url")
    return re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    joined = first + "".join(part.title() for part in rest)
    return {"fileId": "fileID"}.get(joined, joined)
