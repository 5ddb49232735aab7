"""Secrets for compose.yaml: random ones, into `.env`, for its owner's eyes alone.

A file that is there is left as it is: other secrets would not open what the old ones have sealed.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

ENV = Path(__file__).parents[1] / ".env"
#: A URL holds the password of MongoDB, so only letters and digits.
NAMES = {
    "BAAS_SECRET": 32,
    "MONGO_PASSWORD": 24,
    "MONGO_KEY": 64,
    "S3_ACCESS_KEY": 10,
    "S3_SECRET_KEY": 24,
}


def main() -> int:
    lines = [f"{name}={secrets.token_hex(size)}\n" for name, size in NAMES.items()]
    try:
        descriptor = os.open(ENV, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        print(f"{ENV.name} is there already and stays as it is")
        return 1
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.writelines(lines)
    print(f"{ENV.name}: {len(NAMES)} secrets. Keep a copy: without them the data cannot be read.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
