"""From a bundle to a release: modules imported, declarations checked, baas.yaml laid over them.

Every fault is a ConfigurationError with the file, as it is called in the app's folder, and the
line. Nothing of a release with a fault is kept.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, Final

from baas.errors import ConfigurationError
from baas.functions.assemble import Assembly
from baas.functions.bundle import Bundle
from baas.functions.checks import check_release
from baas.functions.collect import Collector, begin
from baas.functions.model import Release
from baas.functions.namespace import Namespace
from baas.functions.overrides import Overrides, parse_overrides
from baas.yamlfile import YamlFile

_SUFFIX: Final = ".py"
#: Where a layer keeps the packages that its functions import.
LAYER_PACKAGES: Final = "python"


def load_release(
    bundle: Bundle, folder: Path, *, yaml: YamlFile | None = None, label: str = "functions"
) -> Release:
    """The release of `bundle`, whose files lie in `folder` (see `write_bundle`).

    Imports user code: may take long, may raise only ConfigurationError. `label` is how the
    functions folder is called in messages; `yaml` gives faults of baas.yaml their lines. Let go of
    it with `unload`.
    """
    overrides = parse_overrides(bundle.config, yaml)
    layers = _layers(bundle, overrides)
    space = Namespace(bundle.hash, folder, _path(bundle, folder, layers), label)
    try:
        collector = Collector()
        begin(collector)
        for module in _modules(bundle, layers):
            _import(space, module, label)
        begin(None)
        release = Assembly(bundle, space, overrides, collector, label, layers).release()
        check_release(release)
        return release
    except BaseException:
        space.drop()
        raise
    finally:
        begin(None)


def unload(release: Release) -> None:
    """Forgets the modules of a release that nothing calls any more."""
    space = Namespace.of(release.namespace)
    if space is not None:
        space.drop()


# -- modules --------------------------------------------------------------------------------------


def _layers(bundle: Bundle, overrides: Overrides) -> list[str]:
    """Every layer in use, each once, in the order of the services that list them."""
    found: dict[str, None] = {}
    for name, service in overrides.services.items():
        for position, layer in enumerate(service.layers):
            if not any(path.startswith(f"{layer}/") for path in bundle.files):
                raise overrides.yaml.error(
                    f"there is no folder '{layer}' below the functions",
                    "services",
                    name,
                    "layers",
                    position,
                )
            found[layer] = None
    return list(found)


def _path(bundle: Bundle, folder: Path, layers: list[str]) -> list[Path]:
    """Folders of the layers' packages, in order."""
    return [
        folder / layer / LAYER_PACKAGES
        for layer in layers
        if any(path.startswith(f"{layer}/{LAYER_PACKAGES}/") for path in bundle.files)
    ]


def _modules(bundle: Bundle, layers: list[str]) -> list[str]:
    """The modules to import: the layers' own, then every file without a leading `_` in its path,
    in the order of names."""
    found: list[str] = []
    for layer in layers:
        found += sorted(
            _module_of(path)
            for path in bundle.files
            if path.endswith(_SUFFIX) and path.rpartition("/")[0] == layer
        )
    packages = tuple(f"{layer}/" for layer in layers)
    for path in sorted(bundle.files):
        parts = path.split("/")
        hidden = any(part.startswith("_") for part in parts[:-1])
        private = parts[-1].startswith("_") and parts[-1] != "__init__.py"
        if path.endswith(_SUFFIX) and not (hidden or private or path.startswith(packages or "\0")):
            found.append(_module_of(path))
    return [module for module in dict.fromkeys(found) if module]


def _module_of(path: str) -> str:
    """`orders/list.py` is `orders.list`, `orders/__init__.py` is `orders`."""
    parts = path.removesuffix(_SUFFIX).split("/")
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _import(space: Namespace, module: str, label: str) -> None:
    for part in module.split("."):
        if not part.isidentifier():
            raise ConfigurationError(
                f"'{part}' cannot be a module's name; rename the file, or begin it with '_'",
                file=f"{label}/{module.replace('.', '/')}.py",
            )
    try:
        space.load(module)
    except ConfigurationError:
        raise
    except BaseException as fault:
        raise _import_fault(fault, space.folder, module, label) from fault


def _import_fault(
    fault: BaseException, folder: Path, module: str, label: str
) -> ConfigurationError:
    """Where in the functions' own files it happened, and what."""
    file, line = f"{module.replace('.', '/')}.py", None
    if isinstance(fault, SyntaxError) and fault.filename:
        file, line = _relative(fault.filename, folder) or file, fault.lineno
    else:
        for frame, number in traceback.walk_tb(fault.__traceback__):
            inside = _relative(frame.f_code.co_filename, folder)
            if inside is not None:
                file, line = inside, number
    text = fault.msg if isinstance(fault, SyntaxError) else str(fault)
    message = f"{type(fault).__name__}: {text}".rstrip(": ")
    return ConfigurationError(message, file=f"{label}/{file}", line=line)


def _relative(file: str, folder: Path) -> str | None:
    try:
        return Path(file).relative_to(folder).as_posix()
    except ValueError:
        return None


def attribute(module: Any, name: str) -> Any:
    """`module.a.b`; None where it is not there."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module
