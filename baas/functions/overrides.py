"""The parts of baas.yaml that speak of functions: `functions`, `services` and `aggregate`.

Read apart from the settings, because they change while the gateway runs and belong to a release:
they are hashed, kept and rolled back with the files. Faults have a line and a column where the
text is at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from baas.errors import ConfigurationError
from baas.functions.declare import build_trigger
from baas.functions.model import TRIGGER_KINDS, Trigger
from baas.functions.names import check_name, suggestion
from baas.functions.options import MANIFEST_OPTIONS, SHARED_OPTIONS, read_option
from baas.settings import FILE_NAME, MANIFEST_KEYS
from baas.yamlfile import Step, YamlFile, load_yaml

_NO_FILE: Final = YamlFile(FILE_NAME, {}, {}, {}, frozenset())
_OWN_KEYS: Final = ("handler", "enabled", "triggers")
_SERVICE_KEYS: Final = ("functions", "layers")
_TRIGGER_KEYS: Final = ("off", "on", "add")
#: The word that begins an entry of `triggers: {add: [...]}`, the name of its own field, and the
#: further fields.
_ADDED: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "event": ("", ()),
    "http": ("", ()),
    "timer": ("cron", ("tz", "missed", "payload")),
    "on": ("type", ("where", "prefix", "suffix", "batch", "ordered")),
    "before": ("type", ()),
    "webhook": ("path", ("secret", "scheme")),
}


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """`functions: {NAME: ...}`. `options` as FunctionSpec holds them; `handler` is `file:attr`.
    Of the triggers declared in code those of the kinds in `off` are dropped, and where `only` is
    given those of any other kind."""

    options: dict[str, Any] = {}
    handler: str = ""
    enabled: bool = True
    off: frozenset[str] = frozenset()
    only: frozenset[str] | None = None
    add: tuple[Trigger, ...] = ()

    def keeps(self, kind: str) -> bool:
        return kind not in self.off and (self.only is None or kind in self.only)


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """`services: {NAME: ...}`."""

    functions: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    options: dict[str, Any] = {}


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """All three sections. `shared` are the options under `functions: {"*": ...}`."""

    yaml: YamlFile = _NO_FILE
    functions: dict[str, Override] = {}
    shared: dict[str, Any] = {}
    services: dict[str, Service] = {}
    aggregate: dict[str, tuple[str, ...]] = {}

    def service_of(self, function: str) -> str | None:
        """The group that a function belongs to."""
        for name, service in self.services.items():
            if function in service.functions:
                return name
        return None


def read_manifest(folder: Path) -> tuple[dict[str, Any], YamlFile]:
    """The three sections of the app's baas.yaml as they stand, and the file for its lines."""
    path = folder / FILE_NAME
    if not path.is_file():
        return {}, _NO_FILE
    try:
        yaml = load_yaml(path.read_text(encoding="utf-8"), FILE_NAME)
    except (OSError, UnicodeDecodeError):
        raise ConfigurationError("cannot be read", file=FILE_NAME) from None
    data = yaml.data if isinstance(yaml.data, dict) else {}
    return {key: data[key] for key in MANIFEST_KEYS if data.get(key) is not None}, yaml


def parse_overrides(config: Mapping[str, Any], yaml: YamlFile | None = None) -> Overrides:
    """ConfigurationError at the first fault. `config` has the keys of MANIFEST_KEYS."""
    return _Reader(yaml or _NO_FILE).read(config)


