"""The app's functions as they are in its folder, for commands that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from baas.errors import ConfigurationError
from baas.functions.bundle import read_bundle, write_bundle
from baas.functions.load import load_release, unload
from baas.functions.model import Release
from baas.functions.overrides import read_manifest
from baas.functions.rules import load_function_rules
from baas.rules.model import Advice
from baas.settings import Settings


@contextmanager
def loaded_functions(app: Path, settings: Settings) -> Iterator[Release]:
    """The release of an app's folder, loaded in this process. ConfigurationError where it does
    not load."""
    config, yaml = read_manifest(app)
    bundle = read_bundle(app / settings.app.functions, config)
    with TemporaryDirectory() as copies:
        folder = write_bundle(bundle, Path(copies))
        release = load_release(bundle, folder, yaml=yaml, label=settings.app.functions)
        try:
            yield release
        finally:
            unload(release)


def function_advice(app: Path, settings: Settings) -> list[Advice]:
    """Remarks on rules/_functions.yaml, names that no function has among them. Where the functions
    do not load, that is the remark."""
    rules = load_function_rules(app / settings.app.rules)
    try:
        with loaded_functions(app, settings) as release:
            mounts = {mount.path or "/" for mount in release.mounts}
            return [*rules.advice, *rules.unknown_names(release.functions, mounts)]
    except ConfigurationError as fault:
        message = f"the functions do not load: {fault.message}"
        place = Advice(
            message=message, file=fault.file, line=fault.line or 0, column=fault.column or 0
        )
        return [*rules.advice, place]
