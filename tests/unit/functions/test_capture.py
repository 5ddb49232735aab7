"""What is kept of a failure, and that no secret is in it."""

from __future__ import annotations

import json
from base64 import b64encode

from baas.functions.capture import MAX_EVENT_BYTES, MAX_FRAMES, MAX_LOCAL_TEXT
from baas.functions.redact import REDACTED, Redactor, is_telling
from baas.ports.documents import resolve
from tests.support.database import ANN
from tests.support.invoking import Shop, shop

PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoI\n-----END KEY-----"
KEY = 'sk_live "quoted" é/+='

SOURCE = """
import msgspec

class Login(msgspec.Struct):
    name: str
    password: str

class Rude:
    def __repr__(self):
        raise RuntimeError("no")

def inner(number, big, rude):
    raise ValueError(f"cannot do {number}")

@fn.event()
async def login(ctx, login: Login):
    token = "abc"
    key = ctx.secrets["KEY"]
    pem = ctx.secrets["PEM"]
    shown = repr({"key": key, "pem": pem})
    cut = "-" * 290 + key
    ctx.log.info(f"using {key}", pem=pem)
    try:
        raise KeyError(key)
    except KeyError:
        inner(42, "x" * 10_000, Rude())

@fn.event()
async def deep(ctx, event):
    def down(n):
        if n == 0:
            raise ValueError("bottom")
        down(n - 1)
    down(100)
"""


@shop(SOURCE)
async def test_a_capture_shows_where_and_with_what(shop: Shop) -> None:
    shop.secrets.set(KEY=KEY, PEM=PEM)
    await shop.problem("login", {"name": "ann", "password": "hunter2"}, actor=ANN, request_id="r-1")
    (failure,) = await shop.failures()
    assert failure["error"] == {
        "type": "ValueError",
        "message": "cannot do 42",
        "cause": f"KeyError: '{REDACTED}'",
    }
    assert failure["event"] == {"name": "ann", "password": REDACTED}
    assert (failure["requestId"], failure["uid"]) == ("r-1", "ann")
    outer, inner = failure["traceback"]
    assert (outer["function"], inner["function"]) == ("login", "inner")
    assert inner["code"].startswith("raise ValueError")
    assert inner["locals"]["number"] == "42"
    assert len(inner["locals"]["big"]) <= MAX_LOCAL_TEXT
    assert "Rude" in inner["locals"]["rude"]
    assert outer["locals"]["token"] == REDACTED
    assert "hunter2" not in outer["locals"]["login"]


@shop(SOURCE)
async def test_no_form_of_a_secret_is_anywhere_in_the_store(shop: Shop) -> None:
    shop.secrets.set(KEY=KEY, PEM=PEM)
    await shop.problem("login", {"name": KEY, "password": "x"})
    await shop.functions.records.flush()
    written = []
    for name in await resolve(shop.store.names()):
        written += [body async for body in shop.store.scan(name)]
    text = b"\n".join(written).decode()
    assert "login" in text
    for secret in (KEY, json.dumps(KEY)[1:-1], b64encode(KEY.encode()).decode().rstrip("=")):
        assert secret not in text
    for line in PEM.splitlines()[1:3]:
        assert line not in text
    # Nor the beginning of one, where a text was cut.
    assert "sk_live" not in text


@shop(SOURCE)
async def test_captures_are_capped(shop: Shop) -> None:
    await shop.problem("deep", {"big": "x" * (MAX_EVENT_BYTES + 1)})
    (failure,) = await shop.failures()
    assert len(failure["traceback"]) == MAX_FRAMES
    assert failure["traceback"][-1]["code"] == 'raise ValueError("bottom")'
    assert set(failure["event"]) == {"omitted"}


def test_redaction_by_value_form_and_name() -> None:
    redactor = Redactor(["s3cret-value", "abc"])
    assert redactor.text("a s3cret-value b") == f"a {REDACTED} b"
    # Too short to tell from a word.
    assert redactor.text("abc") == "abc"
    assert redactor.text("Authorization: Bearer xyz.abc") == f"Authorization: Bearer {REDACTED}"
    assert redactor.value({"a": {"api_key": 1, "note": "s3cret-value"}, "password": None}) == {
        "a": {"api_key": REDACTED, "note": REDACTED},
        "password": None,
    }
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    assert "..." in json.dumps(redactor.value(deep))
    assert is_telling("refreshToken")
    assert not is_telling("title")


def test_the_longer_of_two_secrets_goes_whole() -> None:
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh") == REDACTED
