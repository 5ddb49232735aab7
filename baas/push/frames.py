"""The frames that clients send, decoded and checked; `encode_frame` for those they get.

The same frames travel over the WebSocket and by long-poll. `id` is the client's: it names the
watch or the channel from then on.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from baas.errors import Problem

MAX_NAME: Final = 64
#: Names that clients give: watches, channels they joined, references of what they publish.
Name: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
Cursor: TypeAlias = Annotated[str, msgspec.Meta(max_length=2048)]


class _Frame(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="type",
    tag=str.lower,
    forbid_unknown_fields=True,
    rename="camel",
):
    pass


class Auth(_Frame, frozen=True):
    """The first frame, and later ones that renew. `token` None: nobody."""

    token: str | None


class Watch(_Frame, frozen=True):
    """Follow a query. `filter`, `sort`, `limit`, `fields` as in `find`; `cursor` to go on."""

    id: Name
    collection: str
    filter: Any = None
    sort: Any = None
    limit: int | None = None
    fields: Any = None
    cursor: Cursor | None = None


class Unwatch(_Frame, frozen=True):
    id: Name


class Join(_Frame, frozen=True):
    """Follow a channel; with `presence` (a state of its own choosing, up to 1 KiB) be seen there.
    Sent again for a channel that is joined: a new state."""

    id: Name
    channel: str
    presence: Any = msgspec.UNSET
    cursor: Cursor | None = None


class Leave(_Frame, frozen=True):
    id: Name


class Publish(_Frame, frozen=True):
    """A message to the channel joined as `id`. With `ack`, the answer `ack {id, ref}` says that it
    is durable."""

    id: Name
    event: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    data: Any = None
    ack: Name | None = None


class Ack(_Frame, frozen=True):
    """Messages of an inbox up to `cursor` have arrived and need not be kept."""

    id: Name
    cursor: Cursor


class Ping(_Frame, frozen=True):
    pass


ClientFrame: TypeAlias = Auth | Watch | Unwatch | Join | Leave | Publish | Ack | Ping

_decoder: Final[msgspec.json.Decoder[ClientFrame]] = msgspec.json.Decoder(ClientFrame)
_encode: Final = msgspec.json.Encoder().encode


def decode_frame(text: bytes | str) -> ClientFrame:
    """msgspec.DecodeError or ValidationError for what is no frame."""
    return _decoder.decode(text)


def encode_frame(type: str, **members: Any) -> bytes:
    """A frame for a client, members in the order given; UNSET ones are left out."""
    return _encode({"type": type, **{k: v for k, v in members.items() if v is not msgspec.UNSET}})


#: What an error about one id says of it. UNSET: it does not exist (any more). Else it is as it was,
#: and a message was refused that had this `ack`, or something without one.
Ref: TypeAlias = str | msgspec.UnsetType | None


def error_frame(problem: Problem, id: str | None = None, ref: Ref = msgspec.UNSET) -> bytes:
    """`error {id?, ref?, code, detail}`."""
    return encode_frame(
        "error",
        id=msgspec.UNSET if id is None else id,
        ref=ref,
        code=problem.public.name,
        detail=problem.detail,
    )


class Named(msgspec.Struct, frozen=True):
    """What can be read of a frame that has some other fault."""

    id: Name
    type: Any = None
    ack: Any = None

    @property
    def ref(self) -> Ref:
        """As in `error`: a message that is none ends no channel."""
        if self.type not in ("publish", "ack"):
            return msgspec.UNSET
        known = isinstance(self.ack, str) and len(self.ack) <= MAX_NAME and self.type == "publish"
        return self.ack if known else None


_named: Final = msgspec.json.Decoder(Named)


def named_in(text: bytes | str) -> Named | None:
    """None where a frame has no id that could be used."""
    try:
        return _named.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
