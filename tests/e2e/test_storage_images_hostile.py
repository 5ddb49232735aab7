"""Pictures that mean harm, or are merely odd: they cost what the limits allow and nobody else."""

from __future__ import annotations

import io
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from baas.errors import Code, Problem
from baas.ports.blobs import BlobReader
from baas.settings import LimitSettings, Settings
from baas.storage.images import variants
from tests.e2e.test_storage_images import RULES, get, opened, picture, send
from tests.support.app import Harness, running_app
from tests.support.gateway import Gateway, children_of, running, wait_until, write_app
from tests.support.storage import download, upload

APP = {"baas.yaml": "app: {name: pictures}\n", "rules/_storage.yaml": RULES}
_OFF = LimitSettings(rate_auth="off", rate_read="off", rate_write="off")
#: 268 million pixels in 34 bytes.
WEBP_BOMB = bytes.fromhex("524946461a000000574542505650384c0e0000002ffebfff0f071011fd0f4444ff03")
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(write_app(tmp_path_factory.mktemp("app"), APP)) as started:
        yield started


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Harness]:
    with running_app(write_app(tmp_path, APP), Settings(limits=_OFF)) as harness:
        yield harness


def saved(image: Image.Image, name: str, **options: Any) -> bytes:
    made = io.BytesIO()
    image.save(made, name, **options)
    return made.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes) -> bytes:
    """A good picture with chunks after its head."""
    plain = picture()
    head = 8 + 25
    return plain[:head] + b"".join(chunks) + plain[head:]


def packed(megabytes: int) -> bytes:
    packer = zlib.compressobj(1)
    zeros = bytes(MIB)
    return b"".join(packer.compress(zeros) for _ in range(megabytes)) + packer.flush()


# -- odd ones --------------------------------------------------------------------------------------


def test_sixteen_bits_become_eight_not_white(gateway: Gateway) -> None:
    deep = Image.new("I;16", (256, 4))
    deep.putdata([value * 256 for _ in range(4) for value in range(256)])
    send(gateway, "open/deep.png", saved(deep, "PNG"))
    shown = opened(get(gateway, "open/deep.png", "format=png")).convert("L")
    assert [shown.getpixel((x, 1)) for x in (0, 64, 128, 255)] == [0, 64, 128, 255]


def test_a_camera_s_file_of_several_pictures_stays_a_jpeg(gateway: Gateway) -> None:
    image = Image.new("RGB", (40, 30), (9, 99, 9))
    data = saved(image, "MPO", save_all=True, append_images=[image])
    send(gateway, "open/mpo.jpg", data)
    assert opened(get(gateway, "open/mpo.jpg", "w=10")).format == "JPEG"


