"""What clients can know of an app, as one JSON document: what `baas sdk generate` reads.

No rule text and nothing of the server's own is in it: the shapes of collections, functions and
paths, and for each *audience* (nobody, a user, a user with a role that some rule names) what the
rules could never allow it.
"""

from baas.manifest.build import MANIFEST_VERSION, Manifest, build_manifest

__all__ = ["MANIFEST_VERSION", "Manifest", "build_manifest"]
