"""What is kept of channels.

- `_channels`: one per channel that has a history, its `_id` the digest of its name; `seq` is that
  of its last message. The store forgets it a day after its last message.
- `_messages`: one per message, `_id` `<channel's id>-<seq>`, so that a number exists once; `after`
  is the number of the message before it, 0 for the first. The store forgets it once `expires` has
  passed. Of a channel without history both numbers are 0 and the id random.
- `_presence`: one per session seen in a channel; `owner` is the process that holds the connection,
  or none for a long-poll, which counts by `seen`.
- `_presence_owners`: the processes, and when each last said that it is alive.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from baas.schema.model import CollectionSpec, IndexKey, IndexSpec

CHANNELS: Final = "_channels"
MESSAGES: Final = "_messages"
PRESENCE: Final = "_presence"
OWNERS: Final = "_presence_owners"

_ID_BYTES: Final = 15


def _by(*names: str) -> IndexSpec:
    return IndexSpec(name="_".join(names), keys=tuple(IndexKey((name,)) for name in names))


#: What the app declares to the store.
CHANNEL_COLLECTIONS: Final[dict[str, CollectionSpec]] = {
    CHANNELS: CollectionSpec(name=CHANNELS, ttl=("expires",)),
    MESSAGES: CollectionSpec(name=MESSAGES, indexes=(_by("channel", "seq"),), ttl=("expires",)),
    PRESENCE: CollectionSpec(name=PRESENCE, indexes=(_by("channel"), _by("owner"))),
    OWNERS: CollectionSpec(name=OWNERS),
}


def channel_id(name: str) -> str:
    return blake2b(name.encode(), digest_size=_ID_BYTES).hexdigest()


def message_id(channel: str, seq: int) -> str:
    """`channel` is the channel's id."""
    return f"{channel}-{seq}"


def presence_id(name: str, session: str) -> str:
    return blake2b(f"{name}\0{session}".encode(), digest_size=_ID_BYTES).hexdigest()


#: How the names of inboxes begin.
INBOXES: Final = "_inbox:"


def inbox_of(uid: str) -> str:
    """The channel behind a user's inbox; no client can name it."""
    return f"{INBOXES}{uid}"
