"""One collection's rule file: keys checked, texts turned into rules, masks and a declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from baas.errors import ConfigurationError
from baas.query import expr as e
from baas.rules.advise import (
    advise_read,
    advise_rule,
    advise_schema,
    advise_search,
    looks_up_by_document,
)
from baas.rules.check import check_rule
from baas.rules.declaration import dotted, read_declaration
from baas.rules.model import Advice, CollectionRules, FieldMask, Operation, Rule
from baas.rules.older import modernised
from baas.rules.places import place_in
from baas.rules.presets import PRESETS
from baas.rules.scopes import MASK, scope_of
from baas.rules.syntax import RuleFault, Syntax, parse_rule
from baas.rules.vocabulary import (
    COMMON_ROOTS,
    CONSTANTS,
    FUNCTION_ARGUMENTS,
    Scope,
    closest,
)
from baas.yamlfile import Mark, Step, YamlFile, load_yaml, quoted

_TOP_KEYS: Final = (
    "collection",
    "schema",
    "indexes",
    "ttl",
    "define",
    "acl",
    "rules",
    "fields",
    "mode",
)
_RULE_KEYS: Final = (
    "read",
    "write",
    "create",
    "update",
    "delete",
    "count",
    "aggregate",
    "watch",
)
#: Keys of the shape that cloud-dev files have: rules at the top.
_OLDER_KEYS: Final = frozenset(_RULE_KEYS)
_WRITES: Final = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
_RESERVED: Final = frozenset((*COMMON_ROOTS, "doc", "newDoc", *CONSTANTS, *FUNCTION_ARGUMENTS))
DENIED: Final = Rule(expr=e.FALSE, text="false")


def read_collection(name: str, text: str, file: str) -> tuple[CollectionRules, list[Advice]]:
    """The rules of the collection `name`, and what `baas rules check` has to say of them."""
    source = text.replace("\t", " ") if file.endswith(".json") else text
    yaml = load_yaml(source, file)
    reader = _Reader(name, source, yaml)
    rules = reader.read()
    return rules, list(dict.fromkeys(reader.advice))  # one text may serve several operations


class _Text:
    """A rule as it stands in the file, or in a preset, where `path` is the preset's."""

    __slots__ = ("path", "shared", "text")

    def __init__(self, text: str, path: tuple[Step, ...], shared: bool) -> None:
        self.text = text
        self.path = path
        self.shared = shared


