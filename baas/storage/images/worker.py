"""The process that decodes one picture of a stranger: `python -m baas.storage.images.worker`.

The picture comes as stdin, the variant goes to stdout, both plain files; the order is its argument,
and how it ended its exit status. It binds itself to its limits before it looks at a byte: what goes
wrong in a decoder ends this process alone. It knows no secret and opens no file of the app.
"""

from __future__ import annotations

import io
import resource
import sys
from math import ceil
from typing import TYPE_CHECKING, Final

import msgspec

from baas.storage.images.spec import Spec

if TYPE_CHECKING:
    from PIL import Image

#: Exit statuses. Any other end, by a signal too, is one that the limits brought about.
UNREADABLE: Final = 10
TOO_LARGE: Final = 11
OUT_OF_MEMORY: Final = 12
#: What may be decoded: formats with pixels alone, none that refers to other files or runs.
DECODED: Final = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF")
#: A JPEG with further pictures behind the first, as some cameras make.
_SAME: Final = {"MPO": "jpeg"}
#: EXIF's orientations from here on swap width and height.
_LYING: Final = 5
_WITHIN: Final = ("inside", "contain")
_ENCODED: Final = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF"}


class Order(msgspec.Struct, frozen=True):
    """`memory` in bytes of address space, `seconds` of CPU, `pixels` of the picture as stored."""

    spec: Spec
    pixels: int
    memory: int
    seconds: int
    output: int


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


def main() -> int:
    order = msgspec.json.decode(sys.argv[1], type=Order)
    _bind(order)
    try:
        sys.stdout.buffer.write(_variant(order))
        sys.stdout.buffer.flush()
    except _Refused as refused:
        return refused.status
    except MemoryError:  # of this variant: another may fit
        return OUT_OF_MEMORY
    return 0


def _bind(order: Order) -> None:
    for limit, value in (
        (resource.RLIMIT_AS, order.memory),
        (resource.RLIMIT_CPU, order.seconds),
        (resource.RLIMIT_FSIZE, order.output),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _variant(order: Order) -> bytes:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # Asked below, with a status of its own.
    try:
        # The first picture of an animated one; no other is decoded.
        image: Image.Image = Image.open(sys.stdin.buffer, formats=DECODED)
        source = _SAME.get(image.format or "", (image.format or "PNG").lower())
        if image.width * image.height > order.pixels:
            raise _Refused(TOO_LARGE)
        spec = order.spec
        if source == "jpeg":
            _draft(image, spec)
        image.load()
        image = _plain(_turned(image))
    except _Refused:
        raise
    except MemoryError as fault:
        raise _Refused(TOO_LARGE) from fault
    except Exception as fault:  # decoders raise whatever comes to them of a broken file
        raise _Refused(UNREADABLE) from fault
    return _encoded(_sized(image, spec), spec, source)


def _turned(image: Image.Image) -> Image.Image:
    """As EXIF says. Pillow's own `exif_transpose` also writes the rest of EXIF anew, and fails
    with a picture where that is broken."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: Image.Image) -> int:
    """From 1 to 8; 1 where EXIF says nothing that can be read."""
    from PIL import ExifTags

    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # whatever comes to its reader of broken bytes
        return 1
    return found if isinstance(found, int) and 1 <= found <= 8 else 1


def _draft(image: Image.Image, spec: Spec) -> None:
    """Of a JPEG a decoder can make a half, a quarter or an eighth at once."""
    width, height = image.size
    if _orientation(image) >= _LYING:
        width, height = height, width
    ratios = [
        wanted / there for wanted, there in ((spec.width, width), (spec.height, height)) if wanted
    ]
    scale = 1.0 if not ratios else (min if spec.fit in _WITHIN else max)(ratios)
    if scale < 1:
        image.draft(None, (ceil(image.width * scale), ceil(image.height * scale)))


def _plain(image: Image.Image) -> Image.Image:
    """In RGB or RGBA of sRGB: palettes, CMYK, 16 bits and profiles are worked in."""
    if image.mode.startswith("I;16"):  # which would be cut off at 255, not brought down to it
        image = image.point(lambda value: value / 256, "L")
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        image = _in_srgb(image, profile)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        target = ImageCms.createProfile("sRGB")
        made = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    except (ImageCms.PyCMSError, OSError):
        return image  # A profile that is none: the colours are taken as they stand.
    return image if made is None else made


def _sized(image: Image.Image, spec: Spec) -> Image.Image:
    """Never enlarged, but where `fill` asks for sides of its own."""
    from PIL import Image, ImageOps

    if spec.width is None and spec.height is None:
        return image
    wanted = (spec.width or spec.height or 0, spec.height or spec.width or 0)
    if spec.fit == "fill":
        return image.resize(wanted, Image.Resampling.LANCZOS)
    if spec.fit == "cover":
        scale = min(1.0, image.width / wanted[0], image.height / wanted[1])
        target = (max(1, round(wanted[0] * scale)), max(1, round(wanted[1] * scale)))
        return ImageOps.fit(image, target, Image.Resampling.LANCZOS)
    inside = _inside(image, spec.width, spec.height)
    if spec.fit == "inside":
        return inside
    canvas = Image.new("RGBA", wanted, (255, 255, 255, 0))
    canvas.paste(inside, ((wanted[0] - inside.width) // 2, (wanted[1] - inside.height) // 2))
    return canvas


def _inside(image: Image.Image, width: int | None, height: int | None) -> Image.Image:
    from PIL import Image

    scales = [1.0]
    if width is not None:
        scales.append(width / image.width)
    if height is not None:
        scales.append(height / image.height)
    scale = min(scales)
    target = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image if target == image.size else image.resize(target, Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, spec: Spec, source: str) -> bytes:
    """From a new picture without any metadata: nothing of the source's but its pixels."""
    from PIL import Image

    name = _ENCODED.get(source if spec.format == "source" else spec.format, "PNG")
    if name == "JPEG" and image.mode == "RGBA":
        ground = Image.new("RGB", image.size, (255, 255, 255))
        ground.paste(image, mask=image.getchannel("A"))
        image = ground
    image.info = {}
    made = io.BytesIO()
    if name == "PNG":
        image.save(made, name)
    elif name == "AVIF":
        image.save(made, name, quality=spec.quality, max_threads=1)
    else:
        image.save(made, name, quality=spec.quality)
    return made.getvalue()


if __name__ == "__main__":
    sys.exit(main())
