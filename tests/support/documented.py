"""What the source says of each setting: its type, default and docstring, read from the text."""

from __future__ import annotations

import ast
import inspect
import json
from typing import Any

import msgspec

from baas import settings


class Documented(msgspec.Struct, frozen=True):
    """One setting, as the page has to show it."""

    section: str
    key: str
    default: str
    text: str

    @property
    def row(self) -> str:
        return f"| `{self.key}` | {self.default} | {self.text} |"


def documented_settings() -> list[Documented]:
    """Every field of every section, in the order of the source."""
    tree = ast.parse(inspect.getsource(settings))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    found = []
    for section in msgspec.structs.fields(settings.Settings):
        texts = _docstrings(classes[section.type.__name__])
        for field in msgspec.structs.fields(section.type):
            default = _shown(field.default)
            text = texts.get(field.name, "")
            found.append(Documented(section.name, field.name, default, text))
    return found


def _docstrings(node: ast.ClassDef) -> dict[str, str]:
    """The string that follows each annotated name."""
    texts = {}
    for statement, following in zip(node.body, node.body[1:], strict=False):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
        ):
            texts[statement.target.id] = " ".join(str(following.value.value).split())
    return texts


def _shown(default: Any) -> str:
    """As one writes it in YAML; nothing for what is empty."""
    if default in ("", ()):
        return ""
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{json.dumps(default) if isinstance(default, bool) else default}`"