class _Reader:
    def __init__(self, name: str, source: str, yaml: YamlFile) -> None:
        self.name = name
        self.source = source
        self.yaml = yaml
        self.advice: list[Advice] = []
        self.defines: dict[str, Syntax] = {}
        self.older = False
        self._written: dict[tuple[Step, ...], str] = {}

    def read(self) -> CollectionRules:
        data = {} if self.yaml.data is None else self.yaml.data
        if not isinstance(data, dict):
            raise self.yaml.error("a rule file is a mapping of keys")
        self.older = not _OLDER_KEYS.isdisjoint(data) and not set(_TOP_KEYS) & set(data)
        self._check_keys(data, _RULE_KEYS if self.older else _TOP_KEYS, ())
        self._check_name(data)
        self.defines = self._read_defines(data.get("define"))
        spec = read_declaration(self.name, data, self.yaml)
        rules = self._read_rules(data)
        read = rules[Operation.READ]
        self.advice.extend(self._advice(message, read) for message in advise_read(read, spec))
        masks = self._read_masks(data.get("fields"))
        searches = (*advise_search(masks, spec), *advise_schema(masks, spec))
        self.advice.extend(self._advice(message, rule) for rule, message in searches)
        return CollectionRules(
            spec=spec,
            rules=rules,
            masks=masks,
            mode=self._choice(data, "mode", ("filter", "reject"), "filter"),
            file=self.yaml.file,
        )

    # -- the file's form --------------------------------------------------------------------------

    def _check_keys(
        self, data: Mapping[str, Any], known: tuple[str, ...], at: tuple[Step, ...]
    ) -> None:
        for key in data:
            if key in known:
                continue
            if known is _TOP_KEYS and key in _RULE_KEYS:
                raise self.yaml.error(f"'{key}' belongs below 'rules:'", key, key=True)
            advice = closest(key, known) or _comma_advice(data, key)
            raise self.yaml.error(f"unknown key '{key}'{advice}", *at, key, key=True)

    def _check_name(self, data: dict[str, Any]) -> None:
        given = data.get("collection", self.name)
        if given != self.name:
            raise self.yaml.error(
                f"the file's name says '{self.name}', this says {given!r}", "collection"
            )

    def _choice(self, data: dict[str, Any], key: str, options: Iterable[str], default: str) -> Any:
        value = data.get(key, default)
        known = tuple(options)
        if value not in known:
            raise self.yaml.error(f"'{key}' is one of {', '.join(known)}, not {value!r}", key)
        return value

    def _mapping(self, value: Any, *path: Step) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.yaml.error(f"'{path[-1]}' is a mapping", *path)
        return value

    def _text(self, value: Any, *path: Step) -> str:
        """A rule's text; `true` and `false` may stand bare."""
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str) and value.strip():
            self._written[path] = value
            return modernised(value) if self.older else value
        if isinstance(value, (dict, list)):
            raise self.yaml.error("a rule is a text; quote the whole of it: '...'", *path)
        raise self.yaml.error("a rule is true, false or an expression", *path)

    # -- named conditions -------------------------------------------------------------------------

    def _read_defines(self, value: Any) -> dict[str, Syntax]:
        out: dict[str, Syntax] = {}
        for name, text in self._mapping(value, "define").items():
            if not name.isidentifier() or name in _RESERVED:
                raise self.yaml.error(f"'{name}' cannot name a condition", "define", name, key=True)
            written = self._text(text, "define", name)
            try:
                out[name] = parse_rule(written)
            except RuleFault as fault:
                raise self._placed(fault, written, ("define", name)) from None
        self.defines = out
        for name in out:
            self._check_define(name, value[name])
        return out

    def _check_define(self, name: str, value: Any) -> None:
        """Faults of a condition are told where it stands, even if no rule uses it."""
        written, at = self._text(value, "define", name), ("define", name)
        others = dict(self.defines.items())
        self._checked(written, at, scope_of(Operation.UPDATE, shared=True), defines=others)

    # -- rules ------------------------------------------------------------------------------------

    def _read_rules(self, data: dict[str, Any]) -> dict[Operation, Rule]:
        texts = self._texts(data)
        rules = {op: self._rule(op, texts[op]) if op in texts else DENIED for op in Operation}
        if Operation.WATCH not in texts and Operation.READ in texts:
            rules[Operation.WATCH] = self._watch_like_read(rules[Operation.READ])
        for operation in (Operation.COUNT, Operation.AGGREGATE):
            if operation not in texts:
                rules[operation] = rules[Operation.READ]
        return rules

    def _texts(self, data: dict[str, Any]) -> dict[Operation, _Text]:
        texts: dict[Operation, _Text] = {}
        if "acl" in data:
            preset = self._choice(data, "acl", PRESETS, "ADMINONLY")
            for key, text in PRESETS[preset].items():
                texts[Operation(key)] = _Text(text, ("acl",), shared=True)
        at: tuple[Step, ...] = () if self.older else ("rules",)
        rules = data if self.older else self._mapping(data.get("rules"), "rules")
        if not self.older:
            self._check_keys(rules, _RULE_KEYS, at)
        if "write" in rules:
            path = (*at, "write")
            shared = _Text(self._text(rules["write"], *path), path, shared=True)
            texts.update(dict.fromkeys(_WRITES, shared))
        for key, value in rules.items():
            if key != "write":
                text = self._text(value, *at, key)
                texts[Operation(key)] = _Text(text, (*at, key), shared=self.older)
        return texts

    def _rule(self, operation: Operation, text: _Text) -> Rule:
        scope = scope_of(operation, shared=text.shared)
        define_scope = scope_of(operation, shared=True)
        rule = self._checked(
            text.text, text.path, scope, defines=self.defines, define_scope=define_scope
        )
        self._advise(rule, operation.value)
        return rule

    def _watch_like_read(self, read: Rule) -> Rule:
        if not looks_up_by_document(read.expr):
            return read
        self.advice.append(
            self._advice(
                "watch is refused: a get() that depends on doc cannot be followed; give 'watch:'"
                " a rule of its own",
                read,
            )
        )
        return DENIED

    def _advise(self, rule: Rule, operation: str) -> None:
        self.advice.extend(self._advice(message, rule) for message in advise_rule(rule, operation))

    def _advice(self, message: str, rule: Rule) -> Advice:
        return Advice(message=message, file=rule.file, line=rule.line, column=rule.column)

    # -- masks ------------------------------------------------------------------------------------

    def _read_masks(self, value: Any) -> tuple[FieldMask, ...]:
        masks: list[FieldMask] = []
        for name, rules in self._mapping(value, "fields").items():
            path = dotted(name, self.yaml, ("fields", name))
            if path[0] == "_id":
                raise self.yaml.error("'_id' is never masked", "fields", name, key=True)
            given = self._mapping(rules, "fields", name)
            self._check_keys(given, ("read", "write"), ("fields", name))
            parts = {key: self._mask_rule(given[key], name, key) for key in given}
            masks.append(FieldMask(path=path, read=parts.get("read"), write=parts.get("write")))
        return tuple(masks)

    def _mask_rule(self, value: Any, name: str, key: str) -> Rule:
        path = ("fields", name, key)
        rule = self._checked(self._text(value, *path), path, MASK, defines=self.defines)
        self._advise(rule, "mask")
        return rule

    # -- texts ------------------------------------------------------------------------------------

    def _checked(
        self,
        text: str,
        path: tuple[Step, ...],
        scope: Scope,
        *,
        defines: Mapping[str, Syntax],
        define_scope: Scope | None = None,
    ) -> Rule:
        try:
            expr, remarks = check_rule(text, scope, defines, define_scope)
        except RuleFault as fault:
            raise self._placed(fault, text, path) from None
        mark = self.yaml.values.get(path, Mark(0, 0))
        rule = Rule(expr=expr, text=text, file=self.yaml.file, line=mark.line, column=mark.column)
        for remark in remarks:
            place = self._place(text, path, remark.offset)
            self.advice.append(
                Advice(
                    message=remark.message,
                    file=self.yaml.file,
                    line=place.line,
                    column=place.column,
                )
            )
        return rule

    def _placed(self, fault: RuleFault, text: str, path: tuple[Step, ...]) -> ConfigurationError:
        place = self._place(text, path, fault.offset)
        message = fault.message
        if path in self.yaml.plain and self._is_cut(text, path):
            message += "; ' #' begins a comment unless the whole value is quoted"
        return ConfigurationError(
            message, file=self.yaml.file, line=place.line, column=place.column
        )

    def _is_cut(self, text: str, path: tuple[Step, ...]) -> bool:
        """Whether a comment follows on the line where the text ends."""
        end = self._place(text, path, len(text))
        return self.source.split("\n")[end.line - 1][end.column - 1 :].lstrip().startswith("#")

    def _place(self, text: str, path: tuple[Step, ...], offset: int) -> Mark:
        mark = self.yaml.values.get(path)
        written = self._written.get(path, text)
        return place_in(self.source, mark, written, offset) if mark else Mark(1, 1)


def _comma_advice(data: Mapping[str, Any], key: str) -> str:
    """`{read: size(a, b)}` is two keys to YAML: the second has no value."""
    if data[key] is not None or not any(sign in key for sign in "()[]'\" .="):
        return ""
    before = list(data)[: list(data).index(key)]
    if not before or not isinstance(data[before[-1]], str):
        return ": a comma inside {} begins a new key; quote the whole rule"
    whole = quoted(f"{data[before[-1]]}, {key}")
    return f": a comma inside {{}} begins a new key; quote the whole rule: {before[-1]}: {whole}"
