"""What the parts of push count on from each other.

A *session* is one client's connection, or one long-poll. It owns an `Outbox`; watches and joined
channels write whole frames into it. `LiveQueries` and `Channels` are one each per process, both
fed by the process's one `Follower` of the change feed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from baas.errors import Problem
from baas.ports.changes import ChangeEvent
from baas.push.frames import Join, Publish, Watch
from baas.schema.actor import Actor


class Caller(msgspec.Struct, frozen=True):
    """Who asks, for rules: `ip` is `request.ip`."""

    actor: Actor
    ip: str = ""


class Outbox(Protocol):
    """One client's way out. Everything runs in the loop and nothing waits.

    Backpressure: while `has_room` is false, data frames (snapshots, changes, messages, presence)
    are not sent; whoever holds one back asks `on_room` to be called once when the client has
    caught up, and then makes up for the gap (`resync` and a snapshot; messages from the history).
    Small frames of control (`ack`, `error`, `resync`, `pong`, `bye`) are sent at any time.
    """

    @property
    def has_room(self) -> bool: ...

    @property
    def lasting(self) -> bool:
        """Whether the client comes again soon after it has gone, as a long-poll does: then its
        presence lasts for a while."""
        ...

    def send(self, frame: bytes) -> None:
        """One whole frame, UTF-8 JSON."""
        ...

    def send_shared(self, shared: bytes, own: bytes) -> None:
        """One frame, `shared + own`. `shared` is the same object for every subscriber it goes to,
        so an outbox may keep what it made of it (length, header) between calls."""
        ...

    def on_room(self, call: Callable[[], None]) -> None: ...


class Subscription(Protocol):
    """An open watch or joined channel."""

    async def renew(self, caller: Caller) -> None:
        """The caller's token, roles or session changed (or may have): the rules are asked again.
        A refusal calls `ended` (below) and the subscription is closed."""
        ...

    def close(self) -> None:
        """No frame is sent for it any more. Safe twice."""
        ...


#: Told once when a subscription ends by itself: the session sends `error` and forgets its id.
Ended = Callable[[Problem], None]


class LiveQueries(Protocol):
    async def watch(
        self, frame: Watch, caller: Caller, outbox: Outbox, ended: Ended
    ) -> Subscription:
        """Sends `snapshot`; or `resumed` and what was missed; or `resync` and `snapshot`; then
        `change` frames until closed. A refusal (PERMISSION_DENIED, INVALID_ARGUMENT,
        LIMIT_EXCEEDED, ...) is raised, and nothing was sent or is left. Cancelled (the client has
        gone, or sent `unwatch`), it leaves nothing either, and sends nothing more."""
        ...


#: What the names of sessions begin with that live for one long-poll.
POLL: Final = "poll-"


class Joined(Subscription, Protocol):
    """A joined channel."""

    def publish(self, frame: Publish, caller: Caller) -> Awaitable[None]:
        """Done once durable; then `ack` was sent where asked for. Raises the refusal."""
        ...

    def acknowledge(self, cursor: str) -> Awaitable[None]:
        """Of an inbox: messages up to `cursor` have arrived. Fine on other channels."""
        ...

    def change_presence(self, frame: Join, caller: Caller) -> Awaitable[None]:
        """`join` again for a joined id: a new state (or none)."""
        ...

    def alive(self) -> None:
        """The session has shown a sign of life."""
        ...


class Channels(Protocol):
    async def join(
        self, frame: Join, caller: Caller, session: str, outbox: Outbox, ended: Ended
    ) -> Joined:
        """Sends `joined`, then what was missed since `cursor`, then `message` and `presence`
        frames until closed. A refusal is raised, and nothing was sent or is left; the same where
        it is cancelled. A `session` that begins with `POLL` will join again with its next poll:
        its presence outlives `close`, for as long as silence may last."""
        ...


class Commit(msgspec.Struct, frozen=True):
    """What was written together. `position` is the feed's cursor behind it."""

    position: str
    time: int
    events: tuple[ChangeEvent, ...]


class FeedListener(Protocol):
    """One who follows some collections. Both calls are synchronous, and may not raise."""

    def take(self, commit: Commit) -> None:
        """In the order of the feed. Holds all events of the commit, of other collections too."""
        ...

    def lost(self) -> None:
        """The feed no longer reaches back to where the follower was: start from snapshots."""
        ...


class Follower(Protocol):
    """The process's one reader of the change feed. Reads only while somebody listens, and begins
    at the feed's end."""

    @property
    def position(self) -> str:
        """The feed's cursor behind what every listener has been given."""
        ...

    def listen(self, collection: str, listener: FeedListener) -> None:
        """Commits that touch `collection`, soon (see `ready`). A listener of several collections
        gets a commit once."""
        ...

    async def ready(self) -> None:
        """Until those who listen are given all that is written from now on. What they read after
        this and what they are told then leave no gap. To be asked by one who listens."""
        ...

    def ignore(self, collection: str, listener: FeedListener) -> None: ...
