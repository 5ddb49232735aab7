"""Manifests for AWS: a SAM template and a serverless.yml.

Sources: AWS SAM specification (Function with HttpApi, ScheduleV2 and SQS events; parameters with
NoEcho); Serverless Framework v3, "AWS - serverless.yml reference"; EventBridge Scheduler, "Adding
context attributes". Code lies beside the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from baas.functions.export.made import FOLDER, Made, code_of, handler_of, variables_of
from baas.functions.export.plan import Planned, Timer

RUNTIME: Final = "python3.12"
#: The newest that version 3 of the Serverless Framework knows.
SERVERLESS_RUNTIME: Final = "python3.11"
_REST: Final = re.compile(r"\{(\w+)\.\.\.\}")
_ANY: Final = "*"


def sam(app: str, functions: Sequence[Planned]) -> Made:
    wanted = sorted({name for one in functions for name in variables_of(one)})
    resources: dict[str, Any] = {}
    for one in functions:
        for trigger in one.queues:
            # The service wants a message to stay hidden for as long as six runs may take.
            hidden = {"VisibilityTimeout": one.timeout * 6}
            queue = f"{logical(trigger.queue)}Queue"
            resources[queue] = {"Type": "AWS::SQS::Queue", "Properties": hidden}
        resources[logical(one.name)] = {
            "Type": "AWS::Serverless::Function",
            "Properties": _sam_function(one),
        }
    document: dict[str, Any] = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Transform": "AWS::Serverless-2016-10-31",
        "Description": f"Functions of {app}",
    }
    if wanted:
        secret = {"Type": "String", "NoEcho": True}
        document["Parameters"] = {logical(name.lower()): dict(secret) for name in wanted}
    return Made("template.yaml", {**document, "Resources": resources})


def _sam_function(one: Planned) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "Runtime": RUNTIME,
        "CodeUri": code_of(one),
        "Handler": handler_of(one),
        "Timeout": one.timeout,
        "MemorySize": one.memory,
    }
    variables = one.env | {name: {"Ref": logical(name.lower())} for name in variables_of(one)}
    if variables:
        properties["Environment"] = {"Variables": variables}
    events = _sam_events(one)
    return properties | ({"Events": events} if events else {})


def _sam_events(one: Planned) -> dict[str, Any]:
    events: dict[str, Any] = {}
    for number, route in enumerate(one.routes, 1):
        method = "ANY" if route.method == _ANY else route.method
        wanted = {"Method": method, "Path": aws_path(route.path)}
        events[f"Http{number}"] = {"Type": "HttpApi", "Properties": wanted}
    for number, timer in enumerate(one.timers, 1):
        schedule = {
            "ScheduleExpression": timer.cron,
            "ScheduleExpressionTimezone": timer.tz,
            "Input": _text(scheduled(timer)),
        }
        events[f"Timer{number}"] = {"Type": "ScheduleV2", "Properties": schedule}
    for number, trigger in enumerate(one.queues, 1):
        source = {"Fn::GetAtt": [f"{logical(trigger.queue)}Queue", "Arn"]}
        batch = {"Queue": source, "BatchSize": trigger.batch}
        batch["FunctionResponseTypes"] = ["ReportBatchItemFailures"]
        events[f"Queue{number}"] = {"Type": "SQS", "Properties": batch}
    return events


def serverless(app: str, functions: Sequence[Planned]) -> Made:
    document = {
        "service": re.sub(r"[^a-z0-9-]", "-", app.lower()),
        "frameworkVersion": ">=3",
        "configValidationMode": "error",
        "provider": {"name": "aws", "runtime": SERVERLESS_RUNTIME},
        "functions": {one.identifier: _serverless_function(one) for one in functions},
    }
    return Made("serverless.yml", document)


def _serverless_function(one: Planned) -> dict[str, Any]:
    events: list[dict[str, Any]] = [
        {
            "httpApi": {
                "method": route.method.lower() if route.method != _ANY else _ANY,
                "path": aws_path(route.path),
            }
        }
        for route in one.routes
    ]
    for timer in one.timers:
        schedule = {"method": "scheduler", "rate": [timer.cron], "timezone": timer.tz}
        events.append({"schedule": {**schedule, "input": scheduled(timer)}})
    found: dict[str, Any] = {
        "handler": f"{FOLDER}/{one.handler}" if one.direct else handler_of(one),
        "timeout": one.timeout,
        "memorySize": one.memory,
    }
    variables = one.env | {name: f"${{env:{name}}}" for name in variables_of(one)}
    if one.direct:
        # There is one package for all: files of the folder find each other by the path.
        variables.setdefault("PYTHONPATH", f"/var/task/{FOLDER}")
    if variables:
        found["environment"] = variables
    return found | ({"events": events} if events else {})


def scheduled(timer: Timer) -> dict[str, Any]:
    """What the handler is sent: the scheduled event of EventBridge, with the scheduler's own words
    for the time."""
    return {
        "version": "0",
        "id": "<aws.scheduler.execution-id>",
        "detail-type": "Scheduled Event",
        "source": "aws.scheduler",
        "time": "<aws.scheduler.scheduled-time>",
        "resources": ["<aws.scheduler.schedule-arn>"],
        "detail": {} if timer.payload is None else timer.payload,
    }


def aws_path(path: str) -> str:
    return _REST.sub(r"{\1+}", path)


def logical(name: str) -> str:
    """A logical id: letters and digits alone."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
