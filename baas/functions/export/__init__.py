"""`baas fn export`: a release as a manifest of another cloud's tool, an entry file and a report.

Handlers under that cloud's own contract are named in the manifest as they are. Functions of this
kit go through the entry file, with the package beside it. What does not carry over is left out and
said in the report, function by function. Values of secrets are never written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from importlib import metadata
from typing import Any, Final

import msgspec

from baas.errors import ConfigurationError
from baas.functions.bundle import Bundle
from baas.functions.export import cron
from baas.functions.export.alibaba import serverless_devs
from baas.functions.export.aws import sam, serverless
from baas.functions.export.made import ENTRY, FOLDER, Made
from baas.functions.export.plan import Plan, Planned, Remark, Target, plan_of
from baas.functions.export.sources import Use, packages_of, use_of
from baas.functions.export.tencent import scf
from baas.functions.model import Release

__all__ = ["TARGETS", "Exported", "export"]

Maker = Callable[[str, Sequence[Planned]], Made]
TARGETS: Final[dict[str, tuple[Target, Maker]]] = {
    "sam": (
        Target(contract="lambda", cron=cron.aws, max_timeout=900, max_memory=10_240, queues=True),
        sam,
    ),
    "serverless-devs": (
        Target(contract="fc", cron=cron.alibaba, max_timeout=86_400, max_memory=32_768, step=64),
        serverless_devs,
    ),
    "serverless": (
        Target(contract="lambda", cron=cron.aws, max_timeout=900, max_memory=10_240),
        serverless,
    ),
    "scf": (
        Target(contract="scf", cron=cron.tencent, max_timeout=900, max_memory=3072, step=128),
        scf,
    ),
}
#: What the part of the kit imports that runs there; a test holds it to that.
RUNTIME_PACKAGES: Final = ("cronsim", "google-re2", "msgspec", "pyyaml", "tzdata")

_ENTRY_TEXT: Final = '''"""Made by `baas fn export`: functions of this app as handlers."""

from pathlib import Path

from baas.functions.export.entry import Entry

_entry = Entry(Path(__file__).parent, "{contract}")

{handlers}
'''
_SERVE_TEXT: Final = """
if __name__ == "__main__":
    import sys

    from baas.functions.export.serve import serve

    serve(globals()[sys.argv[1]])
"""


class Exported(msgspec.Struct, frozen=True):
    """`files` by path below the folder, without the kit's own; `kit` says that the package goes
    beside them."""

    target: str
    plan: Plan
    manifest: str
    document: dict[str, Any]
    files: dict[str, bytes]
    kit: bool


def export(
    release: Release, bundle: Bundle, target: str, app: str, names: Collection[str] = ()
) -> Exported:
    """`target` is one of TARGETS, `app` the app's name, `names` the functions, all where empty.
    ConfigurationError for a function that is not there, or where nothing carries over."""
    for name in names:
        if name not in release.functions:
            raise ConfigurationError(f"there is no function '{name}'")
    described, make = TARGETS[target]
    plan = plan_of(release, described, _uses(release, bundle), names)
    if not plan.functions:
        raise ConfigurationError(f"no function of this app carries over to {target}")
    _refuse_alike(plan.functions)
    made = make(app, plan.functions)
    files = {f"{FOLDER}/{path}": content for path, content in bundle.files.items()}
    files |= {name: text.encode() for name, text in made.extra.items()}
    through = [one for one in plan.functions if not one.direct]
    required, unknown = packages_of(bundle.files)
    if through:
        files[f"{ENTRY}.py"] = _entry(described.contract, through).encode()
        files["baas_release.json"] = msgspec.json.encode({"config": bundle.config})
        required = sorted({*required, *_own_packages()})
    listed = "".join(f"{line}\n" for line in required).encode()
    files["requirements.txt"] = listed
    if len(through) < len(plan.functions):
        files.setdefault(f"{FOLDER}/requirements.txt", listed)
    remarks = (*plan.remarks, *_general(target, through, unknown))
    plan = Plan(plan.functions, remarks)
    return Exported(target, plan, made.name, made.document, files, bool(through))


def _uses(release: Release, bundle: Bundle) -> dict[str, Use]:
    return {
        spec.file: use_of(bundle.files[path])
        for spec in release.functions.values()
        for path in bundle.files
        if spec.file == path or spec.file.endswith(f"/{path}")
    }


def _refuse_alike(functions: Sequence[Planned]) -> None:
    seen: dict[str, str] = {}
    for one in functions:
        # As logical ids have them: letters and digits.
        alike = re.sub(r"[\W_]", "", one.name).lower()
        other = seen.setdefault(alike, one.name)
        if other != one.name:
            raise ConfigurationError(f"'{one.name}' and '{other}' have one name there; rename one")


def _entry(contract: str, functions: Sequence[Planned]) -> str:
    lines = "\n".join(f'{one.identifier} = _entry.handler("{one.name}")' for one in functions)
    text = _ENTRY_TEXT.format(contract=contract, handlers=lines)
    return text + (_SERVE_TEXT if contract == "scf" else "")


def _own_packages() -> list[str]:
    return [f"{name}=={metadata.version(name)}" for name in RUNTIME_PACKAGES]


def _general(target: str, through: Sequence[Planned], unknown: list[str]) -> list[Remark]:
    found = [
        Remark("all", f"'{name}' is imported and not installed here: add it to requirements.txt")
        for name in unknown
    ]
    if not through:
        return found
    found.append(
        Remark(
            "all",
            "set BAAS_URL and BAAS_KEY (an admin key with the scopes that the functions need)"
            " there: ctx reaches the gateway by them; without, it answers NOT_SUPPORTED",
        )
    )
    if target == "scf":
        found.append(
            Remark(
                "all",
                "the newest Python that the component names is 3.7, the kit needs 3.11: functions"
                " of the kit go as a container image. Build it with the Dockerfile beside this,"
                " push it, and set BAAS_IMAGE to its address",
            )
        )
    return found
