"""Avatars: what others see is a small picture that tells neither place nor time nor camera.

A new one is its owner's alone until a clean copy has taken its place and bears the mark `cleaned`.
Only functions can set that mark (rules/_storage.yaml), so it also tells this function what is its
own doing: there the chain ends.
"""

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

from baas import Context, fn
from baas.errors import Code, Problem

if TYPE_CHECKING:
    from PIL import Image

#: Pixels: longest side of the clean copy, sides of the thumbnail, and the most that is decoded.
SIDE = 512
THUMBNAIL = 96
MAX_PIXELS = 30_000_000
#: Bytes of JSON; a file's metadata may have 2 KiB.
MAX_METADATA = 1900
#: What is decoded, and the type of the copy. Of animations the first picture is kept.
TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/png"}

#: What sets a picture upright, by its orientation in EXIF.
TURNS: dict[object, str] = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


@fn.on(
    "storage.put",
    prefix="avatars/",
    ordered=True,
    isolation="process",  # what strangers sent is decoded under bounds, and killed beyond them
    memory="512MB",
    timeout=20,
    max_workers=1,
)
@fn.on("storage.delete", prefix="avatars/", ordered=True)
def clean_avatar(ctx: Context, event: fn.StorageEvent) -> None:
    """Brings thumbnail and copy up to what is there now, whatever the event told of: so it may
    run twice, or late."""
    thumbnail = "thumbs/" + event.path.removeprefix("avatars/")
    avatar, data = read(ctx, event.path)
    if avatar is None:
        return forget(ctx, thumbnail)
    if "cleaned" in avatar["metadata"]:
        return None
    image = decoded(data)
    if image is None:  # no picture: it stays its owner's alone
        return forget(ctx, thumbnail)
    kind = TYPES[image.format or "PNG"]
    clean = upright(image)
    small, owner = cut(clean), avatar["openid"]
    ctx.storage.put(thumbnail, encoded(small, kind), contentType=kind, openid=owner)
    try:
        ctx.storage.put(
            event.path,
            encoded(clean, kind),
            contentType=kind,
            metadata=marked(avatar["metadata"]),
            replaces=avatar["hash"],
        )
    except Problem as fault:
        if fault.code is not Code.TRANSACTION_CONFLICT:  # else a newer one, and its own event
            raise
    return None


def read(ctx: Context, path: str) -> tuple[dict[str, Any] | None, bytes]:
    """The file and its bytes, which belong together; None where there is none."""
    try:
        with ctx.storage.open(path) as file:
            return file.info, b"".join(file)
    except Problem as fault:
        if fault.code is not Code.NOT_FOUND:
            raise
        return None, b""


def marked(metadata: dict[str, Any]) -> dict[str, Any]:
    """With the mark, and what the client said of the file where that leaves room for it."""
    both = {**metadata, "cleaned": True}
    return both if len(json.dumps(both).encode()) <= MAX_METADATA else {"cleaned": True}


def forget(ctx: Context, thumbnail: str) -> None:
    try:
        ctx.storage.delete(thumbnail)
    except Problem as fault:
        if fault.code is not Code.NOT_FOUND:
            raise


def decoded(data: bytes) -> "Image.Image | None":
    """None for what is no picture, broken or too large."""
    from PIL import Image  # here: this module is loaded by the gateway too

    try:
        image = Image.open(BytesIO(data), formats=list(TYPES))
        if image.width * image.height > MAX_PIXELS:
            return None
        image.draft("RGB", (SIDE * 2, SIDE * 2))  # of a large JPEG only what is needed
        image.load()
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return None
    return image


def upright(image: "Image.Image") -> "Image.Image":
    """Small, and turned as its EXIF says, in a new picture that has only pixels."""
    from PIL import Image

    mode = "RGBA" if image.has_transparency_data else "RGB"
    turn = TURNS.get(orientation(image))
    turned = (image if turn is None else image.transpose(Image.Transpose[turn])).convert(mode)
    turned.thumbnail((SIDE, SIDE))
    clean = Image.new(mode, turned.size)
    clean.paste(turned)
    return clean


def orientation(image: "Image.Image") -> object:
    """What EXIF says of how the camera was held; None where it is broken, which many are."""
    from PIL import ExifTags

    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # its reader raises whatever comes to it
        return None


def cut(image: "Image.Image") -> "Image.Image":
    from PIL import ImageOps

    return ImageOps.fit(image, (THUMBNAIL, THUMBNAIL))


def encoded(image: "Image.Image", kind: str) -> bytes:
    made = BytesIO()
    image.save(made, kind.removeprefix("image/"))
    return made.getvalue()
