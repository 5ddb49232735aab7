"""What the text of a function's file says of its needs: secrets, packages, parts of `ctx`.

Read, not run: a name that is made at run time is not found, and the report says so.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Final

import msgspec

#: Methods of the context that a function away from the gateway does not have, as the report names
#: them. Keys are attributes as they stand in the text.
_MISSING: Final = {
    "run_transaction": "ctx.database.run_transaction",
    "transaction": "ctx.database.transaction",
    "queue": "ctx.queue",
}
_KIT: Final = "baas"


class Use(msgspec.Struct, frozen=True):
    """`secrets` are names in `ctx.secrets["NAME"]`; `other_secrets`: there are some whose names
    only a run can tell; `missing` are parts of `ctx` that are not there outside a gateway."""

    secrets: frozenset[str] = frozenset()
    other_secrets: bool = False
    missing: tuple[str, ...] = ()


def use_of(source: bytes) -> Use:
    """Of one file that compiles."""
    names: set[str] = set()
    others = False
    missing: set[str] = set()
    tree = ast.parse(source)
    for name in _taken_secrets(tree):
        if name is None:
            others = True
        else:
            names.add(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _MISSING and _is_ctx(node.value):
            missing.add(_MISSING[node.attr])
    return Use(frozenset(names), others, tuple(sorted(missing)))


def _is_ctx(node: ast.AST) -> bool:
    """Whether it is a name, `ctx.database` or `ctx.as_caller().database`: not some `a.b.c`."""
    if isinstance(node, ast.Attribute):
        return node.attr == "database"
    return isinstance(node, ast.Name) and node.id in ("ctx", "context")


def _taken_secrets(tree: ast.AST) -> Iterator[str | None]:
    """Names taken of `.secrets`, None for what is no plain text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _is_secrets(node.value):
            yield _text(node.slice)
        elif isinstance(node, ast.Call) and _is_get(node.func) and node.args:
            yield _text(node.args[0])


def _is_get(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "get" and _is_secrets(node.value)


def _is_secrets(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "secrets"


def _text(node: ast.AST) -> str | None:
    found = node.value if isinstance(node, ast.Constant) else None
    return found if isinstance(found, str) else None


def packages_of(files: Mapping[str, bytes]) -> tuple[list[str], list[str]]:
    """Requirements for what these Python files import (`name==version` as installed here), and
    imported modules that belong to no installed package."""
    own = {path.split("/")[0].removesuffix(".py") for path in files}
    own |= {path.rsplit("/", 1)[-1].removesuffix(".py") for path in files}
    # Layers keep their packages in `python/`; those travel with the files.
    own |= {path.split("/python/", 1)[1].split("/")[0] for path in files if "/python/" in path}
    modules = (
        {
            module
            for path, source in files.items()
            if path.endswith(".py") and "/python/" not in path
            for module in _imported(ast.parse(source))
        }
        - own
        - {_KIT}
    )
    modules -= set(sys.stdlib_module_names)
    installed = metadata.packages_distributions()
    wanted = {dist for module in modules for dist in installed.get(module, [])[:1]}
    unknown = sorted(module for module in modules if module not in installed)
    return sorted(f"{dist}=={metadata.version(dist)}" for dist in wanted), unknown


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
