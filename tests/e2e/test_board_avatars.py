"""The board's avatars: cleaned and made small by a function in a process of its own."""

from __future__ import annotations

import asyncio
import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import ROOT
from tests.support.storage import download, uid_of, upload

PATIENCE = 30.0
GPS, ORIENTATION = 0x8825, 0x0112


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    with the_board(tmp_path_factory.mktemp("board")) as harness:
        yield harness


@contextmanager
def the_board(folder: Path) -> Iterator[Harness]:
    for name in ("rules", "functions"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "baas.yaml", folder)
    with running_app(folder) as harness:
        yield harness


@pytest.fixture
def ann(board: Harness) -> str:
    return board.sign_in()


def eventually(board: Harness, look: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end, "it did not come to that"
        board.run(asyncio.sleep(0.02))


def photo(size: tuple[int, int] = (1600, 1200)) -> bytes:
    """Of a camera that was held upright: the left half red, and it tells where it was."""
    image = Image.new("RGB", size, (20, 20, 200))
    image.paste((200, 20, 20), (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (31.0, 12.0, 0.0)
    made = io.BytesIO()
    image.save(made, "JPEG", exif=exif, comment=b"my house")
    return made.getvalue()


def opened(reply: Reply) -> Image.Image:
    assert reply.status == 200, reply.body
    return Image.open(io.BytesIO(reply.body))


def put(board: Harness, path: str, data: bytes, token: str, **more: str) -> None:
    answer = upload(board, path, data, token, content_type="image/jpeg", **more)
    assert answer.status == 200, answer.body


def seen(board: Harness, path: str) -> bool:
    """By a stranger."""
    return download(board, path).status == 200


def runs(board: Harness) -> int:
    asked = {"function": "clean_avatar", "limit": 100}
    key = board.admin_key("functions:read")
    return len(board.post("/v1/admin/functions/logs", asked, key).json()["invocations"])


def test_others_see_an_avatar_once_it_tells_nothing(board: Harness, ann: str) -> None:
    uid = uid_of(board, ann)
    path, thumbnail = f"avatars/{uid}/me.jpg", f"thumbs/{uid}/me.jpg"
    put(board, path, photo(), ann, metadata='{"frame": "round"}')
    eventually(board, lambda: seen(board, path))

    clean, small = opened(download(board, path)), opened(download(board, thumbnail))
    assert clean.size == (384, 512)
    assert small.size == (96, 96)
    for image in (clean, small):
        assert not image.getexif()
        assert not image.info.keys() & {"exif", "comment", "icc_profile"}
        red, _, blue = image.convert("RGB").getpixel((image.width // 2, 2))  # type: ignore[misc]
        assert red > blue, "it was not turned"
    assert b"my house" not in download(board, path).body
    stat = board.post("/v1/storage/stat", {"path": path}, ann).json()
    assert stat["metadata"] == {"frame": "round", "cleaned": True}
    assert stat["openid"] == uid
    assert board.post("/v1/storage/stat", {"path": thumbnail}).json()["openid"] == uid


def test_metadata_without_room_for_the_mark_give_way(board: Harness, ann: str) -> None:
    path = f"avatars/{uid_of(board, ann)}/much.jpg"
    put(board, path, photo((40, 30)), ann, metadata=f'{{"frame": "{"x" * 2000}"}}')
    eventually(board, lambda: seen(board, path))
    stat = board.post("/v1/storage/stat", {"path": path}, ann).json()
    assert stat["metadata"] == {"cleaned": True}


def test_its_own_writing_ends_the_chain(tmp_path: Path) -> None:
    """Each upload makes it run twice: the second time it finds its own copy."""
    with the_board(tmp_path) as board:
        ann = board.sign_in()
        for number in (1, 2):
            path = f"avatars/{uid_of(board, ann)}/{number}.jpg"
            put(board, path, photo((50, 40)), ann)
            eventually(board, lambda number=number: runs(board) >= 2 * number)
            assert seen(board, path)
        assert runs(board) == 4


def test_a_new_avatar_takes_the_place_of_the_old_one(board: Harness, ann: str) -> None:
    uid = uid_of(board, ann)
    path, thumbnail = f"avatars/{uid}/new.jpg", f"thumbs/{uid}/new.jpg"
    for side in (40, 80):
        put(board, path, photo((side, side)), ann)
        eventually(board, lambda: seen(board, path))
        assert opened(download(board, path)).width == side
    body = {"files": [{"path": path}]}
    assert board.post("/v1/storage/delete", body, ann).json()["files"][0].get("code") is None
    eventually(board, lambda: not seen(board, thumbnail))


@pytest.mark.parametrize("data", [b"not a picture", photo()[:5000], b""], ids=len)
def test_what_is_no_picture_stays_its_owners(board: Harness, ann: str, data: bytes) -> None:
    uid = uid_of(board, ann)
    path, thumbnail = f"avatars/{uid}/odd.jpg", f"thumbs/{uid}/odd.jpg"
    put(board, path, photo((30, 30)), ann)
    eventually(board, lambda: seen(board, path))
    put(board, path, data, ann)
    eventually(board, lambda: not seen(board, thumbnail))
    assert not seen(board, path)
    assert download(board, path, ann).body == data


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_broken_exif_is_one(board: Harness, ann: str, kind: str) -> None:
    made = io.BytesIO()
    Image.new("RGB", (30, 20)).save(made, kind, exif=b"Exif\0\0MM\0*\0\0")
    path = f"avatars/{uid_of(board, ann)}/broken-{kind}"
    put(board, path, made.getvalue(), ann)
    eventually(board, lambda: seen(board, path))
    assert opened(download(board, path)).size == (30, 20)


def test_formats_stay_and_what_moves_is_one_picture(board: Harness, ann: str) -> None:
    uid = uid_of(board, ann)
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Ann of Elm Street")
    made = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(made, "PNG", pnginfo=text)
    put(board, f"avatars/{uid}/a.png", made.getvalue(), ann)
    frames = [Image.new("P", (20, 20), n) for n in range(3)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    put(board, f"avatars/{uid}/a.gif", moving.getvalue(), ann)
    for name in ("a.png", "a.gif"):
        path = f"avatars/{uid}/{name}"
        eventually(board, lambda path=path: seen(board, path))
        reply = download(board, path)
        assert reply.headers["content-type"] == "image/png"
        assert opened(reply).format == "PNG"
        assert getattr(opened(reply), "n_frames", 1) == 1
        assert b"Elm" not in reply.body
    assert opened(download(board, f"avatars/{uid}/a.png")).mode == "RGBA"
