"""Variants of pictures from outside: sizes, formats, rules, links, bombs, what is kept."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.support.gateway import Gateway, running, write_app

RULES = """
- path: open/{file...}
  read: true
  write: true
- path: own/{file...}
  read: auth != null && auth.uid == resource.openid
  write: auth != null
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    files = {
        "baas.yaml": "app: {name: pictures}\n",
        "rules/_storage.yaml": RULES,
    }
    with running(write_app(tmp_path_factory.mktemp("app"), files)) as started:
        yield started


def picture(name: str = "PNG", size: tuple[int, int] = (60, 40), **options: object) -> bytes:
    made = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(made, name, **options)
    return made.getvalue()


def send(gateway: Gateway, path: str, data: bytes, token: str | None = None) -> None:
    answer = gateway.client.post(
        "/v1/storage/upload",
        data={"path": path},
        files={"file": ("x", data, "image/png")},
        headers={} if token is None else {"authorization": f"Bearer {token}"},
    )
    assert answer.status_code == 200, answer.text


def get(gateway: Gateway, path: str, query: str, **headers: str) -> httpx.Response:
    return gateway.client.get(f"/v1/storage/files/{path}?{query}", headers=headers)


def opened(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, in a thousandth of their bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("w=30", (30, 20)),
        ("h=10", (15, 10)),
        ("w=30&h=30", (30, 20)),
        ("w=600", (60, 40)),
        ("w=20&h=20&fit=cover", (20, 20)),
        ("w=200&h=200&fit=cover", (40, 40)),
        ("w=30&h=30&fit=contain", (30, 30)),
        ("w=10&h=30&fit=fill", (10, 30)),
    ],
)
def test_sizes(gateway: Gateway, query: str, size: tuple[int, int]) -> None:
    send(gateway, "open/a.png", picture())
    assert opened(get(gateway, "open/a.png", query)).size == size


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "avif"])
def test_formats(gateway: Gateway, name: str) -> None:
    send(gateway, "open/a.png", picture())
    answer = get(gateway, "open/a.png", f"w=20&format={name}&q=50")
    assert answer.headers["content-type"] == f"image/{name}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert opened(answer).format == name.upper()


def test_auto_follows_accept(gateway: Gateway) -> None:
    send(gateway, "open/a.png", picture())
    webp = get(gateway, "open/a.png", "format=auto", accept="image/webp,*/*;q=0.8")
    png = get(gateway, "open/a.png", "format=auto", accept="*/*")
    assert (opened(webp).format, opened(png).format) == ("WEBP", "PNG")
    assert "Accept" in webp.headers["vary"]


def test_turned_as_exif_says_and_without_metadata(gateway: Gateway) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "secret place"
    send(gateway, "open/turned.jpg", picture("JPEG", exif=exif, comment=b"secret place"))
    answer = get(gateway, "open/turned.jpg", "q=80")
    assert opened(answer).size == (40, 60)
    assert not opened(answer).getexif()
    assert b"secret place" not in answer.content


@pytest.mark.parametrize(
    "query",
    [
        "w=0",
        "w=-1",
        "w=x",
        "w=99999999",
        "q=0",
        "q=101",
        "fit=cover&w=1",
        "fit=no",
        "format=svg",
        "w=4097",
    ],
)
def test_bad_parameters_are_named(gateway: Gateway, query: str) -> None:
    send(gateway, "open/a.png", picture())
    answer = get(gateway, "open/a.png", query)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    named = [error["path"] for error in problem.get("errors", ())] or [problem["detail"][0]]
    assert named == [query.partition("=")[0]], problem


def test_a_variant_is_as_hidden_as_its_file(gateway: Gateway) -> None:
    owner, other = gateway.sign_in(), gateway.sign_in()
    send(gateway, "own/a.png", picture(), owner)
    mine = get(gateway, "own/a.png", "w=10", authorization=f"Bearer {owner}")
    assert mine.status_code == 200
    for headers in ({}, {"authorization": f"Bearer {other}"}):
        assert get(gateway, "own/a.png", "w=10", **headers).status_code == 404
        known = {**headers, "if-none-match": mine.headers["etag"]}
        assert get(gateway, "own/a.png", "w=10", **known).status_code == 404


def test_a_link_reads_variants_until_the_file_goes(gateway: Gateway) -> None:
    token = {"authorization": f"Bearer {gateway.sign_in()}"}
    send(gateway, "own/b.png", picture(), token["authorization"].split()[1])
    body = {"files": [{"path": "own/b.png"}]}
    signed = gateway.client.post("/v1/storage/sign", json=body, headers=token).json()
    url = signed["files"][0]["url"]
    assert opened(gateway.client.get(f"{url}&w=10")).size[0] == 10
    assert gateway.client.get(f"{url}x&w=10").status_code == 403
    gateway.client.post("/v1/storage/delete", json=body, headers=token)
    assert gateway.client.get(f"{url}&w=10").status_code == 404