class _Reader:
    def __init__(self, yaml: YamlFile) -> None:
        self.yaml = yaml

    def read(self, config: Mapping[str, Any]) -> Overrides:
        functions = dict(self._mapping(config.get("functions"), "functions"))
        shared = functions.pop("*", None)
        services = self._mapping(config.get("services"), "services")
        aggregate = self._mapping(config.get("aggregate"), "aggregate")
        found = Overrides(
            yaml=self.yaml,
            functions={name: self._override(name, given) for name, given in functions.items()},
            shared=self._options(shared, SHARED_OPTIONS, (), "functions", "*"),
            services={name: self._service(name, given) for name, given in services.items()},
            aggregate={name: self._worker(name, given) for name, given in aggregate.items()},
        )
        self._refuse_twice({name: s.functions for name, s in found.services.items()}, "services")
        self._refuse_twice(found.aggregate, "aggregate")
        return found

    # -- functions --------------------------------------------------------------------------------

    def _override(self, name: str, given: Any) -> Override:
        at = ("functions", name)
        self._check(name, "a function", *at)
        data = self._mapping(given, *at)
        handler, enabled = data.get("handler", ""), data.get("enabled", True)
        if not isinstance(handler, str) or (handler and handler.count(":") != 1):
            raise self.yaml.error("a handler is written file.py:name", *at, "handler")
        if not isinstance(enabled, bool):
            raise self.yaml.error("'enabled' is true or false", *at, "enabled")
        options = self._options(data, MANIFEST_OPTIONS, _OWN_KEYS, *at)
        triggers = self._triggers(data.get("triggers"), *at, "triggers")
        return Override(options=options, handler=handler, enabled=enabled, **triggers)

    def _triggers(self, given: Any, *at: Step) -> dict[str, Any]:
        """`off`, or a mapping of `off`, `on` (kinds) and `add` (further ones)."""
        if given in ("off", False):
            return {"off": frozenset(TRIGGER_KINDS)}
        if isinstance(given, list):
            return {"add": self._added(given, *at)}
        data = self._mapping(given, *at)
        self._check_keys(data, _TRIGGER_KEYS, *at)
        found: dict[str, Any] = {"add": self._added(data.get("add") or [], *at, "add")}
        if "off" in data:
            found["off"] = self._kinds(data["off"], *at, "off")
        if "on" in data:
            found["only"] = self._kinds(data["on"], *at, "on")
        return found

    def _kinds(self, given: Any, *at: Step) -> frozenset[str]:
        if given in ("all", True):
            return frozenset(TRIGGER_KINDS)
        items = given if isinstance(given, list) else [given]
        for kind in items:
            if kind not in TRIGGER_KINDS:
                hint = suggestion(str(kind), TRIGGER_KINDS) or (
                    f"; there are {', '.join(TRIGGER_KINDS)} and all"
                )
                raise self.yaml.error(f"unknown kind of trigger {kind!r}{hint}", *at)
        return frozenset(items)

    def _added(self, given: Any, *at: Step) -> tuple[Trigger, ...]:
        if not isinstance(given, list):
            raise self.yaml.error("triggers to add are a list", *at)
        return tuple(self._trigger(item, *at, i) for i, item in enumerate(given))

    def _trigger(self, item: Any, *at: Step) -> Trigger:
        """`event`, `{http: GET /path}`, `{timer: "0 3 * * *", tz: ...}`, `{on: TYPE, ...}`."""
        data = {item: True} if isinstance(item, str) else self._mapping(item, *at)
        kinds = [key for key in data if key in _ADDED]
        if len(kinds) != 1:
            raise self.yaml.error(f"a trigger begins with one of {', '.join(_ADDED)}", *at)
        kind = kinds[0]
        field, further = _ADDED[kind]
        self._check_keys(data, (kind, *further), *at)
        fields = {name: value for name, value in data.items() if name != kind}
        try:
            if kind == "http":
                fields |= _http_fields(data[kind])
            elif field:
                fields[field] = data[kind]
            return build_trigger(kind, fields)
        except ValueError as fault:
            raise self.yaml.error(str(fault), *at, kind) from None

    # -- services and workers ---------------------------------------------------------------------

    def _service(self, name: str, given: Any) -> Service:
        at = ("services", name)
        self._check(name, "a service", *at)
        data = self._mapping(given, *at)
        return Service(
            functions=self._names(data.get("functions") or [], *at, "functions"),
            layers=self._layers(data.get("layers") or [], *at, "layers"),
            options=self._options(data, SHARED_OPTIONS, _SERVICE_KEYS, *at),
        )

    def _layers(self, given: Any, *at: Step) -> tuple[str, ...]:
        if not isinstance(given, list):
            raise self.yaml.error("layers are a list of folders", *at)
        for position, item in enumerate(given):
            parts = item.split("/") if isinstance(item, str) else [""]
            if any(part in ("", ".", "..") for part in parts):
                raise self.yaml.error("a layer is a folder below the functions", *at, position)
        return tuple(given)

    def _worker(self, name: str, given: Any) -> tuple[str, ...]:
        self._check(name, "a worker", "aggregate", name)
        return self._names(given, "aggregate", name)

    def _names(self, given: Any, *at: Step) -> tuple[str, ...]:
        if not isinstance(given, list):
            raise self.yaml.error("a list of functions' names", *at)
        for position, item in enumerate(given):
            try:
                check_name(item, "a function")
            except ValueError as fault:
                raise self.yaml.error(str(fault), *at, position) from None
        return tuple(given)

    def _refuse_twice(self, members: Mapping[str, tuple[str, ...]], section: str) -> None:
        seen: dict[str, str] = {}
        for name, functions in members.items():
            for function in functions:
                other = seen.setdefault(function, name)
                if other != name:
                    raise self.yaml.error(f"'{function}' is in '{other}' already", section, name)

    # -- form -------------------------------------------------------------------------------------

    def _options(
        self, given: Any, known: tuple[str, ...], beside: tuple[str, ...], *at: Step
    ) -> dict[str, Any]:
        data = self._mapping(given, *at)
        self._check_keys(data, (*known, *beside), *at)
        found: dict[str, Any] = {}
        for key, value in data.items():
            if key in beside:
                continue
            try:
                found[key] = read_option(key, value)
            except ValueError as fault:
                raise self.yaml.error(str(fault), *at, key) from None
        return found

    def _mapping(self, value: Any, *at: Step) -> dict[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.yaml.error(f"'{at[-1]}' is a mapping", *at)
        return value

    def _check_keys(self, data: Mapping[str, Any], known: tuple[str, ...], *at: Step) -> None:
        for key in data:
            if key not in known:
                hint = suggestion(key, known) or f"; there are {', '.join(sorted(known))}"
                raise self.yaml.error(f"unknown key '{key}'{hint}", *at, key, key=True)

    def _check(self, name: str, what: str, *at: Step) -> None:
        try:
            check_name(name, what)
        except ValueError as fault:
            raise self.yaml.error(str(fault), *at, key=True) from None


def _http_fields(given: Any) -> dict[str, str]:
    method, _, path = given.partition(" ") if isinstance(given, str) else ("", "", "")
    if not path.strip():
        raise ValueError("a route is written GET /path")
    return {"method": method, "path": path.strip()}