@pytest.mark.parametrize("mode", ["1", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_pixel_comes_out(gateway: Gateway, mode: str) -> None:
    name = "JPEG" if mode == "CMYK" else "PNG"
    send(gateway, f"open/{mode}", saved(Image.new(mode, (30, 20)), name))
    for wanted in ("jpeg", "png", "webp", "avif") if mode == "RGBA" else ("webp",):
        assert opened(get(gateway, f"open/{mode}", f"w=9&format={wanted}")).size == (9, 6)


def test_colours_of_another_profile_are_brought_to_srgb(gateway: Gateway) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    send(gateway, "open/lab.png", saved(Image.new("RGB", (9, 9)), "PNG", icc_profile=lab))
    for bad in (lab, b"not a profile", b"\0" * 100_000):
        send(gateway, "open/icc.jpg", picture("JPEG", icc_profile=bad))
        shown = opened(get(gateway, "open/icc.jpg", "w=9"))
        assert "icc_profile" not in shown.info


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_picture_the_first_is_taken(gateway: Gateway, name: str) -> None:
    some = [Image.new("RGB", (64, 64), (number % 255, 0, 0)) for number in range(300)]
    send(gateway, "open/moving", saved(some[0], name, save_all=True, append_images=some[1:]))
    shown = opened(get(gateway, "open/moving", "w=8&format=png"))
    assert getattr(shown, "n_frames", 1) == 1
    assert shown.convert("RGB").getpixel((4, 4)) == (0, 0, 0)


@pytest.mark.parametrize("turned", range(1, 9))
def test_each_of_the_eight_ways_to_hold_a_camera(gateway: Gateway, turned: int) -> None:
    """The red corner of what the camera saw is at the top left of what is shown."""
    upright = Image.new("RGB", (900, 600))
    upright.paste((255, 0, 0), (0, 0, 300, 300))
    backwards = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    stored = upright.transpose(backwards[turned]) if turned > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = turned
    send(gateway, "open/held.jpg", saved(stored, "JPEG", exif=exif, quality=95))
    for query in ("w=30", "w=30&h=20&fit=cover") if turned > 4 else ("h=20",):
        shown = opened(get(gateway, "open/held.jpg", query)).convert("RGB")
        assert shown.size == (30, 20)
        red, _, blue = shown.getpixel((3, 3))  # type: ignore[misc]
        assert (red > 230, blue < 30) == (True, True)
        assert sum(shown.getpixel((26, 16))) < 30  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x63\0\0\0\0\0\x08",
        b"Exif\0\0" + b"\xff" * 60_000,
        b"Exif\0\0MM\0*\0\0",
    ],
    ids=["empty", "nowhere", "endless", "unheard of", "noise", "cut off"],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_turns_nothing(gateway: Gateway, exif: bytes, kind: str) -> None:
    send(gateway, "open/exif", picture(kind, exif=exif))
    assert opened(get(gateway, "open/exif", "w=30")).size == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_one_is_turned_though_the_rest_of_its_exif_is_broken(gateway: Gateway, kind: str) -> None:
    """The camera's name stands in two rational numbers, of which there is one half."""
    entries = b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + b"\x01\x0f\0\x05\0\0\0\x02\0\0\0\x26"
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + entries + b"\0\0\0\0" + b"\0\0"
    send(gateway, "open/half", picture(kind, exif=exif))
    assert opened(get(gateway, "open/half", "h=30")).size == (20, 30)


# -- bombs -----------------------------------------------------------------------------------------


def test_text_in_a_picture_is_not_unpacked_without_end(gateway: Gateway) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "short", zip=True)
    send(gateway, "open/short.png", saved(Image.new("L", (9, 9)), "PNG", pnginfo=text))
    assert get(gateway, "open/short.png", "w=3").status_code == 200
    zeros = packed(100)
    for bad in (
        chunk(b"zTXt", b"Comment\0\0" + zeros),
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros),
        chunk(b"iCCP", b"profile\0\0" + zeros),
    ):
        send(gateway, "open/text.png", png_with(bad))
        assert get(gateway, "open/text.png", "w=3").status_code in (200, 415)


def test_a_webp_of_the_largest_sides_is_refused(gateway: Gateway) -> None:
    send(gateway, "open/webp", WEBP_BOMB)
    assert get(gateway, "open/webp", "w=9").status_code in (413, 415)


@pytest.mark.parametrize("size", [(100_000, 1), (1, 100_000)])
def test_long_and_thin(gateway: Gateway, size: tuple[int, int]) -> None:
    send(gateway, "open/thin.png", saved(Image.new("L", size), "PNG"))
    for query in ("h=50", "w=50&h=50&fit=cover", "w=50&h=50&fit=contain"):
        answer = get(gateway, "open/thin.png", f"{query}&format=png")
        assert min(opened(answer).size) >= 1
        assert max(opened(answer).size) <= 100_000


@pytest.mark.parametrize("name", ["TIFF", "PPM", "ICO", "EPS", "PDF", "JPEG2000"])
def test_formats_that_are_not_read(gateway: Gateway, name: str) -> None:
    send(gateway, "open/other", saved(Image.new("RGB", (32, 32)), name))
    assert get(gateway, "open/other", "w=9").status_code == 415


def test_a_worker_that_takes_too_long_is_killed_and_nobody_waits_for_it(tmp_path: Path) -> None:
    text = APP["baas.yaml"] + "storage: {image_seconds: 1.5}\n"
    with running(write_app(tmp_path, {**APP, "baas.yaml": text})) as gateway:
        noise = Image.effect_noise((4000, 4000), 90).convert("RGB")
        send(gateway, "open/slow.jpg", saved(noise, "JPEG", quality=50))
        send(gateway, "open/a.png", picture())
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(get, gateway, "open/slow.jpg", "format=avif&q=100")
            wait_until(lambda: children_of(gateway.process.pid))
            waits = []
            while not slow.done():
                begun = time.monotonic()
                assert gateway.client.get("/v1/storage/files/open/a.png").status_code == 200
                waits.append(time.monotonic() - begun)
            assert slow.result().status_code == 413
        assert median(waits) < 0.5
        wait_until(lambda: not children_of(gateway.process.pid))
        assert opened(get(gateway, "open/a.png", "w=10")).size[0] == 10


