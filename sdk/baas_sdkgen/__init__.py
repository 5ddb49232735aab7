"""Typed clients of one app, made of its manifest (`baas manifest`). Never imports the gateway."""

from baas_sdkgen.manifest import Manifest, ManifestError, read_manifest
from baas_sdkgen.output import Difference, compare, generate, write

__all__ = [
    "Difference",
    "Manifest",
    "ManifestError",
    "compare",
    "generate",
    "read_manifest",
    "write",
]
