"""The rules folder as it is worked on: read, checked as a whole with one file changed, and written.

A change is judged before it is made: the folder is copied with the new text in it, and loaded as it
would be. What does not load is never written. What does is put in force first (a unique index may
still meet duplicates) and written then, under a name that only a whole file takes.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import msgspec

from baas.errors import Code, ConfigurationError, Problem, invalid, not_found
from baas.rules.coverage import Coverage
from baas.rules.load import load_file, rule_files
from baas.rules.model import Advice, RuleBook
from baas.rules.testing import find_tests, load_tests

#: As for rule files that are read: `baas.rules.load`.
MAX_TEXT: Final = 1024**2
_NAME: Final = re.compile(r"_?[A-Za-z][A-Za-z0-9_-]{0,63}(\.test)?\.(yaml|yml|json)", re.ASCII)


class WholeRules(Protocol):
    """Every rule file of a folder, as the app loads it."""

    @property
    def book(self) -> RuleBook: ...
    @property
    def functions(self) -> Any: ...
    def advice(self) -> tuple[Advice, ...]: ...


class RuleFile(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` names the text: a save says which text it replaces."""

    name: str
    kind: Literal["rules", "tests"]
    text: str
    digest: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong or odd, and where: `line` and `column` from 1, 0 where unknown."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    message: str


class TestCase(msgspec.Struct, frozen=True, kw_only=True):
    """`fault` is empty where the case passed."""

    file: str
    line: int
    caller: str
    request: str
    expectation: str
    fault: str


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """`gaps` are the clauses that no case reached, or that were never true."""

    cases: list[TestCase]
    gaps: list[str]


Load: TypeAlias = Callable[[Path], Any]
#: (rules, test files, coverage) -> outcomes with `case` and `fault`.
RunTests: TypeAlias = Callable[[Any, list[Path], Coverage], Coroutine[Any, Any, list[Any]]]


