"""What a request asks of a picture: `?w=&h=&fit=&format=&q=`, checked."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

import msgspec

from baas.errors import Code, Problem, invalid

if TYPE_CHECKING:  # a third of a worker's start
    from baas.settings import StorageSettings

Fit = Literal["inside", "contain", "cover", "fill"]
Format = Literal["source", "jpeg", "png", "webp", "avif"]

NAMES: Final = ("w", "h", "fit", "format", "q")
FITS: Final = get_args(Fit)
FORMATS: Final = get_args(Format)
DEFAULT_QUALITY: Final = 80
#: Part of every key: raised when the same parameters come to mean other bytes.
_VERSION: Final = 1
_MAX_DIGITS: Final = 6


class Spec(msgspec.Struct, frozen=True):
    """One variant. Sides in pixels, None: follows from the other; `source` keeps the format."""

    width: int | None
    height: int | None
    fit: Fit
    format: Format
    quality: int

    def key(self) -> str:
        """The same for the same variant of one picture; 32 hexadecimal digits."""
        text = msgspec.json.encode([_VERSION, *msgspec.structs.astuple(self)])
        return blake2b(text, digest_size=16).hexdigest()


def spec_of(fields: dict[str, str], accept: str | None, settings: StorageSettings) -> Spec:
    """INVALID_ARGUMENT naming the field; LIMIT_EXCEEDED beyond `storage.image_side`."""
    width, height = (_side(fields, name, settings.image_side) for name in ("w", "h"))
    fit = fields.get("fit", "inside")
    if fit not in FITS:
        raise invalid("fit", f"is one of {', '.join(FITS)}")
    if fit != "inside" and (width is None or height is None):
        raise invalid("fit", f"{fit} needs both w and h")
    quality = _number(fields, "q", DEFAULT_QUALITY)
    if not 1 <= quality <= 100:
        raise invalid("q", "is from 1 to 100")
    return Spec(width, height, cast(Fit, fit), _format(fields, accept), quality)


def is_negotiated(fields: dict[str, str]) -> bool:
    return fields.get("format") == "auto"


def _format(fields: dict[str, str], accept: str | None) -> Format:
    named = fields.get("format", "source")
    if named == "auto":
        return "webp" if _takes_webp(accept) else "source"
    if named not in FORMATS or (named == "source" and "format" in fields):
        raise invalid("format", f"is one of auto, {', '.join(FORMATS[1:])}")
    return cast(Format, named)


def _takes_webp(accept: str | None) -> bool:
    """Only where it is named: every browser's `*/*` also comes from those that show none."""
    for entry in (accept or "").lower().split(","):
        kind, *options = (part.strip() for part in entry.split(";"))
        if kind == "image/webp":
            return not any(option in ("q=0", "q=0.0", "q=0.00", "q=0.000") for option in options)
    return False


def _side(fields: dict[str, str], name: str, most: int) -> int | None:
    if name not in fields:
        return None
    side = _number(fields, name, 0)
    if side < 1:
        raise invalid(name, "is a number of pixels, from 1")
    if side > most:
        raise Problem(Code.LIMIT_EXCEEDED, f"{name}: at most {most}.")
    return side


def _number(fields: dict[str, str], name: str, default: int) -> int:
    text = fields.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise invalid(name, "is a whole number")
    return int(text)
