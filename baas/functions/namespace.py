"""Modules of a release under a name of their own, so that two versions can run side by side.

`functions/mail.py` of the release `ab12` is the module `baas_functions_ab12.mail`. Its siblings
import it as they would beside each other in a folder, `import mail` or `from . import mail`: the
modules of a namespace have an `__import__` that looks into it first. The standard library keeps
its names, and so does baas.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, Final

PREFIX: Final = "baas_functions_"
_OUTSIDE: Final = frozenset((*sys.stdlib_module_names, "baas"))
_names_lock: Final = Lock()


class Namespace:
    """The package of one release, importing from `folder` and then from `path` (layers). `label`
    is what the folder is called in the app: another name of the package."""

    def __init__(
        self, hash: str, folder: Path, path: Sequence[Path] = (), label: str = "functions"
    ) -> None:
        self.folder: Final = folder
        self._label = label
        self._own: dict[str, bool] = {}
        root = ModuleType("")
        root.__path__ = [str(folder), *map(str, path)]
        with _names_lock:
            self.name: Final = _free_name(hash)
            root.__name__ = self.name
            sys.modules[self.name] = root
        self.builtins: Final = {**vars(builtins), "__import__": self._import}
        _FINDER.spaces[self.name] = self
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)

    def load(self, module: str) -> ModuleType:
        """The module `orders.list` of this release, imported at its first use."""
        return import_module(f"{self.name}.{module}")

    @staticmethod
    def of(name: str) -> Namespace | None:
        """The namespace of that name, while it is not dropped."""
        return _FINDER.spaces.get(name)

    def drop(self) -> None:
        """Forgets all of its modules; those who hold one of its functions keep what they hold."""
        _FINDER.spaces.pop(self.name, None)
        for name in [name for name in sys.modules if name.partition(".")[0] == self.name]:
            del sys.modules[name]

    def _import(
        self,
        name: str,
        globals: Any = None,
        locals: Any = None,
        fromlist: Any = (),
        level: int = 0,
    ) -> Any:
        top, _, rest = name.partition(".")
        if level == 0 and top == self._label and not self._has(top):
            return self._from_root(rest, globals, locals, fromlist)
        if level or not self._has(top):
            return builtins.__import__(name, globals, locals, fromlist, level)
        full = f"{self.name}.{name}"
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        import_module(full)
        return sys.modules[f"{self.name}.{top}"]

    def _from_root(self, rest: str, globals: Any, locals: Any, fromlist: Any) -> Any:
        """`functions` and `functions.<rest>`, as editors and tests at the app's folder see it."""
        full = f"{self.name}.{rest}" if rest else self.name
        if fromlist:
            return builtins.__import__(full, globals, locals, fromlist, 0)
        import_module(full)
        return sys.modules[self.name]

    def _has(self, top: str) -> bool:
        if top in _OUTSIDE:
            return False
        if top not in self._own:
            path = sys.modules[self.name].__path__
            self._own[top] = _find(f"{self.name}.{top}", path, self) is not None
        return self._own[top]


def _free_name(hash: str) -> str:
    """The same release may be loaded twice in a process, by two apps."""
    name, count = f"{PREFIX}{hash}", 1
    while name in sys.modules:
        count += 1
        name = f"{PREFIX}{hash}_{count}"
    return name


class _Loader(SourceFileLoader):
    space: Namespace

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self.space.builtins
        super().exec_module(module)


class _Finder:
    """One for all namespaces, asked for what lies below them and silent about all else."""

    def __init__(self) -> None:
        self.spaces: Final[dict[str, Namespace]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        space = self.spaces.get(name.partition(".")[0])
        return None if space is None or path is None else _find(name, path, space)


_FINDER: Final = _Finder()


def _find(name: str, path: Sequence[str], space: Namespace) -> ModuleSpec | None:
    """As Python looks along a path: the first module or package, else a folder without
    `__init__.py` as a package of all folders of that name."""
    folders: list[str] = []
    for entry in path:
        finder = FileFinder(
            entry, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_Loader, SOURCE_SUFFIXES)
        )
        spec = finder.find_spec(name)
        if spec is None:
            continue
        if spec.loader is not None:
            if isinstance(spec.loader, _Loader):
                spec.loader.space = space
            return spec
        folders += spec.submodule_search_locations or []
    if not folders:
        return None
    package = ModuleSpec(name, None, is_package=True)
    package.submodule_search_locations = folders
    return package
