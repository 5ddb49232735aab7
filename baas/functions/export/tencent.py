"""serverless.yml of the component multi-scf for Tencent Cloud SCF.

Source: component multi-scf of the Serverless Cloud Framework, its configuration page and its types.
The newest Python that it names is older than the kit's, so functions of the kit go as a container
image; handlers of SCF's own contract go as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from baas.functions.export.made import ENTRY, Made, code_of, handler_of, variables_of
from baas.functions.export.plan import Planned

#: The newest Python that the component's page names.
RUNTIME: Final = "Python3.7"
IMAGE_VARIABLE: Final = "BAAS_IMAGE"
_REST: Final = re.compile(r"\{(\w+)\.\.\.\}")
_DOCKERFILE: Final = """FROM python:3.12-slim
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
EXPOSE 9000
"""


def scf(app: str, functions: Sequence[Planned]) -> Made:
    document = {
        "app": app,
        "stage": "dev",
        "component": "multi-scf",
        "name": app,
        "inputs": {
            "src": "./",
            "region": "ap-guangzhou",
            "runtime": RUNTIME,
            "functions": {one.name: _function(one) for one in functions},
            "triggers": [trigger for one in functions for trigger in _triggers(one)],
        },
    }
    images = any(not one.direct for one in functions)
    return Made("serverless.yml", document, {"Dockerfile": _DOCKERFILE} if images else {})


def _function(one: Planned) -> dict[str, Any]:
    found: dict[str, Any] = {
        "handler": handler_of(one),
        "memorySize": one.memory,
        "timeout": one.timeout,
    }
    if one.direct:
        found["src"] = code_of(one)
    else:
        command = {"command": "python", "args": f"{ENTRY}.py {one.identifier}"}
        found["image"] = {"imageUrl": f"${{env:{IMAGE_VARIABLE}}}", **command}
    variables = one.env | {name: f"${{env:{name}}}" for name in variables_of(one)}
    pairs = [{"key": name, "value": value} for name, value in variables.items()]
    return found | ({"environments": pairs} if pairs else {})


def _triggers(one: Planned) -> list[dict[str, Any]]:
    triggers: list[dict[str, Any]] = []
    for number, timer in enumerate(one.timers, 1):
        payload = timer.payload
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        parameters = {
            "name": f"{one.identifier}-{number}",
            "cronExpression": timer.cron,
            "enable": True,
            "argument": "" if payload is None else text,
        }
        triggers.append({"type": "timer", "function": one.name, "parameters": parameters})
    apis = [
        {
            "path": _REST.sub("{\\1}", route.path),
            "method": "ANY" if route.method == "*" else route.method,
            "function": one.name,
        }
        for route in one.routes
    ]
    if apis:
        gateway = {"name": one.identifier, "protocols": ["http", "https"], "apis": apis}
        triggers.append({"type": "apigw", "parameters": gateway})
    return triggers
