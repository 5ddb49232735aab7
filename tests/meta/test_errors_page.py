"""docs/errors.md lists the codes of errors.py, with their statuses, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from baas.errors import Code

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")


def test_the_table_is_the_table_of_the_source() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `([A-Z_]+)` \| [^|]+\. \| [^|]+\. \|$", PAGE, re.MULTILINE)

    assert rows == [(str(code.status), code.name) for code in Code]
