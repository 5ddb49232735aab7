"""A route as data.

Every route states who may call it. A route that is not in the table does not exist, and one without
a statement cannot be written.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from baas.errors import Code, Problem
from baas.gateway.exchange import Answer, Exchange, Receive
from baas.gateway.services import Services

#: `open`: no caller is needed or looked at. `anyone`: a token may be sent and must then be good;
#: rules or the service decide. `user`: a signed-in user. `admin`: an admin key, told from anything
#: else before the body is read.
Access: TypeAlias = Literal["open", "anyone", "user", "admin"]


class Call(msgspec.Struct, frozen=True, eq=False):
    """What an endpoint is given."""

    services: Services
    exchange: Exchange
    receive: Receive
    params: Mapping[str, str]
    query: bytes = b""


Endpoint: TypeAlias = Callable[[Call], Awaitable[Answer]]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the operation's id, in logs and metrics too. `body` and `answer` are the Structs
    that describe them; `media` the answer's type. `codes` are the problems that a caller should
    expect besides those that any route can meet."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    endpoint: Endpoint
    access: Access
    summary: str
    tag: str
    description: str = ""
    body: Any = None
    answer: Any = None
    media: str = "application/json"
    body_media: str = "application/json"
    codes: tuple[Code, ...] = ()
    #: Whether Idempotency-Key counts here.
    idempotent: bool = False
    #: Parameters of the query string, as OpenAPI describes them.
    query: tuple[dict[str, Any], ...] = ()
    #: A second good answer: 202 and what it holds.
    accepted: Any = None
    documented: bool = True
    #: What an admin key needs; one that ends in `:read` changes nothing.
    scope: str | None = None
    #: Members of the body that the audit log keeps.
    recorded: tuple[str, ...] = ()


def not_yet(what: str) -> Endpoint:
    """An endpoint of the protocol that this version does not serve."""

    async def endpoint(call: Call) -> Answer:
        raise Problem(Code.NOT_SUPPORTED, f"{what} is not supported yet.")

    return endpoint