def test_conditional_head_and_replaced(gateway: Gateway) -> None:
    send(gateway, "open/c.png", picture())
    first = get(gateway, "open/c.png", "w=10")
    etag = first.headers["etag"]
    assert etag != get(gateway, "open/c.png", "w=11").headers["etag"]
    again = get(gateway, "open/c.png", "w=10", **{"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    head = gateway.client.head("/v1/storage/files/open/c.png?w=10")
    assert int(head.headers["content-length"]) == len(first.content)
    send(gateway, "open/c.png", picture(size=(10, 10)))
    assert opened(get(gateway, "open/c.png", "w=10", **{"if-none-match": etag})).size == (10, 10)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (bomb(30_000, 30_000), 413),
        (picture()[:60], 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", 415),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 415),
        (b"GIF89a" + b"\xff" * 50, 415),
        (b"\x00\x01\x00\x00 a font", 415),
        (b"x", 415),
    ],
    ids=["bomb", "truncated", "svg", "postscript", "gif", "font", "byte"],
)
def test_what_cannot_be_decoded(gateway: Gateway, data: bytes, status: int) -> None:
    send(gateway, "open/bad", data)
    assert get(gateway, "open/bad", "w=10").status_code == status
    send(gateway, "open/a.png", picture())
    assert get(gateway, "open/a.png", "w=12").status_code == 200


def test_many_at_once_ask_one_worker(gateway: Gateway) -> None:
    send(gateway, "open/d.png", picture(size=(900, 900)))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(gateway, "open/d.png", "w=33"), range(16)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1


def test_beyond_the_queue_clients_are_told_when_to_come_back(tmp_path: Path) -> None:
    settings = "storage: {image_workers: 1, image_queue: 0}\n"
    files = {"baas.yaml": "app: {name: p}\n" + settings, "rules/_storage.yaml": RULES}
    with running(write_app(tmp_path, files)) as gateway:
        send(gateway, "open/a.png", picture(size=(1500, 1500)))
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(lambda width: get(gateway, "open/a.png", f"w={width}"), range(10, 26))
            answers = list(asked)
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} == {200, 503}
        assert all(answer.headers["retry-after"] for answer in refused)
        kept = [*tmp_path.rglob("cache/images/*"), *tmp_path.rglob("cache/images/*/*")]
        assert kept
        assert not any(path.stat().st_mode & 0o077 for path in [*kept, kept[0].parent])


def test_a_worker_out_of_memory_dies_alone(tmp_path: Path) -> None:
    """The bound on pixels let it through; that on memory does not."""
    settings = "storage: {image_pixels: 2000000000, image_memory_bytes: 400000000}\n"
    files = {"baas.yaml": "app: {name: p}\n" + settings, "rules/_storage.yaml": RULES}
    with running(write_app(tmp_path, files)) as gateway:
        send(gateway, "open/bomb.png", bomb(30_000, 30_000))
        assert get(gateway, "open/bomb.png", "w=10").status_code == 413
        send(gateway, "open/a.png", picture())
        assert opened(get(gateway, "open/a.png", "w=10")).size[0] == 10
        assert not list(tmp_path.rglob("cache/images/work-*"))


def test_limits_are_settings_and_the_cache_is_bounded(tmp_path: Path) -> None:
    settings = "storage: {image_cache_bytes: 2000, image_seconds: 0.001, image_bytes: 5000}\n"
    files = {"baas.yaml": "app: {name: p}\n" + settings, "rules/_storage.yaml": RULES}
    with running(write_app(tmp_path / "slow", files)) as slow:
        send(slow, "open/a.png", picture())
        assert get(slow, "open/a.png", "w=10").status_code == 413
        send(slow, "open/big.png", bytes(6000))
        assert get(slow, "open/big.png", "w=10").status_code == 413
    files["baas.yaml"] = files["baas.yaml"].replace("image_seconds: 0.001, ", "")
    folder = write_app(tmp_path / "small", files)
    with running(folder) as small:
        send(small, "open/a.png", picture())
        for width in range(10, 24):
            assert get(small, "open/a.png", f"w={width}&format=jpeg").status_code == 200
        kept = [path for path in folder.rglob("cache/images/*/*") if path.is_file()]
        assert kept
        assert sum(path.stat().st_size for path in kept) <= 2000
