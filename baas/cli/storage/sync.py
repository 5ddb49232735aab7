"""What `baas storage sync` has to do, and doing it.

Files are the same if size and SHA-256 are; times do not count. What is to be deleted goes last, and
only where everything else went well: a failure half way leaves too much rather than too little.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import msgspec

from baas.cli.storage.local import Local, Unfit, excluded, files_below, is_same, place
from baas.cli.storage.transfer import Changed, Sending, Told, download, upload
from baas.cli.storage.wire import Broken, Refused, Stored, Wire
from baas.schema.filepath import fault_of

#: Files of one `delete`.
AT_ONCE: Final = 100
Kind = Literal["upload", "download", "delete", "fail"]


class Step(msgspec.Struct, frozen=True):
    """One file, by its name below both folders; `run` does it. `why` of one that cannot be."""

    kind: Kind
    name: str
    size: int = 0
    why: str = ""
    run: Callable[[Told], object] | None = None


class Shown(Protocol):
    """Where it is told what happens."""

    def begin(self, step: Step) -> None: ...

    def moved(self, size: int) -> None: ...

    def failed(self, name: str, why: str) -> None: ...


class Options(msgspec.Struct, frozen=True):
    delete: bool = False
    exclude: tuple[str, ...] = ()


# -- plans -----------------------------------------------------------------------------------------


def plan_up(wire: Wire, root: Path, prefix: str, options: Options) -> list[Step]:
    """From folder `root` to what is below `prefix`, which ends in `/` or is empty."""
    there = {file.path.removeprefix(prefix): file for file in wire.files(prefix)}
    steps: list[Step] = []
    seen: set[str] = set()
    for local in files_below(root, options.exclude):
        if local.name in seen:  # spelt in two forms of Unicode
            steps.append(Step("fail", local.name, why="two files here have this name"))
            continue
        seen.add(local.name)
        step = _up(wire, local, prefix, there.get(local.name))
        if step is not None:
            steps.append(step)
    if options.delete:
        gone = (name for name in there if name not in seen and not excluded(name, options.exclude))
        steps += [Step("delete", name, run=_remote_delete(wire, prefix + name)) for name in gone]
    return steps


def _up(wire: Wire, local: Local, prefix: str, stored: Stored | None) -> Step | None:
    path = prefix + local.name
    fault = fault_of(path)
    if fault is not None:
        return Step("fail", local.name, why=f"its name {fault}")
    try:
        if stored is not None and is_same(local.path, stored.size, stored.hash):
            return None
    except OSError as unreadable:
        return Step("fail", local.name, why=unreadable.strerror or str(unreadable))
    sending = Sending(local.path, path)
    return Step("upload", local.name, local.size, run=lambda told: upload(wire, sending, told))


def _remote_delete(wire: Wire, path: str) -> Callable[[Told], object]:
    def run(told: Told) -> None:
        for refusal in delete_remote(wire, [path]).values():
            raise refusal

    return run


def delete_remote(wire: Wire, paths: list[str]) -> dict[str, Refused]:
    """Deletes up to `AT_ONCE` files; those that could not be, by path."""
    answer: Any = wire.call("delete", {"files": [{"path": path} for path in paths]})
    return {
        one["path"]: Refused(0, one["code"], one["detail"], None)
        for one in answer["files"]
        if "code" in one
    }


def plan_down(wire: Wire, prefix: str, root: Path, options: Options) -> list[Step]:
    """From what is below `prefix` to folder `root`."""
    steps: list[Step] = []
    wanted: set[str] = set()
    folded: dict[str, str] = {}
    for stored in wire.files(prefix):
        name = stored.path.removeprefix(prefix)
        if excluded(name, options.exclude):
            continue
        wanted.add(name)
        steps += _down(wire, stored, name, root, folded.setdefault(name.casefold(), name))
    if options.delete:
        steps += [
            Step("delete", local.name, run=_local_delete(local.path))
            for local in files_below(root, options.exclude)
            if local.name not in wanted
        ]
    return steps


def _local_delete(path: Path) -> Callable[[Told], object]:
    return lambda told: path.unlink()


def _down(wire: Wire, stored: Stored, name: str, root: Path, first: str) -> list[Step]:
    try:
        target = place(root, name)
    except Unfit as fault:
        return [Step("fail", name, why=str(fault))]
    if is_same(target, stored.size, stored.hash):
        return []

    def run(told: Told) -> None:
        # Asked again now: what was written meanwhile may lie in the way.
        place(root, name)
        if first != name and target.exists() and target.samefile(root / first):
            raise Unfit(f"on this disk it is the same file as {first}")
        download(wire, stored, target, told)

    return [Step("download", name, stored.size, run=run)]


# -- doing it --------------------------------------------------------------------------------------


def carry_out(steps: list[Step], shown: Shown) -> int:
    """Does them in order, deletions last; how many failed. No gateway at all ends it: Broken."""
    failed = 0
    for step in sorted(steps, key=lambda step: step.kind == "delete"):
        if step.kind == "delete" and failed:
            shown.failed(step.name, "not deleted, because of the failures before")
            continue
        failed += not _done(step, shown)
    return failed


def _done(step: Step, shown: Shown) -> bool:
    if step.run is None:
        shown.failed(step.name, step.why)
        return False
    shown.begin(step)
    try:
        step.run(shown.moved)
    except (Refused, Changed, Unfit) as fault:
        shown.failed(step.name, str(fault))
        return False
    except Broken:
        raise
    except OSError as fault:
        shown.failed(step.name, fault.strerror or str(fault))
        return False
    return True
