"""`python -m tests.unit.sdkgen.accept`: the golden trees as they are made now."""

from __future__ import annotations

import shutil

from baas_sdkgen import generate
from baas_sdkgen.output import LANGUAGES, RECORD

from tests.support.sdkgen import GOLDEN, odd_manifest

for language in LANGUAGES:
    shutil.rmtree(GOLDEN / language, ignore_errors=True)
    for path, content in generate(odd_manifest(), language).items():
        if "/runtime/" not in path and path != RECORD:
            target = GOLDEN / language / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
