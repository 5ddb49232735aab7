"""Java and Maven, for the MongoDB that the tests talk to; installed if they are not there.

    python -m scripts.java             on Debian and Ubuntu installs what is missing

Nothing is needed where `BAAS_TEST_MONGO_URL` names a replica set.
"""

from __future__ import annotations

import os
import shutil
import sys
from typing import Final

from scripts.debian import install

#: Programs, and the packages that have them.
TOOLS: Final = {"javac": "default-jdk-headless", "mvn": "maven"}
_WHY: Final = "The tests of engine mongo run a server in Java"
_OTHERWISE: Final = "install a JDK and Maven, or name a replica set in BAAS_TEST_MONGO_URL"


def main() -> None:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing and "BAAS_TEST_MONGO_URL" not in os.environ:
        try:
            install(*missing, why=_WHY, otherwise=_OTHERWISE)
        except RuntimeError as fault:
            sys.exit(str(fault))
    print("java: is there", flush=True)


if __name__ == "__main__":
    main()
