"""What is kept of a failure: where it happened, with which values, redacted and capped.

A capture holds what `baas fn replay` needs to run the call again (the event), and what a person
needs to see why it failed. Only frames of the app's own files show their locals.
"""

from __future__ import annotations

import linecache
import reprlib
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

import msgspec

from baas.functions.redact import REDACTED, Redactor, is_telling
from baas.schema.values import encode

MAX_FRAMES: Final = 30
MAX_LOCALS: Final = 30
MAX_LOCAL_TEXT: Final = 300
MAX_MESSAGE: Final = 2000
#: As much of a text as is looked at; what is shown of it is far less.
_MAX_READ: Final = 100_000
MAX_EVENT_BYTES: Final = 256 * 1024
_INTERNAL: Final = str(Path(__file__).resolve().parent)


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """`file` is relative to the release for the app's own code, else a module's file name."""

    file: str
    line: int
    function: str
    code: str = ""
    locals: dict[str, str] = {}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An exception as it can be stored and sent: `frames` outermost first; `cause` names what it
    was raised from."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    cause: str | None = None

    def stack(self) -> str:
        """As Python would print it, without locals."""
        lines = [f'  File "{one.file}", line {one.line}, in {one.function}' for one in self.frames]
        return "\n".join([*lines, f"{self.type}: {self.message}"])


class _Repr(reprlib.Repr):
    """Short, and never fails. Texts are redacted before they are cut: half a secret is not found
    any more."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = 8
        self.maxlevel = 3
        self.maxstring = self.maxother = self.maxlong = MAX_LOCAL_TEXT

    def of(self, value: Any) -> str:
        try:
            return self.repr(_plain(value, self._redactor))[:MAX_LOCAL_TEXT]
        except Exception:
            return f"<{type(value).__name__}>"

    def repr_str(self, value: str, level: int) -> str:
        return super().repr_str(self._redactor.text(value[:_MAX_READ]), level)

    def repr_instance(self, value: Any, level: int) -> str:
        try:
            text = repr(value)[:_MAX_READ]
        except Exception:
            return f"<{type(value).__name__}>"
        return self._redactor.text(text)[:MAX_LOCAL_TEXT]


def failure_of(fault: BaseException, folder: Path | None, redactor: Redactor) -> Failure:
    """What is kept of `fault`, raised by a function of the release in `folder`."""
    cause = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)
    return Failure(
        type=type(fault).__name__,
        message=redactor.text(_text(fault))[:MAX_MESSAGE],
        frames=tuple(_frames(fault.__traceback__, folder, redactor))[-MAX_FRAMES:],
        cause=None if cause is None else _cause(cause, redactor),
    )


def _cause(cause: BaseException, redactor: Redactor) -> str:
    return redactor.text(f"{type(cause).__name__}: {_text(cause)}")[:MAX_MESSAGE]


def _text(fault: BaseException) -> str:
    try:
        return str(fault)[:_MAX_READ]
    except Exception:
        return ""


def _frames(
    trace: TracebackType | None, folder: Path | None, redactor: Redactor
) -> Iterator[Frame]:
    for frame, line in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if file.startswith(_INTERNAL):
            continue
        inside = _inside(file, folder)
        yield Frame(
            file=inside or Path(file).name,
            line=line,
            function=frame.f_code.co_name,
            code=redactor.text(linecache.getline(file, line).strip())[:MAX_LOCAL_TEXT],
            locals=_locals(frame, redactor) if inside else {},
        )


def _inside(file: str, folder: Path | None) -> str | None:
    if folder is None:
        return None
    try:
        return Path(file).relative_to(folder).as_posix()
    except ValueError:
        return None


def _locals(frame: FrameType, redactor: Redactor) -> dict[str, str]:
    shown = _Repr(redactor)
    return {
        name: REDACTED if is_telling(name) else redactor.text(shown.of(value))
        for name, value in list(frame.f_locals.items())[:MAX_LOCALS]
    }


def _plain(value: Any, redactor: Redactor) -> Any:
    """Structs and dicts lose what has a telling name before they are shown."""
    if isinstance(value, msgspec.Struct):
        return {
            "": type(value).__name__,
            **redactor.value({name: getattr(value, name) for name in value.__struct_fields__}, 3),
        }
    return redactor.value(value, 3) if isinstance(value, (dict, list)) else value


def kept_event(event: Any, redactor: Redactor) -> Any:
    """The event as a capture keeps it; one that is too large is left out and says so."""
    try:
        if len(encode(event)) <= MAX_EVENT_BYTES:
            return redactor.value(event)
    except (TypeError, ValueError):
        pass
    return {"omitted": f"more than {MAX_EVENT_BYTES // 1024} KiB, or not JSON"}
