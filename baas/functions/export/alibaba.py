"""s.yaml of Serverless Devs for Alibaba Cloud Function Compute 3.0.

Source: component fc3 of Serverless Devs, its specification of s.yaml and its schema.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from baas.functions.export.made import Made, code_of, handler_of, variables_of
from baas.functions.export.plan import Planned

#: The newest that the component's schema names.
RUNTIME: Final = "python3.12"
_METHODS: Final = ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS")
_DISK_MIB: Final = 512
#: 1 to 4 GiB of memory for each core, in steps of 0.05.
_MIB_PER_CORE: Final = 2048


def serverless_devs(app: str, functions: Sequence[Planned]) -> Made:
    document = {
        "edition": "3.0.0",
        "name": app,
        "access": "default",
        "vars": {"region": "cn-hangzhou"},
        "resources": {
            one.identifier: {"component": "fc3", "props": _props(app, one)} for one in functions
        },
    }
    return Made("s.yaml", document)


def _props(app: str, one: Planned) -> dict[str, Any]:
    props: dict[str, Any] = {
        "region": "${vars.region}",
        "functionName": f"{app}-{one.name}",
        "runtime": RUNTIME,
        "code": code_of(one),
        "handler": handler_of(one),
        "timeout": one.timeout,
        "memorySize": one.memory,
        "cpu": max(0.05, round(one.memory / _MIB_PER_CORE * 20) / 20),
        "diskSize": _DISK_MIB,
    }
    variables = one.env | {name: f"${{env('{name}')}}" for name in variables_of(one)}
    if variables:
        props["environmentVariables"] = variables
    triggers = _triggers(one)
    return props | ({"triggers": triggers} if triggers else {})


def _triggers(one: Planned) -> list[dict[str, Any]]:
    triggers: list[dict[str, Any]] = []
    if one.routes:
        declared = {route.method for route in one.routes}
        methods = [method for method in _METHODS if "*" in declared or method in declared]
        config: dict[str, Any] = {"authType": "anonymous", "methods": methods}
        triggers.append({"triggerName": "http", "triggerType": "http", "triggerConfig": config})
    for number, timer in enumerate(one.timers, 1):
        payload = timer.payload
        text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
        config = {"cronExpression": timer.cron, "enable": True}
        config |= {} if payload is None else {"payload": text}
        name = f"timer{number}"
        triggers.append({"triggerName": name, "triggerType": "timer", "triggerConfig": config})
    return triggers
