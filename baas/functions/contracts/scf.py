"""Tencent Cloud SCF: `main_handler(event, context)`, both dicts.

Sources: the vendor's page on writing functions for Python (every member of context), documents
583/31439 (event of API Gateway with integrated requests, and the other triggers' messages),
583/17530 (CKafka), 583/9708 (timer), 583/9707 (COS); the sample events of its command line tool
(github.com/tencentyun/scfcli); the types and tests of its Go library, for repeated and bare names
of a query (github.com/tencentyun/scf-go-lib). There is no account behind: ids of account and region
are empty.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_plus

from baas.functions.context import Context
from baas.functions.contracts.parts import (
    REQUESTS,
    Request,
    memory_mb,
    moment,
    request_of,
    seconds_text,
)
from baas.functions.model import FunctionSpec

_STAGE = "release"


def event_of(context: Context, event: Any) -> Any:
    kind = context.trigger.kind
    if kind in REQUESTS:
        return _request(context, event)
    if kind == "timer":
        return {
            "Type": "Timer",
            "TriggerName": context.function,
            "Time": seconds_text(moment(event, "time")),
            "Message": _text(event.get("payload")),
        }
    if kind == "queue":
        queue = context.trigger.details.get("queue", "")
        return {"Records": [_record(queue, one, at) for at, one in enumerate(event["messages"])]}
    if kind == "storage":
        return {"Records": [_file(event)]}
    return event


def _request(context: Context, event: Any) -> dict[str, Any]:
    request = request_of(context, event)
    return {
        "requestContext": {
            "serviceId": "",
            "path": request.route,
            "httpMethod": request.method,
            "requestId": context.requestId,
            "identity": {},
            "sourceIp": request.ip,
            "stage": _STAGE,
        },
        "headers": request.headers,
        "body": request.body or "",
        "isBase64Encoded": request.is_base64,
        "pathParameters": request.params,
        "queryStringParameters": {},
        "headerParameters": {},
        "stageVariables": {"stage": _STAGE},
        "path": request.path,
        "queryString": _query(request),
        "httpMethod": request.method,
    }


def _query(request: Request) -> dict[str, Any]:
    """Repeated names have lists, and names without `=` have true."""
    bare = {unquote_plus(one) for one in request.raw_query.split("&") if "=" not in one}
    return {
        name: True if name in bare and values == [""] else values if len(values) > 1 else values[0]
        for name, values in request.query.items()
    }


def _record(queue: str, message: dict[str, Any], at: int) -> dict[str, Any]:
    return {
        "Ckafka": {
            "topic": queue,
            "partition": 0,
            "offset": at,
            "msgKey": message["id"],
            "msgBody": _text(message["body"]),
        }
    }


def _file(event: dict[str, Any]) -> dict[str, Any]:
    """A COS notification's record. The key has account and bucket before the path."""
    put = event["operation"] == "put"
    meta = {"x-cos-request-id": "", "Content-Type": event.get("contentType", "")}
    stored = {"url": "", "meta": meta, "vid": "", "key": f"/0/baas/{event['path']}"}
    return {
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {**stored, "size": event["size"]},
            "cosBucket": {"region": "", "name": "baas", "appid": "0"},
            "cosNotificationId": "unkown",  # as it is written there
        },
        "event": {
            "eventName": "cos:ObjectCreated:Put" if put else "cos:ObjectRemove:Delete",
            "eventVersion": "1.0",
            "eventTime": int(moment(event, "time").timestamp()),
            "eventSource": "qcs::cos",
            "requestParameters": {"requestSourceIP": "", "requestHeaders": {}},
            "eventQueue": "",
            "reservedInfo": "",
            "reqid": 0,
        },
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def context_of(context: Context, spec: FunctionSpec) -> dict[str, Any]:
    environment = dict(context.config)
    return {
        "memory_limit_in_mb": memory_mb(spec),
        "time_limit_in_ms": round(spec.timeout * 1000),
        "request_id": context.requestId,
        "environment": json.dumps(environment, ensure_ascii=False),
        "environ": ";".join(f"{name}={value}" for name, value in environment.items()),
        "function_version": spec.version,
        "function_name": context.function,
        "namespace": spec.group or "default",
        "tencentcloud_region": "",
        "tencentcloud_appid": "",
        "tencentcloud_uin": "",
    }


def result_of(kind: str, returned: Any) -> Any:
    """As returned: `{"isBase64Encoded", "statusCode", "headers", "body"}` for a request, any JSON
    else."""
    return returned.decode("utf-8", "replace") if isinstance(returned, bytes) else returned
