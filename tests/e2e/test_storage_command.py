"""`baas storage` beside a running gateway, and towards another one with a key."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from baas.cli import main
from tests.support.gateway import (
    ROOT,
    Gateway,
    children_of,
    running,
    start_process,
    wait_until,
    write_app,
)
from tests.support.s3 import Server

PART = 1024 * 1024
APP = {
    "rules/_storage.yaml": "- path: '{file...}'\n  read: auth != null\n  write: auth != null\n",
}


def app(folder: Path, gateway_name: str = "files") -> Path:
    return write_app(folder, {**APP, "baas.yaml": f"app: {{name: {gateway_name}}}\n"})


def with_port(gateway: Gateway) -> Gateway:
    """What `server.port` would say, had the port not been chosen by the system."""
    text = f"app: {{name: files}}\nserver: {{port: {gateway.host_and_port[1]}}}\n"
    write_app(gateway.folder, {"baas.yaml": text})
    return gateway


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = app(tmp_path_factory.mktemp("app"))
    with running(folder, BAAS_STORAGE__PART_BYTES=str(PART)) as started:
        yield with_port(started)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


class Done:
    def __init__(self, found: Result) -> None:
        self.code = found.exit_code
        self.bytes = found.stdout_bytes
        self.lines = found.stdout_bytes.decode(errors="replace").splitlines()
        self.errors = found.stderr


def environ_of(gateway: Gateway) -> dict[str, str]:
    """For a command in a process of its own."""
    clean = {name: value for name, value in os.environ.items() if name[:4] != "BAAS"}
    settings = str(gateway.folder.parent / "settings")
    return {**clean, "PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": settings, "TERM": "xterm"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "baas", "storage", *map(str, arguments)]


def storage(gateway: Gateway, *arguments: object, **environ: str) -> Done:
    settings = {"XDG_CONFIG_HOME": str(gateway.folder.parent / "settings"), **environ}
    with chdir(gateway.folder):
        found = CliRunner().invoke(main, ["storage", *map(str, arguments)], env=settings)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return Done(found)


def done(gateway: Gateway, *arguments: object, **environ: str) -> Done:
    found = storage(gateway, *arguments, **environ)
    assert found.code == 0, found.errors
    assert found.errors == ""
    return found


def paths(gateway: Gateway, prefix: str) -> list[str]:
    lines = done(gateway, "ls", prefix, "--json").lines
    return [json.loads(line)["path"] for line in lines]


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# -- one by one -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 700_000, 5 * PART + 17], ids=str)
def test_what_is_put_comes_back(gateway: Gateway, here: Path, size: int) -> None:
    data = os.urandom(size)
    source = write(here, "猫 1.bin", data)
    done(gateway, "put", source, f"one/{size}/")
    assert paths(gateway, f"one/{size}/") == [f"one/{size}/猫 1.bin"]
    done(gateway, "get", f"one/{size}/猫 1.bin", here / "back")
    assert (here / "back").read_bytes() == data
    assert done(gateway, "get", f"one/{size}/猫 1.bin", "-").bytes == data


def test_a_list_has_sizes_and_types(gateway: Gateway, here: Path) -> None:
    write(here, "a.html", b"<p>")
    write(here, "b", b"x" * 1234)
    done(gateway, "put", here / "a.html", here / "b", "list/")
    done(gateway, "put", here / "b", "list/c.bin", "--type", "image/png")
    lines = done(gateway, "ls", "list/").lines
    assert [line.split()[0] for line in lines] == ["3", "1,234", "1,234"]
    assert [line.split()[-1] for line in lines] == ["list/a.html", "list/b", "list/c.bin"]
    found = [json.loads(line) for line in done(gateway, "ls", "list/", "--json").lines]
    kinds = ["text/html", "application/octet-stream", "image/png"]
    assert [one["contentType"] for one in found] == kinds
    assert found[0]["hash"] == hashlib.sha256(b"<p>").hexdigest()


def test_a_file_is_fetched_into_a_folder_by_its_own_name(gateway: Gateway, here: Path) -> None:
    done(gateway, "put", write(here, "x", b"data"), "deep/er/name.txt")
    done(gateway, "get", "deep/er/name.txt", here)
    assert (here / "name.txt").read_bytes() == b"data"
    assert sorted(path.name for path in here.iterdir()) == ["name.txt", "x"]


def test_cloud_may_stand_before_a_path(gateway: Gateway, here: Path) -> None:
    """As it does in `sync`."""
    done(gateway, "put", write(here, "x", b"data"), "cloud:marked/name.txt")
    assert paths(gateway, "marked/") == ["marked/name.txt"]
    assert done(gateway, "get", "cloud:marked/name.txt", "-").bytes == b"data"
    assert len(done(gateway, "ls", "cloud:marked/").lines) == 1
    done(gateway, "rm", "cloud:marked/name.txt")
    assert paths(gateway, "marked/") == []


def test_what_cannot_be_done_is_said_and_the_code_is_1(gateway: Gateway, here: Path) -> None:
    file = write(here, "x", b"1")
    cases: list[tuple[tuple[object, ...], str]] = [
        (("get", "none"), "NOT_FOUND"),
        (("get", "../x"), "INVALID_ARGUMENT"),
        (("put", file, "a/../b"), "INVALID_ARGUMENT"),
        (("put", here, "folder"), "is a folder"),
        (("put", here / "none", "a"), "not there"),
        (("rm", "none"), "none: NOT_FOUND"),
        (("sync", here / "none", "cloud:a"), "is no folder"),
        (("sync", "cloud:none", here), "no file below cloud:none"),
        (("ls", "--url", "http://127.0.0.1:9", "--key", "k"), "no gateway answers"),
        (("ls", "--url", gateway.url, "--key", "k"), "UNAUTHENTICATED"),
    ]
    for arguments, words in cases:
        found = storage(gateway, *arguments)
        assert found.code == 1, arguments
        assert words in found.errors, found.errors
        assert "Traceback" not in found.errors
    for usage in (("sync", "a", "b"), ("sync", "cloud:a", "cloud:b"), ("put", file, file, "a")):
        assert storage(gateway, *usage).code == 2


def test_rm_deletes_files_and_with_r_what_is_below(gateway: Gateway, here: Path) -> None:
    for name in ("rm/a", "rm/b/1", "rm/b/2", "rm/bc"):
        done(gateway, "put", write(here, "x", b"1"), name)
    assert done(gateway, "rm", "-r", "rm/b", "--dry-run").lines == [
        "delete  rm/b/1", "delete  rm/b/2"
    ]  # fmt: skip
    assert len(paths(gateway, "rm/")) == 4
    done(gateway, "rm", "-r", "rm/b")
    assert paths(gateway, "rm/") == ["rm/a", "rm/bc"]
    nothing = storage(gateway, "rm", "-r", "rm/bc")  # a file
    assert (nothing.code, nothing.errors) == (1, "Error: there is no file below rm/bc\n")
    found = storage(gateway, "rm", "rm/none", "rm/a")
    assert found.code == 1
    assert found.lines == ["delete  rm/a"]
    assert paths(gateway, "rm/") == ["rm/bc"]


def test_a_key_from_elsewhere_and_its_scope(gateway: Gateway, here: Path) -> None:
    key = gateway.admin_key("storage:read")
    file = write(here, "x", b"1")
    done(gateway, "put", file, "key/x")
    elsewhere = {"BAAS_KEY": key}
    assert done(gateway, "ls", "key/", "--url", gateway.url, **elsewhere).lines
    refused = storage(gateway, "put", file, "key/y", "--url", gateway.url, **elsewhere)
    assert refused.code == 1
    assert "PERMISSION_DENIED" in refused.errors
    assert storage(gateway, "ls", "--url", gateway.url).code == 2


def test_a_terminal_sees_a_bar_and_nobody_else(gateway: Gateway, here: Path) -> None:
    file = write(here, "x", os.urandom(3 * PART))
    above, below = pty.openpty()
    subprocess.run(
        command("put", file, "bar/x"),
        cwd=gateway.folder,
        env=environ_of(gateway),
        stdout=below,
        stderr=below,
        timeout=60,
        check=True,
    )
    os.close(below)
    shown = os.read(above, 100_000).decode()
    os.close(above)
    assert "100%" in shown
    assert "bar/x" in shown
    assert done(gateway, "put", file, "bar/y").lines == []


def test_where_bytes_go_no_further_the_command_ends(gateway: Gateway, here: Path) -> None:
    """As in `baas storage get x - | head`, and on a full disk. It is no fault of the gateway's."""
    done(gateway, "put", write(here, "x", os.urandom(3 * PART)), "long/x")
    reading, closed = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    for target, told in ((full, b"Error: No space left on device\n"), (closed, b"")):
        found = subprocess.run(
            command("get", "long/x", "-"),
            cwd=gateway.folder,
            env=environ_of(gateway),
            stdout=target,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        os.close(target)
        assert (found.returncode, found.stderr) == (1, told)


# -- large files ----------------------------------------------------------------------------------


def test_an_upload_that_was_killed_goes_on_where_it_was(here: Path, tmp_path: Path) -> None:
    """The gateway dies in the middle; the same command sends only what is missing."""
    data = os.urandom(12 * PART)
    source = write(here, "film", data)
    slow = {"BAAS_STORAGE__PART_BYTES": str(PART)}
    with running(app(tmp_path / "app"), **slow) as gateway:
        with_port(gateway)
        sending = subprocess.Popen(
            command("put", source, "films/a"), cwd=gateway.folder, env=environ_of(gateway)
        )
        uploads = gateway.folder / "data" / "storage" / "uploads"
        while not list(uploads.glob("*/3")):
            assert sending.poll() is None, "it was too quick to be stopped"
        sending.kill()
        sending.wait()
        sent = {path.name: path.stat().st_mtime_ns for path in uploads.glob("*/*")}
        assert 3 <= len(sent) < 12
        done(gateway, "put", source, "films/a")

        def parts() -> int:
            return sum(line.get("route") == "storage.part" for line in gateway.log())

        wait_until(lambda: parts() >= 12)
        assert parts() <= 12 + 1  # the one that was under way
        assert done(gateway, "get", "films/a", "-").bytes == data
        assert list(uploads.glob("*")) == []


def test_a_gateway_that_dies_on_the_way_is_waited_for(here: Path, tmp_path: Path) -> None:
    source = write(here, "film", os.urandom(40 * PART))
    folder = app(tmp_path / "app")
    small = {"BAAS_STORAGE__PART_BYTES": str(PART)}
    with running(folder, "--workers", "1", **small) as gateway:
        with_port(gateway)
        port = str(gateway.host_and_port[1])
        sending = subprocess.Popen(command("put", source, "a"), cwd=folder, env=environ_of(gateway))
        uploads = folder / "data" / "storage" / "uploads"
        while not list(uploads.glob("*/3")):
            assert sending.poll() is None, "it was too quick"
        assert not children_of(gateway.process.pid)
        gateway.kill()
        again = start_process(folder, "--port", port, **small)
        try:
            assert sending.wait(60) == 0
            assert again.stdout is not None
        finally:
            again.terminate()
            again.wait(20)
            assert again.stdout is not None
            again.stdout.close()


# -- folders --------------------------------------------------------------------------------------


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_both_directions_bring_over_what_differs(gateway: Gateway, here: Path) -> None:
    for name in ("a.txt", "b/c.txt", "b/d/ü.txt"):
        write(here / "one", name, name.encode())
    first = done(gateway, "sync", here / "one", "cloud:tree")
    assert first.lines == ["up      a.txt", "up      b/c.txt", "up      b/d/ü.txt"]
    assert done(gateway, "sync", here / "one", "cloud:tree/").lines == []
    done(gateway, "sync", "cloud:tree", here / "two")
    assert tree(here / "two") == tree(here / "one")

    write(here / "two", "b/c.txt", b"B/c.txt")  # of the same size
    write(here / "two", "new", b"")
    (here / "two" / "a.txt").unlink()
    told = done(gateway, "sync", here / "two", "cloud:tree", "--delete", "--dry-run").lines
    assert told == ["up      new", "up      b/c.txt", "delete  a.txt"]
    assert len(paths(gateway, "tree/")) == 3
    assert done(gateway, "sync", here / "two", "cloud:tree", "--delete").lines == told
    assert (
        done(gateway, "sync", "cloud:tree", here / "one", "--delete").lines[-1] == "delete  a.txt"
    )
    assert tree(here / "one") == tree(here / "two")


def test_what_is_excluded_is_left_alone_on_both_sides(gateway: Gateway, here: Path) -> None:
    for name in ("keep", "x.tmp", ".git/config", "sub/y.tmp"):
        write(here / "one", name, b"1")
    done(gateway, "sync", here / "one", "cloud:ex")
    write(here / "two", "keep", b"1")
    out = ("--exclude", "*.tmp", "--exclude", ".git")
    assert done(gateway, "sync", here / "two", "cloud:ex", "--delete", *out).lines == []
    assert len(paths(gateway, "ex/")) == 4
    write(here / "two", "z.tmp", b"1")
    assert done(gateway, "sync", "cloud:ex", here / "two", "--delete", *out).lines == []
    assert set(tree(here / "two")) == {"keep", "z.tmp"}


def test_links_are_neither_sent_nor_followed_nor_written_through(
    gateway: Gateway, here: Path
) -> None:
    secret = write(here / "outside", "secret", b"s")
    write(here / "one", "real", b"r")
    (here / "one" / "link").symlink_to(secret)
    (here / "one" / "folder").symlink_to(here / "outside")
    done(gateway, "sync", here / "one", "cloud:links")
    assert paths(gateway, "links/") == ["links/real"]

    done(gateway, "put", secret, "links/out/secret")
    done(gateway, "put", secret, "links/link")
    (here / "two").mkdir()
    (here / "two" / "out").symlink_to(here / "outside")
    (here / "two" / "link").symlink_to(secret)
    secret.write_bytes(b"mine")
    found = storage(gateway, "sync", "cloud:links", here / "two", "--delete")
    assert found.code == 1
    assert "out/secret: " in found.errors
    assert secret.read_bytes() == b"mine"
    assert not (here / "two" / "link").is_symlink()
    assert (here / "two" / "out").is_symlink()


def test_nothing_is_deleted_where_something_failed(gateway: Gateway, here: Path) -> None:
    """A file and a folder of one name: the gateway may have both, a disk may not."""
    write(here / "two", "old", b"1")
    for name in ("clash/a", "clash/a/b"):
        done(gateway, "put", write(here, "x", b"1"), name)
    found = storage(gateway, "sync", "cloud:clash", here / "two", "--delete")
    assert found.code == 1
    assert "is no folder here" in found.errors
    assert "old: not deleted" in found.errors
    assert set(tree(here / "two")) == {"old", "a"}


def test_an_empty_folder_does_not_delete_everything(gateway: Gateway, here: Path) -> None:
    """Such as a disk that is not mounted, or a build that failed."""
    done(gateway, "put", write(here, "x", b"1"), "whole/a")
    (here / "empty").mkdir()
    assert done(gateway, "sync", here / "empty", "cloud:whole").lines == []
    for more in ((), ("--dry-run",)):
        found = storage(gateway, "sync", here / "empty", "cloud:whole", "--delete", *more)
        assert found.code == 1
        assert "there is no file below" in found.errors
    assert paths(gateway, "whole/") == ["whole/a"]


def test_names_that_cannot_be_paths_fail_alone(gateway: Gateway, here: Path) -> None:
    write(here / "one", "good", b"1")
    write(here / "one", "100%41", b"1")
    write(here / "one", "back\\slash", b"1")
    found = storage(gateway, "sync", here / "one", "cloud:odd", "--delete")
    assert found.code == 1
    assert found.errors.count("its name must not have") == 2
    assert paths(gateway, "odd/") == ["odd/good"]


def test_on_s3_too(s3_server: Server, tmp_path: Path) -> None:
    small = {"BAAS_STORAGE__PART_BYTES": str(5 * PART), **s3_server.environment()}
    with running(app(tmp_path / "app"), **small) as gateway:
        with_port(gateway)
        write(tmp_path / "one", "large", os.urandom(11 * PART))
        write(tmp_path / "one", "a/b", b"small")
        assert len(done(gateway, "sync", tmp_path / "one", "cloud:").lines) == 2
        assert done(gateway, "sync", tmp_path / "one", "cloud:").lines == []
        done(gateway, "sync", "cloud:", tmp_path / "two")
        assert tree(tmp_path / "two") == tree(tmp_path / "one")
        done(gateway, "rm", "-r", "a")
        done(gateway, "sync", "cloud:", tmp_path / "two", "--delete")
        assert set(tree(tmp_path / "two")) == {"large"}