def test_who_does_not_read_a_large_variant_costs_a_piece_of_it(tmp_path: Path) -> None:
    with running(write_app(tmp_path, APP)) as gateway, ExitStack() as open_ones:
        noise = Image.effect_noise((2000, 2000), 90).convert("RGB")
        send(gateway, "open/large.jpg", saved(noise, "JPEG", quality=60))
        head = gateway.client.head("/v1/storage/files/open/large.jpg?format=png")
        assert int(head.headers["content-length"]) > 6 * MIB
        before = memory(gateway)
        ask = b"GET /v1/storage/files/open/large.jpg?format=png HTTP/1.1\r\nhost: x\r\n\r\n"
        readers = []
        for _ in range(60):
            reader = open_ones.enter_context(socket.create_connection(gateway.host_and_port))
            reader.sendall(ask)
            readers.append(reader)
        for reader in readers:
            assert reader.recv(12) == b"HTTP/1.1 200"
        assert memory(gateway) - before < 120 * MIB


def memory(gateway: Gateway) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


# -- what is kept ----------------------------------------------------------------------------------


def kept(app: Harness) -> list[Path]:
    folder = app.app.data_folder / "cache/images"
    return sorted(path for path in folder.glob("*/*") if path.is_file())


def test_variants_go_with_their_file(app: Harness) -> None:
    token = app.sign_in()
    upload(app, "open/a.png", picture(), token, content_type="image/png")
    upload(app, "open/b.png", picture(size=(9, 9)), token, content_type="image/png")
    app.post("/v1/storage/copy", {"from": "open/a.png", "to": "open/copy.png"}, token)
    for path in ("a", "b", "copy"):
        assert download(app, f"open/{path}.png", query="w=5").status == 200
        assert download(app, f"open/{path}.png", query="w=6").status == 200
    assert len(kept(app)) == 4  # a copy shares the bytes and what was made of them
    app.post("/v1/storage/delete", {"files": [{"path": "open/a.png"}]}, token)
    assert len(kept(app)) == 4
    upload(app, "open/copy.png", picture(size=(7, 7)), token, content_type="image/png")
    assert len(kept(app)) == 2
    assert download(app, "open/a.png", query="w=5").status == 404
    app.post("/v1/storage/delete", {"files": [{"path": "open/b.png"}]}, token)
    assert list((app.app.data_folder / "cache/images").iterdir()) == []


def test_the_sweep_takes_variants_whose_file_another_machine_deleted(app: Harness) -> None:
    token = app.sign_in()
    upload(app, "open/a.png", picture(), token, content_type="image/png")
    download(app, "open/a.png", query="w=5")
    (mine,) = kept(app)
    orphan = mine.parent.parent / ("0" * 40)
    orphan.mkdir()
    (orphan / mine.name).write_bytes(mine.read_bytes())
    assert app.run(app.app.storage.sweeper.run_once(0)) == 1
    assert kept(app) == [mine]


def test_what_could_not_be_decoded_is_not_tried_again_at_once(
    app: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    real = variants.render

    async def counted(*given: Any) -> None:
        tried.append(given)
        await real(*given)

    monkeypatch.setattr(variants, "render", counted)
    token = app.sign_in()
    upload(app, "open/bad", b"no picture", token)
    codes = {download(app, "open/bad", query=f"w={width}").code for width in range(5, 9)}
    assert codes == {"UNSUPPORTED_MEDIA_TYPE"}
    assert len(tried) == 1
    upload(app, "open/bad", picture(), token)
    assert download(app, "open/bad", query="w=5").status == 200


def test_a_store_that_was_away_is_asked_again(
    app: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = app.sign_in()
    upload(app, "open/a.png", picture(), token)

    async def away(reader: BlobReader, path: Path) -> None:
        await reader.close()
        raise Problem(Code.UNAVAILABLE, "away", retry_after=1)

    with monkeypatch.context() as patched:
        patched.setattr(variants, "_saved", away)
        assert download(app, "open/a.png", query="w=5").code == "UNAVAILABLE"
    assert download(app, "open/a.png", query="w=5").status == 200


@pytest.mark.parametrize(
    "bad", ["..%2f..%2fsecret", "open%2f..%2f..%2fx", "open/%2e%2e/x", "open\\a"]
)
def test_paths_of_variants_are_held_like_all_others(gateway: Gateway, bad: str) -> None:
    assert gateway.client.get(f"/v1/storage/files/{bad}?w=5").status_code in (400, 404)
    assert not list(Path(gateway.data).glob("cache/images/*secret*"))
