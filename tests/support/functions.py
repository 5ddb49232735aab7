"""Releases made of texts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from baas.errors import ConfigurationError
from baas.functions.bundle import Bundle, make_bundle, write_bundle
from baas.functions.load import load_release, unload
from baas.functions.model import Release
from baas.yamlfile import load_yaml

HEAD = "from baas import Context, fn\n"


def bundle_of(files: dict[str, str], manifest: str = "") -> Bundle:
    """`manifest` is the text of a baas.yaml."""
    data = load_yaml(dedent(manifest), "baas.yaml").data or {}
    return make_bundle({path: dedent(text).encode() for path, text in files.items()}, data)


@contextmanager
def released(files: dict[str, str] | str, manifest: str = "") -> Iterator[Release]:
    """The release of these files; one text is `main.py`, with `fn` and `Context` imported above
    its first line (which stays line 2)."""
    bundle = bundle_of(as_files(files), manifest)
    yaml = load_yaml(dedent(manifest), "baas.yaml")
    with TemporaryDirectory() as folder:
        release = load_release(bundle, write_bundle(bundle, Path(folder)), yaml=yaml)
        try:
            yield release
        finally:
            unload(release)


def refused(files: dict[str, str] | str, manifest: str = "") -> ConfigurationError:
    """The fault that keeps these files from loading."""
    try:
        with released(files, manifest):
            pass
    except ConfigurationError as fault:
        return fault
    raise AssertionError("it loaded")


def as_files(files: dict[str, str] | str) -> dict[str, str]:
    return {"main.py": HEAD + dedent(files).lstrip("\n")} if isinstance(files, str) else files
