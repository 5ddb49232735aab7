"""Builds the SDK that the sample app's page uses, public/board/sdk.js, from sdk/typescript.

    python -m scripts.page             writes it
    python -m scripts.page --check     fails where what is there is not what would be written

The page itself is written by hand and needs no build.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from scripts.node import install

ROOT: Final = Path(__file__).parents[1]
OUT: Final = ROOT / "public" / "board" / "sdk.js"
_ENTRY: Final = """\
export { BaasError, command, createCloud } from './index.js'
export { web } from './web.js'
"""
_BANNER: Final = "// Built from sdk/typescript by `python -m scripts.page`."


def built() -> str:
    """One ES module of ES2019. RuntimeError where it does not compile."""
    done = subprocess.run(
        [
            str(install() / "node_modules" / ".bin" / "esbuild"),
            *("--bundle", "--minify", "--format=esm", "--target=es2019", "--charset=utf8"),
            *("--log-level=error", f"--banner:js={_BANNER}"),
        ],
        input=_ENTRY,
        cwd=ROOT / "sdk" / "typescript" / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main() -> None:
    text = built()
    if "--check" not in sys.argv:
        OUT.write_text(text, encoding="utf-8")
    elif not OUT.exists() or OUT.read_text(encoding="utf-8") != text:
        sys.exit(f"{OUT.relative_to(ROOT)} is old: run python -m scripts.page")


if __name__ == "__main__":
    main()
