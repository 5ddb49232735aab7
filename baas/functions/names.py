"""Names that functions are declared with: their own, event types, destinations, sizes."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any, Final
from urllib.parse import urlsplit

from baas.functions.model import (
    AUTH_EVENTS,
    BEFORE_OPERATIONS,
    DOCUMENT_OPERATIONS,
    STORAGE_OPERATIONS,
    Destination,
    FunctionDestination,
    QueueDestination,
    WebhookDestination,
)
from baas.ids import is_collection_name

_FUNCTION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)+", re.ASCII)
_MAX_TYPE: Final = 200
#: First words of event types that are the kit's own.
_SOURCES: Final = ("database", "storage", "auth", "queue")
_NEAR: Final = 0.75


def is_function_name(text: object) -> bool:
    """Functions, queues, groups: letters, digits, '_' and '-', at most 64, a letter first."""
    return isinstance(text, str) and _FUNCTION.fullmatch(text) is not None


def check_name(text: object, what: str) -> str:
    if not is_function_name(text):
        raise ValueError(
            f"{text!r} cannot be {what}'s name: letters, digits, '_' and '-', at most 64,"
            " beginning with a letter"
        )
    return str(text)


def suggestion(name: str, known: Any) -> str:
    """`; did you mean 'x'?`, or nothing."""
    lowered = {str(item).lower(): item for item in known}
    found = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[found[0]]}'?" if found else ""


def parse_event_type(text: object) -> tuple[str, tuple[str, ...]]:
    """The source of an event type and the rest of it: `("database", ("posts", "insert"))`,
    `("queue", ("mails",))`, `("custom", ("app.order.paid",))`. ValueError for any other."""
    if not isinstance(text, str):
        raise ValueError(f"an event type is a text, not {text!r}")
    source, *rest = text.split(".")
    if source == "database":
        return source, _document_change(text, rest, DOCUMENT_OPERATIONS)
    if source == "storage":
        return source, (_one_of(text, rest, STORAGE_OPERATIONS, source),)
    if source == "auth":
        return source, (_one_of(text, rest, AUTH_EVENTS, source),)
    if source == "queue":
        if len(rest) != 1:
            raise ValueError(f"{text!r}: a queue is written queue.<name>")
        return source, (check_name(rest[0], "a queue"),)
    return "custom", (check_custom_type(text),)


def parse_before(text: object) -> tuple[str, str]:
    """Collection and operation of `database.<collection>.<operation>`."""
    source, *rest = text.split(".") if isinstance(text, str) else [""]
    if source != "database":
        raise ValueError(f"{text!r}: there are hooks before database.<collection>.<operation> only")
    collection, operation = _document_change(str(text), rest, BEFORE_OPERATIONS)
    return collection, operation


def check_custom_type(text: str) -> str:
    """A type of the app's own: words with dots between. One that looks like a mistyped type of
    the kit's is refused."""
    source = text.partition(".")[0]
    near = get_close_matches(source.lower(), _SOURCES, n=1, cutoff=_NEAR)
    if near:
        raise ValueError(f"unknown event type {text!r}; did you mean '{near[0]}.…'?")
    if not _TYPE.fullmatch(text) or len(text) > _MAX_TYPE:
        raise ValueError(
            f"unknown event type {text!r}: database.<collection>.<operation>, storage.<operation>,"
            " auth.<event>, queue.<name>, or one of the app's own with a dot, as app.order.paid"
        )
    return text


def _document_change(text: str, rest: list[str], operations: tuple[str, ...]) -> tuple[str, str]:
    if len(rest) != 2:
        raise ValueError(f"{text!r}: a change is written database.<collection>.<operation>")
    collection, operation = rest
    if not is_collection_name(collection):
        raise ValueError(f"{collection!r} cannot be a collection's name")
    if operation not in operations:
        raise ValueError(_unknown(operation, operations, "operation"))
    return collection, operation


def _one_of(text: str, rest: list[str], known: tuple[str, ...], source: str) -> str:
    name = ".".join(rest)
    if name not in known:
        raise ValueError(f"unknown event type {text!r}: {_unknown(name, known, source + ' event')}")
    return name


def _unknown(name: str, known: tuple[str, ...], what: str) -> str:
    hint = suggestion(name, known) or f"; there are {', '.join(known)}"
    return f"unknown {what} {name!r}{hint}"


# -- destinations ---------------------------------------------------------------------------------


def parse_destinations(value: Any) -> tuple[Destination, ...]:
    """`NAME`, `function:NAME`, `queue:NAME`, an http(s) URL or `{webhook: URL, secret: NAME}`, or
    a list of them."""
    if value is None:
        return ()
    items = list(value) if isinstance(value, (list, tuple)) else [value]
    return tuple(_destination(item) for item in items)


#: No blanks, no control characters, nothing but ASCII: others are sent encoded.
_URL = re.compile(r"[!-~]+")


def _destination(item: Any) -> Destination:
    if isinstance(item, (FunctionDestination, QueueDestination, WebhookDestination)):
        return item
    if isinstance(item, dict):
        return _signed(item)
    if not isinstance(item, str):
        raise ValueError(f"a destination is a function, queue:NAME or a URL, not {item!r}")
    if item.startswith(("https://", "http://")):
        return WebhookDestination(url=_url(item))
    kind, separator, name = item.partition(":")
    if not separator:
        return FunctionDestination(function=check_name(item, "a function"))
    if kind == "queue":
        return QueueDestination(queue=check_name(name, "a queue"))
    if kind == "function":
        return FunctionDestination(function=check_name(name, "a function"))
    raise ValueError(f"unknown kind of destination {kind!r}; there are function: and queue:")


def _signed(item: dict[str, Any]) -> WebhookDestination:
    url, secret = item.get("webhook"), item.get("secret", "")
    if set(item) - {"webhook", "secret"} or not isinstance(secret, str):
        raise ValueError("a signed destination is {webhook: URL, secret: NAME}")
    return WebhookDestination(url=_url(url), secret=secret)


def _url(value: Any) -> str:
    """As a request could be sent to it: what is wrong with it is told at load, not in a dead
    letter."""
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except (ValueError, TypeError, AttributeError):
        is_good = False
    if not is_good or not isinstance(value, str) or not _URL.fullmatch(value):
        raise ValueError(f"a webhook is an http(s) URL, not {value!r}")
    return value


# -- quantities -----------------------------------------------------------------------------------

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMG]?)(i?B)?", re.ASCII | re.IGNORECASE)
_SIZES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_SPAN = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d)", re.ASCII)
_SPANS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def parse_size(value: Any) -> int:
    """Bytes of `268435456`, `256MB`, `256MiB`, `1G`; K, M and G are powers of 1024."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a size is a number of bytes or a text like 256MB, not {value!r}")
    return int(match[1]) * _SIZES[match[2].lower()]


def parse_seconds(value: Any) -> float:
    """Seconds of `30`, `2.5`, `90s`, `5m`, `1h`."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"a time is a number of seconds or a text like 90s or 5m, not {value!r}")
    return float(match[1]) * _SPANS[match[2]]
