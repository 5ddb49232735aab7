"""Settings as a person is shown them: what is in force, why, and where it comes from."""

from __future__ import annotations

import ast
import inspect
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import msgspec

from baas import settings as source
from baas.errors import ConfigurationError
from baas.settings import FILE_NAME, Settings, load_settings
from baas.yamlfile import load_yaml

Origin: TypeAlias = Literal["default", "file", "environment", "command"]

#: Named so, a setting's value is shown to nobody; `rate_password` is no password.
_SECRET: Final = re.compile(r"(?<!rate_)(secret|password|access_key|token)$|secret_key")
#: An address with a password in it is a secret, whatever its name.
_WITH_PASSWORD: Final = re.compile(r"://[^/\s@]*:[^/\s@]*@")


class SettingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """`value` and `default` are None where `secret`: then `set` says whether there is one.
    `pending`: the file or the environment say otherwise by now; a restart would heed them."""

    section: str
    key: str
    value: Any
    default: Any
    origin: Origin
    secret: bool
    set: bool
    pending: bool
    text: str


def settings_shown(
    folder: Path, settings: Settings, environ: Mapping[str, str] | None = None
) -> list[SettingInfo]:
    """Every setting, in the order of the source."""
    environ = os.environ if environ is None else environ
    written = _written(folder)
    now = _as_now(folder, environ)
    return [_info(*one, written, environ, now) for one in _each(settings)]


def _each(settings: Settings) -> Iterator[tuple[str, Any, Any]]:
    for section in msgspec.structs.fields(Settings):
        values = getattr(settings, section.name)
        for field in msgspec.structs.fields(section.type):
            yield section.name, field, getattr(values, field.name)


def _info(
    section: str,
    field: Any,
    value: Any,
    written: dict[str, Any],
    environ: Mapping[str, str],
    now: Settings | None,
) -> SettingInfo:
    key = field.name
    secret = bool(_SECRET.search(key)) or bool(_WITH_PASSWORD.search(str(value)))
    origin = _origin(section, key, value, field.default, written, environ)
    return SettingInfo(
        section=section,
        key=key,
        value=None if secret else value,
        default=None if secret else field.default,
        origin=origin,
        secret=secret,
        set=value != field.default,
        pending=origin != "command" and now is not None and _of(now, section, key) != value,
        text=_texts()[section].get(key, ""),
    )


def _origin(
    section: str,
    key: str,
    value: Any,
    default: Any,
    written: dict[str, Any],
    environ: Mapping[str, str],
) -> Origin:
    if f"BAAS_{section}__{key}".upper() in environ:
        return "environment"
    if key in (written.get(section) or {}):
        return "file"
    return "default" if value == default else "command"


def _of(settings: Settings, section: str, key: str) -> Any:
    return getattr(getattr(settings, section), key)


def _as_now(folder: Path, environ: Mapping[str, str]) -> Settings | None:
    """What a start would find; None where it would not start."""
    try:
        return load_settings(folder, environ)
    except ConfigurationError:
        return None


def _written(folder: Path) -> dict[str, Any]:
    try:
        data = load_yaml((folder / FILE_NAME).read_text("utf-8"), FILE_NAME).data
    except (OSError, UnicodeDecodeError, ConfigurationError):
        return {}
    return data if isinstance(data, dict) else {}


@cache
def _texts() -> dict[str, dict[str, str]]:
    """Each setting's docstring, from the source: what docs/settings.md shows."""
    tree = ast.parse(inspect.getsource(source))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    sections = msgspec.structs.fields(Settings)
    return {one.name: _docstrings(classes[one.type.__name__]) for one in sections}


def _docstrings(node: ast.ClassDef) -> dict[str, str]:
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
