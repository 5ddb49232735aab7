"""Builds the SDK that the sample apps carry along, from sdk/typescript.

    python -m scripts.page             writes them
    python -m scripts.page --check     fails where what is there is not what would be written

The page (public/) and the mini-program (examples/) are written by hand and need no build.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from scripts.node import install

ROOT: Final = Path(__file__).parents[1]
#: Where it goes, the form of its modules, and the platform in it.
BUILDS: Final = {
    "public/board/sdk.js": ("esm", "web"),
    "examples/board-miniprogram/baas/sdk.js": ("cjs", "wechat"),
}
_ENTRY: Final = """\
export {{ BaasError, command, createCloud }} from './index.js'
export {{ {platform} }} from './{platform}.js'
"""
_BANNER: Final = "// Built from sdk/typescript by `python -m scripts.page`."


def built(form: str, platform: str) -> str:
    """One module of ES2019. RuntimeError where it does not compile."""
    done = subprocess.run(
        [
            str(install() / "node_modules" / ".bin" / "esbuild"),
            *("--bundle", "--minify", f"--format={form}", "--target=es2019", "--charset=utf8"),
            *("--log-level=error", f"--banner:js={_BANNER}"),
        ],
        input=_ENTRY.format(platform=platform),
        cwd=ROOT / "sdk" / "typescript" / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def main() -> None:
    for name, (form, platform) in BUILDS.items():
        path, text = ROOT / name, built(form, platform)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{name} is old: run python -m scripts.page")


if __name__ == "__main__":
    main()
