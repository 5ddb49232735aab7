"""Holds `baas fn export` against the tools that its manifests are for: `make test-export`.

Not a part of `make test`: it installs those tools (Node.js and npm are needed; about a minute) into
.venv/vendors. Two files of vendors are read from their public repositories, or, without a way
there, from the paths in FC3_SCHEMA and MULTI_SCF_TYPES:

- src/schema.json of devsapp/fc3, which `s verify` holds the properties of a function against
- src/interface/inputs.ts of serverless-components/tencent-multi-scf
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import jsonschema_rs
import yaml

ROOT: Final = Path(__file__).parents[1]
TOOLS: Final = Path(sys.prefix) / "vendors"
NODE_PACKAGES: Final = ("serverless@3.40.0", "osls@3", "typescript@5")
PYTHON_PACKAGES: Final = ("cfn-lint>=1.40", "aws-sam-translator>=1.100")
_GITHUB: Final = "https://raw.githubusercontent.com"
FC3_SCHEMA: Final = f"{_GITHUB}/devsapp/fc3/master/src/schema.json"
MULTI_SCF_TYPES: Final = (
    f"{_GITHUB}/serverless-components/tencent-multi-scf/master/src/interface/inputs.ts"
)
#: One of everything that carries over.
_MANIFEST: Final = """
app: {name: shop}
functions:
  aws: {handler: "foreign.py:handler", contract: lambda, triggers: [{http: "GET /aws"}]}
  fc: {handler: "foreign.py:handler", contract: fc, triggers: [{http: "GET /fc"}]}
  scf: {handler: "foreign.py:handler", contract: scf, triggers: [{http: "GET /scf"}]}
"""
_FUNCTIONS: Final = """
from baas import Context, fn

@fn.http("POST", "/orders/{id}", env={"STAGE": "live"}, timeout=20)
@fn.http("*", "/files/{rest...}")
@fn.timer("30 2 * * MON-FRI", tz="Asia/Shanghai", payload={"days": 7})
@fn.timer("0 */6 1,15 * *", tz="Asia/Shanghai")
@fn.on("queue.mails", batch=10)
async def everything(ctx: Context, event):
    return ctx.secrets["PAY_KEY"]

@fn.event(isolation="process", memory="1GiB", timeout=5000)
def heavy(ctx: Context, event):
    return 1
"""


def main() -> int:
    install()
    with TemporaryDirectory() as made:
        app = Path(made) / "app"
        (app / "functions").mkdir(parents=True)
        (app / "baas.yaml").write_text(_MANIFEST)
        (app / "functions/main.py").write_text(_FUNCTIONS)
        (app / "functions/foreign.py").write_text(
            "def handler(event, context):\n    return event\n"
        )
        results = [
            ("sam", "cfn-lint with aws-sam-translator", sam),
            ("serverless", "serverless 3.40.0, configValidationMode: error", serverless),
            ("serverless", "osls 3, configValidationMode: error", osls),
            ("serverless-devs", "the fc3 component's schema", fc3),
            ("scf", "the multi-scf component's types, tsc --strict", multi_scf),
        ]
        return max([told(app, *one) for one in results])


def told(app: Path, target: str, tool: str, check: Any) -> int:
    out = app.parent / f"{target}-{check.__name__}"
    command = [sys.executable, "-m", "baas", "fn", "export", "--target", target, "--out", str(out)]
    run(command, app)
    try:
        check(out)
    except (subprocess.CalledProcessError, ValueError) as fault:
        words = getattr(fault, "output", None) or str(fault)
        print(f"REFUSED  {target}: {tool}\n{words}")
        return 1
    print(f"accepted {target}: {tool}")
    return 0


# -- the tools ------------------------------------------------------------------------------------


def install() -> None:
    """Once; a stamp says which versions are there."""
    stamp, wanted = TOOLS / "stamp", " ".join((*NODE_PACKAGES, *PYTHON_PACKAGES))
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    TOOLS.mkdir(parents=True, exist_ok=True)
    (TOOLS / "package.json").write_text('{"private": true}\n')
    for package in NODE_PACKAGES:
        # Apart: serverless and osls have one command by one name.
        folder = node(package)
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        run(["npm", "install", "--silent", "--no-audit", "--no-fund", package], folder)
    run([sys.executable, "-m", "venv", str(TOOLS / "python")], TOOLS)
    run([str(TOOLS / "python/bin/pip"), "install", "--quiet", *PYTHON_PACKAGES], TOOLS)
    stamp.write_text(wanted)


def node(package: str) -> Path:
    return TOOLS / package.partition("@")[0]


def run(command: list[str], folder: Path, **environ: str) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sam(out: Path) -> None:
    run([str(TOOLS / "python/bin/cfn-lint"), "template.yaml"], out)


def serverless(out: Path, package: str = NODE_PACKAGES[0]) -> None:
    nobody = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "HOME": str(out)}
    values = {"BAAS_URL": "u", "BAAS_KEY": "k", "BAAS_SECRET_PAY_KEY": "p"}
    quiet = {"SLS_TELEMETRY_DISABLED": "1", "SLS_NOTIFICATIONS_MODE": "off"}
    command = str(node(package) / "node_modules/.bin/serverless")
    run([command, "package"], out, **nobody, **values, **quiet)


def osls(out: Path) -> None:
    serverless(out, NODE_PACKAGES[1])


def fc3(out: Path) -> None:
    document = yaml.safe_load((out / "s.yaml").read_text())
    schema = json.loads(vendors_file("FC3_SCHEMA", FC3_SCHEMA))
    validator = jsonschema_rs.validator_for(schema)
    for name, resource in document["resources"].items():
        # As the tool puts its variables in before it looks.
        props = {**resource["props"], "region": document["vars"]["region"]}
        faults = [f"{name}: {fault.message}" for fault in validator.iter_errors(props)]
        if faults:
            raise ValueError("\n".join(faults))


def multi_scf(out: Path) -> None:
    inputs = yaml.safe_load((out / "serverless.yml").read_text())["inputs"]
    folder = node(NODE_PACKAGES[2])
    (folder / "inputs.ts").write_bytes(vendors_file("MULTI_SCF_TYPES", MULTI_SCF_TYPES))
    text = (
        f"import {{ Inputs }} from './inputs';\nexport const made: Inputs = {json.dumps(inputs)};\n"
    )
    (folder / "made.ts").write_text(text)
    run(["node_modules/.bin/tsc", "--noEmit", "--strict", "made.ts"], folder)


def vendors_file(variable: str, url: str) -> bytes:
    if os.environ.get(variable):
        return Path(os.environ[variable]).read_bytes()
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
    return content


if __name__ == "__main__":
    sys.exit(main())
