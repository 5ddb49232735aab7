"""The Python distribution of an app: `python -m build` in its folder makes what is published."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from baas_sdkgen.manifest import Manifest
from baas_sdkgen.names import snake
from baas_sdkgen.python import python

_RUNTIME: Final = Path(__file__).parent / "runtime" / "py"
_EXPORT: Final = re.compile(r'^    "(\w+)",$', re.M)
_VERSION: Final = "0.1.0"

_PROJECT: Final = """\
[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "{version}"
description = "A client made by `baas sdk generate`."
readme = "README.md"
requires-python = ">=3.11"
license = "MIT"
dependencies = ["httpx>=0.27,<1", "websockets>=15"]

[tool.hatch.build.targets.wheel]
packages = ["src/{package}"]
"""
_INIT: Final = '''\
"""The client of {app}, made by `baas sdk generate`. What is changed here is lost.

    cloud = create_cloud("https://api.example.com")
    cloud.auth().sign_in_anonymously()
    page = cloud.database().collection("...").limit(20).get()

`create_async_cloud` makes the same for asyncio.
"""

from . import {file}, runtime
from .{file} import *
from .{file} import AsyncUserCloud as create_async_cloud
from .{file} import UserCloud as create_cloud
from .runtime import *

__all__ = ["create_async_cloud", "create_cloud"]
__all__ += {file}.__all__
__all__ += runtime.__all__
'''
_README: Final = """\
# {distribution}

The client of {app}, made by `baas sdk generate`, for Python 3.11 and later: asynchronous and
synchronous, typed.

```python
from {package} import create_cloud

with create_cloud("https://api.example.com") as cloud:
    cloud.auth().sign_in_anonymously()
    database = cloud.database()
```

`create_async_cloud` makes the same for asyncio: `async with`, and `await` before each call.
"""


def python_package(manifest: Manifest) -> dict[str, bytes]:
    """Contents by path."""
    name = snake(manifest.app)
    package, file = f"{name}_cloud", f"{name}_gen"
    words = {
        "app": manifest.app,
        "package": package,
        "file": file,
        "distribution": package.replace("_", "-").strip("-"),
        "version": _VERSION,
    }
    made = {
        "pyproject.toml": _PROJECT.format(**words),
        "README.md": _README.format(**words),
        f"src/{package}/__init__.py": _INIT.format(**words),
        f"src/{package}/py.typed": "",
        f"src/{package}/{file}.py": python(manifest, _exported()),
    }
    runtime = {
        f"src/{package}/runtime/{path.relative_to(_RUNTIME).as_posix()}": path.read_bytes()
        for path in sorted(_RUNTIME.rglob("*.py"))
    }
    return {**runtime, **{path: text.encode() for path, text in made.items()}}


def _exported() -> frozenset[str]:
    """What the runtime exports: the app's own types get other names."""
    text = (_RUNTIME / "__init__.py").read_text(encoding="utf-8")
    return frozenset(_EXPORT.findall(text))
