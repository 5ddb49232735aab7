"""Rules from cloud-dev JSON files, as rule files of this kit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from baas.errors import ConfigurationError
from baas.ids import is_collection_name
from baas.rules import syntax as s
from baas.rules.collectionfile import read_collection
from baas.rules.model import Advice
from baas.rules.older import modernised
from baas.rules.presets import PRESETS
from baas.rules.syntax import RuleFault, parse_rule
from baas.yamlfile import quoted

_OPERATIONS: Final = ("read", "write", "create", "update", "delete")
_ACL_KEYS: Final = ("acl", "aclTag", "AclTag")


def import_rules(name: str, text: str, file: str) -> Iterator[tuple[str, str, list[Advice]]]:
    """Collection name, YAML text and advice for each collection that the file holds.

    A file holds one collection's rules (its name is `name`), or an object of them by collection.
    ConfigurationError where something cannot be read as rules.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as fault:
        raise ConfigurationError(
            f"not JSON: {fault.msg}", file=file, line=fault.lineno, column=fault.colno
        ) from None
    for collection, rules in _collections(name, data, file).items():
        if not is_collection_name(collection):
            raise ConfigurationError(f"'{collection}' cannot be a collection's name", file=file)
        converted = _yaml(collection, rules, file)
        _, advice = read_collection(collection, converted, f"{collection}.yaml")
        yield collection, converted, advice


def _collections(name: str, data: Any, file: str) -> Mapping[str, Any]:
    if isinstance(data, str) or (isinstance(data, dict) and _is_rules(data)):
        return {name: data}
    if isinstance(data, dict) and data and all(isinstance(v, (dict, str)) for v in data.values()):
        return data
    raise ConfigurationError('no rules: {"read": ..., "write": ...} is wanted', file=file)


def _is_rules(data: dict[str, Any]) -> bool:
    return any(key in data for key in (*_OPERATIONS, *_ACL_KEYS))


def _yaml(collection: str, rules: Any, file: str) -> str:
    preset = (
        rules if isinstance(rules, str) else next((rules[k] for k in _ACL_KEYS if k in rules), None)
    )
    head = f"collection: {collection}\n"
    if preset is not None:
        if preset not in PRESETS:
            raise ConfigurationError(f"{collection}: unknown preset {preset!r}", file=file)
        return f"{head}acl: {preset}\n"
    lines = [f"  {key}: {_rule(key, rules[key], file)}" for key in _OPERATIONS if key in rules]
    unknown = [key for key in rules if key not in _OPERATIONS]
    if unknown:
        raise ConfigurationError(f"{collection}: unknown key '{unknown[0]}'", file=file)
    return f"{head}rules:\n" + "\n".join(lines) + "\n"


def _rule(operation: str, value: Any, file: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ConfigurationError(f"{operation}: a rule is true, false or a text", file=file)
    text = modernised(value.strip())
    try:
        tree = parse_rule(text)
    except RuleFault as fault:
        raise ConfigurationError(
            f"{operation}: {fault.message} (at character {fault.offset + 1} of {value!r})",
            file=file,
        ) from None
    return quoted(_on_create(text, tree) if operation == "create" else text)


def _on_create(text: str, tree: s.Syntax) -> str:
    """What cloud-dev calls `doc` on create is the new document: `newDoc` here."""
    for at in sorted(_places_of_doc(tree), reverse=True):
        text = f"{text[:at]}newDoc{text[at + len('doc') :]}"
    return text


def _places_of_doc(node: Any) -> Iterator[int]:
    if isinstance(node, s.Name):
        if node.name == "doc":
            yield node.at
        return
    for name in node.__struct_fields__:
        value = getattr(node, name)
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "__struct_fields__"):
                yield from _places_of_doc(part)
