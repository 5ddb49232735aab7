"""An export on disk: the folder's files, the kit's package, and the report."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import yaml

import baas
from baas.errors import ConfigurationError
from baas.functions.export import Exported

_LEFT: tuple[str, ...] = ("__pycache__", "docs_page", "templates", "*.pyc")


def write(exported: Exported, out: Path) -> list[str]:
    """Writes into `out`, which is new or empty; the names at its top, sorted."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigurationError("is there already and not empty", file=str(out))
    for path, content in exported.files.items():
        file = out / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    text = yaml.safe_dump(exported.document, sort_keys=False, allow_unicode=True)
    (out / exported.manifest).write_text(text, encoding="utf-8")
    if exported.kit:
        source = Path(baas.__file__).parent
        shutil.copytree(source, out / "baas", ignore=shutil.ignore_patterns(*_LEFT))
    report = report_of(exported)
    (out / "REPORT.md").write_text(report_text(exported), encoding="utf-8")
    (out / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    return sorted(f"{one.name}/" if one.is_dir() else one.name for one in out.iterdir())


def report_of(exported: Exported) -> dict[str, object]:
    return {
        "target": exported.target,
        "functions": [one.name for one in exported.plan.functions],
        "remarks": [msgspec.to_builtins(one) for one in exported.plan.remarks],
    }


def report_text(exported: Exported) -> str:
    names = ", ".join(one.name for one in exported.plan.functions)
    lines = [f"# Export to {exported.target}", "", f"Functions: {names}.", ""]
    lines += ["What does not carry over, or is to be done:", ""]
    lines += [f"- {one.about}: {one.text}" for one in exported.plan.remarks]
    return "\n".join(lines) + "\n"