class RuleFiles:
    """`load` reads a folder; `apply` puts what it gave in force, or raises ConfigurationError;
    `written` is told that the folder has changed."""

    def __init__(
        self,
        folder: Path,
        load: Load,
        apply: Callable[[Any], Awaitable[None]],
        written: Callable[[], Awaitable[Any]],
        run_tests: RunTests,
    ) -> None:
        self._folder = folder
        self._load = load
        self._apply = apply
        self._written = written
        self._run_tests = run_tests
        self._one_at_a_time = asyncio.Lock()

    async def read(self) -> list[RuleFile]:
        """Rule files by name, then their tests."""
        return await asyncio.to_thread(self._read_all)

    async def check(self, name: str, text: str) -> list[Message]:
        """What is wrong and odd with the folder if `name` held `text`; errors first."""
        check_name(name, text)
        return await asyncio.to_thread(self._check, name, text)

    async def load_with(self, name: str | None, text: str | None) -> Any:
        """The rules as they would be; INVALID_ARGUMENT where they would not load."""
        if name is None or text is None:
            return await asyncio.to_thread(self._load_as_is)
        check_name(name, text)
        return await asyncio.to_thread(self._load_with, name, text)

    async def test(self, name: str | None, text: str | None) -> TestRun:
        """Runs every rule test, with one file changed if it is given."""
        if name is not None and text is not None:
            check_name(name, text)
        with self._copy(name, text) as folder:
            try:
                rules = await asyncio.to_thread(self._load, folder)
                coverage = Coverage(rules.book)
                # Beside the loop: a large suite would hold up every request.
                outcomes = await asyncio.to_thread(
                    lambda: asyncio.run(self._run_tests(rules, find_tests(folder), coverage))
                )
            except ConfigurationError as fault:
                raise _refused(fault) from None
        return TestRun(cases=[_case(one) for one in outcomes], gaps=sorted(coverage.gaps()))

    async def save(self, name: str, text: str, base: str | None) -> RuleFile:
        """Puts it in force and writes it. `base` is the digest of the text it replaces, None for a
        new file. CONFLICT where another text is there, INVALID_ARGUMENT where it does not load."""
        check_name(name, text)
        async with self._one_at_a_time:
            await asyncio.to_thread(self._check_base, name, base)
            await self._put_in_force(await self.load_with(name, text))
            await asyncio.to_thread(self._write, name, text)
            await self._written()
        return _file(name, text)

    async def remove(self, name: str, base: str) -> None:
        """As `save`, for a file that goes. Documents stay; nobody reaches them then."""
        check_name(name, "")
        async with self._one_at_a_time:
            await asyncio.to_thread(self._check_base, name, base)
            await self._put_in_force(await asyncio.to_thread(self._load_with, name, None))
            await asyncio.to_thread((self._folder / name).unlink)
            await self._written()

    async def _put_in_force(self, rules: Any) -> None:
        try:
            await self._apply(rules)
        except ConfigurationError as fault:
            raise _refused(fault) from None

    # -- in a thread -------------------------------------------------------------------------------

    def _read_all(self) -> list[RuleFile]:
        others = [path for path in self._others() if path.is_file()]
        rules = sorted({*rule_files(self._folder), *others})
        return [_read(path) for path in (*rules, *find_tests(self._folder))]

    def _others(self) -> Iterator[Path]:
        for stem in ("_storage", "_functions", "_channels"):
            for suffix in (".yaml", ".yml", ".json"):
                yield self._folder / f"{stem}{suffix}"

    def _check(self, name: str, text: str) -> list[Message]:
        with self._copy(name, text) as folder:
            if _is_test(name):
                return list(_faults(lambda: load_tests(folder / name)))
            try:
                rules = self._load(folder)
            except ConfigurationError as fault:
                return list(_each_fault(folder, fault))
            return [_advised(advice) for advice in rules.advice()]

    def _load_with(self, name: str, text: str | None) -> Any:
        with self._copy(name, text, gone=text is None) as folder:
            try:
                if _is_test(name) and text is not None:
                    load_tests(folder / name)
                return self._load(folder)
            except ConfigurationError as fault:
                raise _refused(fault) from None

    def _load_as_is(self) -> Any:
        try:
            return self._load(self._folder)
        except ConfigurationError as fault:
            raise _refused(fault) from None

    @contextmanager
    def _copy(self, name: str | None, text: str | None, *, gone: bool = False) -> Iterator[Path]:
        """The folder elsewhere, with one file changed."""
        with tempfile.TemporaryDirectory(prefix="baas-rules-") as made:
            folder = Path(made)
            if self._folder.is_dir():
                for path in self._folder.iterdir():
                    if path.is_file() and not path.name.startswith("."):
                        shutil.copyfile(path, folder / path.name)
            if name is not None and text is not None:
                (folder / name).write_text(text, "utf-8")
            if name is not None and gone:
                (folder / name).unlink(missing_ok=True)
            yield folder

    def _check_base(self, name: str, base: str | None) -> None:
        path = self._folder / name
        now = _read(path).digest if path.is_file() else None
        if base is not None and now is None:
            raise not_found("There is no such rule file.")
        if now != base:
            raise Problem(
                Code.CONFLICT, "The file has been changed meanwhile: load it again first."
            )

    def _write(self, name: str, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, aside = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(aside, 0o644)
            os.replace(aside, self._folder / name)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise


def check_name(name: str, text: str) -> None:
    """INVALID_ARGUMENT for what cannot be a rule file."""
    if not _NAME.fullmatch(name):
        raise invalid("name", "must be a collection's name (or _storage ...) and .yaml")
    if len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise invalid("text", "a rule file is at most 1 MiB")


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_test(name: str) -> bool:
    return Path(name).stem.endswith(".test")


def _read(path: Path) -> RuleFile:
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        text = path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        raise not_found("There is no such rule file.") from None
    return _file(path.name, text)


def _file(name: str, text: str) -> RuleFile:
    kind: Literal["rules", "tests"] = "tests" if _is_test(name) else "rules"
    return RuleFile(name=name, kind=kind, text=text, digest=digest_of(text))


def _each_fault(folder: Path, first: ConfigurationError) -> Iterator[Message]:
    """Every collection's file with a fault, not only the first."""
    seen = {(first.file, first.line, first.message)}
    yield _faulty(first)
    for path in rule_files(folder):
        try:
            load_file(path)
        except ConfigurationError as fault:
            key = (fault.file, fault.line, fault.message)
            if key not in seen:
                seen.add(key)
                yield _faulty(fault)


def _faults(load: Callable[[], object]) -> Iterator[Message]:
    try:
        load()
    except ConfigurationError as fault:
        yield _faulty(fault)


def _faulty(fault: ConfigurationError) -> Message:
    return Message(
        file=Path(fault.file).name,
        line=fault.line or 0,
        column=fault.column or 0,
        severity="error",
        message=fault.message,
    )


def _advised(advice: Advice) -> Message:
    return Message(
        file=advice.file,
        line=advice.line,
        column=advice.column,
        severity="warning",
        message=advice.message,
    )


def _refused(fault: ConfigurationError) -> Problem:
    place = ":".join(str(part) for part in (fault.line, fault.column) if part)
    name = Path(fault.file).name
    return invalid(f"{name}:{place}" if place else name or "text", fault.message)


def _case(outcome: Any) -> TestCase:
    case = outcome.case
    return TestCase(
        file=case.file,
        line=case.line,
        caller=case.caller,
        request=case.request,
        expectation=case.expectation,
        fault=outcome.fault,
    )
