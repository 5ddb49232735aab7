"""The npm package of an app: `npm pack` in its folder makes what can be published."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

from baas_sdkgen.manifest import Manifest
from baas_sdkgen.names import snake
from baas_sdkgen.typescript import typescript

_RUNTIME: Final = Path(__file__).parent / "runtime" / "ts"
_EXPORT: Final = re.compile(
    r"^export (?:abstract )?(?:class|interface|type|const|function|async function) (\w+)", re.M
)
_VERSION: Final = "0.1.0"
#: Says of the second build what the package says of the first.
_COMMONJS: Final = """\
require('fs').writeFileSync('dist/cjs/package.json', '{"type":"commonjs"}\\n')
"""
_PLATFORMS: Final = ("web", "node", "wechat", "alipay", "uni", "taro")

_INDEX: Final = """\
// Made by `baas sdk generate`. What is changed here is lost.

import {{ Cloud, CloudOptions }} from './runtime/index.js'
import type {{ AppShape }} from './runtime/index.js'
import type {{ App }} from './{file}.gen.js'

export * from './runtime/index.js'
export * from './{file}.gen.js'

/** The client of {app}. For callers with a role: `createCloud<Moderator>(...)`. */
export function createCloud<A extends AppShape = App>(options: CloudOptions): Cloud<A> {{
  return new Cloud<A>({{ app: '{app}', ...options }})
}}
"""

_README: Final = """\
# {package}

The client of {app}, made by `baas sdk generate`: for browsers, Node 18 and later, WeChat and Alipay
mini-programs, uni-app and Taro. No dependencies.

```ts
import {{ createCloud }} from '{package}'
import {{ web }} from '{package}/web'

const cloud = createCloud({{ url: 'https://api.example.com', platform: web() }})
await cloud.auth().signInAnonymously()
const db = cloud.database()
```

In each place another platform: `web()`, `node()`, `wechat()`, `alipay()`, `uniapp()` from
`{package}/uni`, `taro(Taro)`. In Node the session lives in memory, and live queries need a
WebSocket: Node 22 has one, before that `npm install ws` and

```ts
import {{ node }} from '{package}/node'
import {{ WebSocket }} from 'ws'

const cloud = createCloud({{ url: 'https://api.example.com', platform: node({{ WebSocket }}) }})
```

A program written for `wx.cloud` takes `cloud` from `{package}/wx-cloud` and begins with
`cloud.init({{ url }})`.

To use it from its folder:

```sh
npm install && npm run build     # in here: the compiler, and dist/ (modules and CommonJS, ES2019)
npm install ./path/to/here       # in the program that uses it
```

`npm pack` makes the package to publish.
"""


def typescript_package(manifest: Manifest) -> dict[str, bytes]:
    """Contents by path."""
    package, file = f"{snake(manifest.app).replace('_', '-')}-cloud", snake(manifest.app)
    app = json.dumps(manifest.app)[1:-1].replace("'", "\\'")
    made = {
        "package.json": _json(_package(package)),
        "tsconfig.json": _json(_options("esnext", "bundler", "dist/esm")),
        "tsconfig.cjs.json": _json(_options("commonjs", "node10", "dist/cjs")),
        "commonjs.cjs": _COMMONJS,
        "README.md": _README.format(package=package, app=manifest.app),
        "src/index.ts": _INDEX.format(app=app, file=file),
        "src/wx-cloud.ts": "export * from './runtime/wx-cloud.js'\n",
        f"src/{file}.gen.ts": typescript(manifest, _exported()),
    }
    made |= {
        f"src/{name}.ts": f"export * from './runtime/platforms/{name}.js'\n" for name in _PLATFORMS
    }
    return {**_runtime(), **{path: text.encode() for path, text in made.items()}}


def _runtime() -> dict[str, bytes]:
    return {
        f"src/runtime/{path.relative_to(_RUNTIME).as_posix()}": path.read_bytes()
        for path in sorted(_RUNTIME.rglob("*.ts"))
    }


def _exported() -> frozenset[str]:
    """What the runtime exports: the app's own types get other names."""
    texts = [path.read_text() for path in sorted(_RUNTIME.rglob("*.ts"))]
    return frozenset(name for text in texts for name in _EXPORT.findall(text))


def _package(name: str) -> dict[str, Any]:
    entries = ("index", "wx-cloud", *_PLATFORMS)
    return {
        "name": name,
        "version": _VERSION,
        "description": "A client made by `baas sdk generate`.",
        "license": "MIT",
        "type": "module",
        "sideEffects": False,
        "main": "dist/cjs/index.js",
        "module": "dist/esm/index.js",
        "types": "dist/esm/index.d.ts",
        "miniprogram": "dist/cjs",
        # For compilers that do not read `exports`, as those of mini-programs are set up.
        "typesVersions": {"*": {one: [f"dist/cjs/{one}.d.ts"] for one in entries[1:]}},
        "exports": {_entry(one): _targets(one) for one in entries},
        "files": ["dist", "src"],
        "scripts": {
            "build": "tsc -p tsconfig.json && tsc -p tsconfig.cjs.json && node commonjs.cjs",
            "prepack": "npm run build",
        },
        "devDependencies": {"typescript": "~5.9.3"},
    }


def _entry(name: str) -> str:
    return "." if name == "index" else f"./{name}"


def _targets(name: str) -> dict[str, dict[str, str]]:
    """Types of its own for each kind: to a CommonJS program, those of modules are none."""
    kinds = {"import": "esm", "require": "cjs"}
    return {
        kind: {"types": f"./dist/{folder}/{name}.d.ts", "default": f"./dist/{folder}/{name}.js"}
        for kind, folder in kinds.items()
    }


def _options(module: str, resolution: str, out: str) -> dict[str, Any]:
    return {
        "compilerOptions": {
            "target": "ES2019",
            "lib": ["ES2019", "ES2018.AsyncIterable", "DOM", "DOM.Iterable"],
            "module": module,
            "moduleResolution": resolution,
            "strict": True,
            "skipLibCheck": True,
            "declaration": True,
            "types": [],
            "rootDir": "src",
            "outDir": out,
        },
        "include": ["src"],
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2) + "\n"
