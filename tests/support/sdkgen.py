"""Manifests for the tests of the generator: one with hard names, one that means harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import msgspec
from baas_sdkgen import Manifest, generate, read_manifest

GOLDEN: Final = Path(__file__).parents[1] / "golden" / "sdk"

#: What would end a text, a comment or a template in one of the languages, and then do something.
HARM: Final = (
    '"', "'", '"""', "'''", "`", "\\", '\\"', "\\'", "*/", "/*", "//", "#", "${x}", "{x}", "{", "}",
    "\n", "\r", "\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85", "\x00", "\x7f", "\ufeff",
    '"; globalThis.harm = 1; "', "*/ globalThis.harm = 1 /*", "${globalThis.harm = 1}",
    "`; globalThis.harm = 1; `", "\nglobalThis.harm = 1\n", "\u2028globalThis.harm = 1\u2028",
    '"\nimport builtins; builtins.harm = 1\n"', '"""\nimport builtins; builtins.harm = 1\n"""',
    "\nimport builtins; builtins.harm = 1\n", "\rimport builtins; builtins.harm = 1\r",
    "{__import__('builtins')}", "%s", "%(x)s", "</script>", "\\u0022", "\\N{DIGIT ONE}",
    "é", "a\u0301", "\u202e", "🦄", "𝒳", "", " ", "-", "1", "None", "True", "class",
    "constructor", "__proto__",
)  # fmt: skip


def odd_manifest() -> Manifest:
    return read_manifest((GOLDEN / "manifest.json").read_bytes())


def harmful_manifest() -> Manifest:
    """Each of those in each place that a manifest has for a text."""
    properties = {text: {"type": "string", "description": text} for text in HARM}
    schema = {
        "type": "object",
        "description": "\n".join(HARM),
        "properties": {**properties, "kind": {"enum": list(HARM)}},
        "additionalProperties": False,
    }
    operations = dict.fromkeys(("read", "create", "update", "delete"), "depends")
    worst = [text for text in HARM if "harm" in text]
    roles = [*("nobody", "user"), *(f"r{number}{text}" for number, text in enumerate(worst))]
    access = {role: {"operations": operations} for role in roles}
    found = {
        "manifest": 1,
        "app": "harm",
        "audiences": roles,
        "collections": {
            f"c{number}{text}": {"schema": schema if number == 0 else None, "access": access}
            for number, text in enumerate(worst)
        },
        "functions": {
            f"f{number}{text}": {"summary": text, "description": text, "event": schema}
            for number, text in enumerate(HARM)
        },
        "schemas": {f"S{number}{text}": schema for number, text in enumerate(worst)},
        "channels": [{"channel": f"{text}{{id}}{text}"} for text in HARM],
    }
    return read_manifest(json.dumps(found).encode())


def manifest_of(**members: Any) -> Manifest:
    """A small one with these members changed."""
    small = {"manifest": 1, "app": "app", "audiences": ["nobody", "user"]}
    whole = {**small, "collections": {}, "functions": {}, **members}
    return read_manifest(msgspec.json.encode(whole))


def write_package(manifest: Manifest, language: str, folder: Path) -> None:
    for path, content in generate(manifest, language).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
