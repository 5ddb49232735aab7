"""A release put together: what was declared in code, with what baas.yaml says of it.

Options, from weak to strong: the kit's default, `functions: {"*": ...}`, the service's, the
decorator's, `functions: {NAME: ...}`. Environments and labels add up in that order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

from baas.errors import ConfigurationError
from baas.functions.bundle import Bundle
from baas.functions.collect import Collector, Declared, Extra, FunctionDeclaration
from baas.functions.declare import build_trigger
from baas.functions.model import (
    HOOKS,
    EventTrigger,
    FunctionSpec,
    Group,
    Hook,
    Initializer,
    Middleware,
    Mount,
    Reach,
    Release,
    Trigger,
    kind_of,
)
from baas.functions.mounts import is_wsgi
from baas.functions.names import check_name, suggestion
from baas.functions.namespace import Namespace
from baas.functions.options import DECORATOR_OPTIONS, read_option
from baas.functions.overrides import Override, Overrides
from baas.functions.routes import parse_mount
from baas.functions.signature import Signature, read_signature

_ADDING_UP: Final = ("env", "labels")
_NO_OVERRIDE: Final = Override()


class Assembly:
    """One release in the making."""

    def __init__(
        self,
        bundle: Bundle,
        space: Namespace,
        overrides: Overrides,
        collector: Collector,
        label: str,
        layers: Iterable[str],
    ) -> None:
        self.bundle = bundle
        self.space = space
        self.overrides = overrides
        self.collector = collector
        self.label = label
        self.layers = tuple(layers)
        self.names: dict[Callable[..., Any], str] = {}
        self.functions: dict[str, FunctionSpec] = {}

    def release(self) -> Release:
        for declaration in self.collector.functions:
            self._add(declaration)
        for name, override in self.overrides.functions.items():
            if override.handler:
                self._add_handler(name, override)
            elif name not in self.names.values():
                raise self._unknown(name, ("functions", name), key=True)
        return Release(
            hash=self.bundle.hash,
            namespace=self.space.name,
            folder=self.space.folder,
            functions=self.functions,
            mounts=tuple(self._mount(extra) for extra in self._extras("mount")),
            hooks=tuple(self._hook(extra) for extra in self._extras("hook")),
            middleware=tuple(self._middleware(extra) for extra in self._extras("middleware")),
            initializers=tuple(self._initializer(extra) for extra in self._extras("initializer")),
            groups=self._groups(),
            aggregate=self._aggregate(),
            config=self.bundle.config,
        )

    # -- functions --------------------------------------------------------------------------------

    def _add(self, declaration: FunctionDeclaration) -> None:
        file, line = self._file(declaration.module), declaration.line
        options = self._declared_options(declaration, file)
        name = options.pop("name", None) or getattr(declaration.handler, "__name__", "")
        self._refuse_twin(name, file, line)
        self.names[declaration.handler] = name
        override = self.overrides.functions.get(name, _NO_OVERRIDE)
        if not override.enabled:
            return
        declared = sorted(declaration.triggers, key=lambda one: one.line)
        triggers = [self._trigger(one, file) for one in declared]
        kept = tuple(trigger for trigger in triggers if override.keeps(kind_of(trigger)))
        target = f"{self._relative(declaration.module)}:{declaration.handler.__name__}"
        self._keep(
            name, declaration.handler, target, file, line, options, override, kept + override.add
        )

    def _add_handler(self, name: str, override: Override) -> None:
        """A function that baas.yaml alone declares, by file and name."""
        at = ("functions", name, "handler")
        path, _, attribute = override.handler.partition(":")
        module = path.removesuffix(".py").replace("/", ".")
        if name in self.names.values():
            raise self.overrides.yaml.error(f"'{name}' is declared in code already", *at)
        handler = self._attribute(module, attribute, at)
        self.names.setdefault(handler, name)
        if not override.enabled:
            return
        file, line = self._file(f"{self.space.name}.{module}"), _line_of(handler)
        triggers = override.add or (EventTrigger(),)
        target = f"{module}:{attribute}"
        self._keep(name, handler, target, file, line, {}, override, triggers)

    def _attribute(self, module: str, attribute: str, at: tuple[str, ...]) -> Any:
        files = {path.removesuffix(".py").replace("/", ".") for path in self.bundle.files}
        if module not in files and f"{module}.__init__" not in files:
            hint = suggestion(module, files)
            raise self.overrides.yaml.error(f"there is no file '{module}.py'{hint}", *at)
        loaded = self.space.load(module)
        handler = getattr(loaded, attribute, None)
        if not callable(handler):
            known = [name for name, value in vars(loaded).items() if callable(value)]
            hint = suggestion(attribute, known)
            raise self.overrides.yaml.error(
                f"there is no function '{attribute}' in {module}.py{hint}", *at
            )
        return handler

    def _keep(
        self,
        name: str,
        handler: Callable[..., Any],
        target: str,
        file: str,
        line: int,
        options: dict[str, Any],
        override: Override,
        triggers: tuple[Trigger, ...],
    ) -> None:
        merged = self._merged(name, options, override)
        signature = self._signature(handler, merged, file, line)
        self._settle_isolation(name, merged, signature, file, line)
        if merged.get("max_workers", 0) < merged.get("min_workers", 0):
            merged["max_workers"] = merged["min_workers"]
        self.functions[name] = FunctionSpec(
            name=name,
            handler=handler,
            target=target,
            file=file,
            line=line,
            triggers=triggers,
            is_async=signature.is_async,
            takes=signature.takes,
            event_type=signature.event_type,
            result_type=signature.result_type,
            group=self.overrides.service_of(name),
            version=self.bundle.hash,
            **merged,
        )

    def _declared_options(self, declaration: FunctionDeclaration, file: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value, line in declaration.options:
            try:
                if name not in DECORATOR_OPTIONS:
                    hint = suggestion(name, DECORATOR_OPTIONS)
                    raise ValueError(f"unknown option '{name}'{hint}")
                read = read_option(name, value)
            except ValueError as fault:
                raise ConfigurationError(str(fault), file=file, line=line) from None
            if found.setdefault(name, read) != read:
                raise ConfigurationError(
                    f"'{name}' is given twice, and not alike", file=file, line=line
                )
        return found

    def _merged(self, name: str, options: dict[str, Any], override: Override) -> dict[str, Any]:
        service = self.overrides.services.get(self.overrides.service_of(name) or "")
        merged: dict[str, Any] = {}
        for layer in (
            self.overrides.shared,
            service.options if service else {},
            options,
            override.options,
        ):
            for key, value in layer.items():
                adds = key in _ADDING_UP and key in merged
                merged[key] = {**merged[key], **value} if adds else value
        return merged

    def _signature(
        self, handler: Callable[..., Any], merged: dict[str, Any], file: str, line: int
    ) -> Signature:
        native = merged.get("contract", "native") == "native"
        try:
            return read_signature(handler, native=native)
        except ValueError as fault:
            raise ConfigurationError(str(fault), file=file, line=line) from None

    def _settle_isolation(
        self, name: str, merged: dict[str, Any], signature: Signature, file: str, line: int
    ) -> None:
        """The default, and what cannot be together. A member of a shared worker is a process."""
        shares = any(name in members for members in self.overrides.aggregate.values())
        default = "process" if shares else "inline" if signature.is_async else "thread"
        isolation = merged.setdefault("isolation", default)
        fault = ""
        if shares and isolation != "process":
            fault = f"'{name}' shares a worker (aggregate:), so its isolation must be process"
        elif merged.get("memory") is not None and isolation != "process":
            fault = "a memory limit needs isolation: process"
        if fault:
            raise ConfigurationError(fault, file=file, line=line)

    def _trigger(self, declared: Declared, file: str) -> Trigger:
        try:
            return build_trigger(declared.kind, declared.fields, declared.line)
        except ValueError as fault:
            raise ConfigurationError(str(fault), file=file, line=declared.line) from None

    def _refuse_twin(self, name: str, file: str, line: int) -> None:
        try:
            check_name(name, "a function")
        except ValueError as fault:
            raise ConfigurationError(f"{fault}; give it name=", file=file, line=line) from None
        for handler, other in self.names.items():
            if other.lower() == name.lower():
                place = f"{self._file(handler.__module__)}:{_line_of(handler)}"
                raise ConfigurationError(
                    f"there is a function '{other}' already, at {place}", file=file, line=line
                )

    # -- what stands beside functions -------------------------------------------------------------

    def _extras(self, kind: str) -> list[Extra]:
        return [extra for extra in self.collector.extras if extra.kind == kind]

    def _mount(self, extra: Extra) -> Mount:
        file = self._file(extra.module)
        try:
            path = parse_mount(extra.fields["path"])
        except ValueError as fault:
            raise ConfigurationError(str(fault), file=file, line=extra.line) from None
        if not callable(extra.run):
            raise ConfigurationError("a mount is an ASGI or WSGI app", file=file, line=extra.line)
        wsgi = extra.fields["wsgi"]
        return Mount(
            path=path,
            app=extra.run,
            wsgi=is_wsgi(extra.run) if wsgi is None else bool(wsgi),
            file=file,
            line=extra.line,
        )

    def _hook(self, extra: Extra) -> Hook:
        when = extra.fields["when"]
        if when not in HOOKS:
            hint = suggestion(str(when), HOOKS) or f"; there are {', '.join(HOOKS)}"
            raise self._fault(extra, f"unknown hook {when!r}{hint}")
        return Hook(when=when, run=extra.run, reach=self._reach(extra))

    def _middleware(self, extra: Extra) -> Middleware:
        if not read_is_async(extra.run):
            raise self._fault(extra, "middleware is async: async def f(ctx, event, proceed)")
        reach = self._reach(extra)
        scope: Literal["global", "group", "function"] = "global"
        if reach.functions:
            scope = "function"
        elif reach.groups:
            scope = "group"
        return Middleware(run=extra.run, scope=scope, reach=reach)

    def _initializer(self, extra: Extra) -> Initializer:
        reach = self._reach(extra)
        if not (reach.functions or reach.groups):
            reach = Reach(module=self._relative(extra.module))
        return Initializer(run=extra.run, reach=reach)

    def _reach(self, extra: Extra) -> Reach:
        """Named functions and groups; for what a layer declares, the groups that use the layer."""
        functions = frozenset(self._named(extra, item) for item in extra.fields["functions"])
        groups = frozenset(extra.fields.get("groups", ()))
        for group in groups - set(self.overrides.services):
            hint = suggestion(str(group), self.overrides.services)
            raise self._fault(extra, f"there is no group {group!r} in services:{hint}")
        layer = self._relative(extra.module).rpartition(".")[0].replace(".", "/")
        if layer in self.layers and not (functions or groups):
            services = self.overrides.services.items()
            groups = frozenset(name for name, service in services if layer in service.layers)
        return Reach(functions=functions, groups=groups)

    def _named(self, extra: Extra, item: Any) -> str:
        name = self.names.get(item) if callable(item) else item
        if name not in self.names.values():
            shown = getattr(item, "__name__", item)
            raise self._fault(
                extra, f"there is no function {shown!r}{suggestion(str(shown), self._known())}"
            )
        return str(name)

    # -- groups and workers -----------------------------------------------------------------------

    def _groups(self) -> dict[str, Group]:
        found: dict[str, Group] = {}
        for name, service in self.overrides.services.items():
            self._check_members(service.functions, "services", name, "functions")
            members = tuple(f for f in service.functions if f in self.functions)
            self._check_layers(name, service.layers, members)
            found[name] = Group(
                name=name,
                functions=members,
                layers=service.layers,
                labels=service.options.get("labels", {}),
                env=service.options.get("env", {}),
            )
        return found

    def _check_layers(self, name: str, layers: tuple[str, ...], members: tuple[str, ...]) -> None:
        """Packages of a layer could meet those of the gateway, so they need a process."""
        for position, layer in enumerate(layers):
            if not any(path.startswith(f"{layer}/python/") for path in self.bundle.files):
                continue
            for member in members:
                if self.functions[member].isolation != "process":
                    raise self.overrides.yaml.error(
                        f"the layer '{layer}' brings packages, so '{member}' needs"
                        " isolation: process",
                        "services",
                        name,
                        "layers",
                        position,
                    )

    def _aggregate(self) -> dict[str, tuple[str, ...]]:
        for name, members in self.overrides.aggregate.items():
            self._check_members(members, "aggregate", name)
        return {
            name: tuple(member for member in members if member in self.functions)
            for name, members in self.overrides.aggregate.items()
        }

    def _check_members(self, members: tuple[str, ...], *at: str) -> None:
        for position, member in enumerate(members):
            if member not in self.names.values():
                raise self._unknown(member, (*at, position))

    def _unknown(self, name: str, at: tuple[Any, ...], *, key: bool = False) -> Exception:
        hint = suggestion(name, self._known()) or "; one that code does not declare needs handler:"
        return self.overrides.yaml.error(f"there is no function '{name}'{hint}", *at, key=key)

    def _known(self) -> list[str]:
        return list(self.names.values())

    # -- places -----------------------------------------------------------------------------------

    def _fault(self, extra: Extra, message: str) -> ConfigurationError:
        return ConfigurationError(message, file=self._file(extra.module), line=extra.line)

    def _relative(self, module: str) -> str:
        return module.removeprefix(self.space.name).lstrip(".")

    def _file(self, module: str) -> str:
        """The module's file as it is called in the app's folder."""
        loaded = sys.modules.get(module)
        file = getattr(loaded, "__file__", None) or f"{self._relative(module)}.py"
        return f"{self.label}/{file.removeprefix(f'{self.space.folder}/')}"


def read_is_async(function: Any) -> bool:
    try:
        return read_signature(function, native=False).is_async
    except ValueError:
        return False


def _line_of(handler: Callable[..., Any]) -> int:
    code = getattr(handler, "__code__", None)
    return code.co_firstlineno if code is not None else 1
