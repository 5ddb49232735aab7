"""Alibaba Cloud Function Compute: `handler(event, context)`, the event as bytes.

Sources: Function Compute documents "Handlers" (Python; event is bytes), "Context" (members for
Python 3.12, and those of earlier runtimes beside them), "Use an HTTP trigger to invoke a function"
(structures of FC 3.0; `rawPath` is as it was sent, `http.path` decoded, several values are joined
by commas), "Formats of event for different triggers"; the vendor's Go types (events/ of
github.com/aliyun/fc-runtime-go-sdk) and sample events (github.com/awesome-fc/code-example).
There is no account behind: its ids and credentials are empty.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

import msgspec

from baas.functions.context import Context
from baas.functions.contracts.parts import (
    REQUESTS,
    handler_name,
    memory_mb,
    moment,
    request_of,
    seconds_text,
)
from baas.functions.model import FunctionSpec


class Credentials(msgspec.Struct, frozen=True):
    access_key_id: str = ""
    access_key_secret: str = ""
    security_token: str = ""


class FunctionMeta(msgspec.Struct, frozen=True, kw_only=True):
    """`memory` in MB, `timeout` in seconds."""

    name: str
    handler: str
    memory: int
    timeout: int
    version_id: str
    qualifier: str = "LATEST"


class ServiceMeta(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    log_project: str = ""
    log_store: str = ""
    qualifier: str = "LATEST"
    version_id: str = ""


class Tracing(msgspec.Struct, frozen=True):
    span_context: str = ""
    jaeger_endpoint: str = ""
    span_baggages: dict[str, str] = {}

    def parseOpenTracingBaggages(self) -> dict[str, str]:
        return self.span_baggages


class FcContext(msgspec.Struct, frozen=True, kw_only=True):
    """The members of every documented runtime at once."""

    request_id: str
    function: FunctionMeta
    service: ServiceMeta
    credentials: Credentials = Credentials()
    tracing: Tracing = Tracing()
    region: str = ""
    account_id: str = ""
    log_project: str = ""
    log_store: str = ""
    logger: Any = None

    @property
    def requestId(self) -> str:
        return self.request_id

    @property
    def accountId(self) -> str:
        return self.account_id

    def getLogger(self) -> logging.Logger:
        return logging.getLogger(f"baas.functions.{self.function.name}")


def event_of(context: Context, event: Any) -> bytes:
    kind = context.trigger.kind
    if kind in REQUESTS:
        event = _request(context, event)
    elif kind == "timer":
        payload = event.get("payload")
        event = {
            "triggerTime": seconds_text(moment(event, "time")),
            "triggerName": context.function,
            "payload": payload if isinstance(payload, str) else _text(payload),
        }
    elif kind == "storage":
        event = {"events": [_file(context, event)]}
    return json.dumps(event, ensure_ascii=False).encode()


def _file(context: Context, event: dict[str, Any]) -> dict[str, Any]:
    """An event of an OSS trigger."""
    time = moment(event, "time")
    put = event["operation"] == "put"
    size = event["size"] if put else 0
    stored = {
        "key": event["path"],
        "size": size,
        "deltaSize": size,
        "eTag": event["hash"],
        "objectMeta": {"mimeType": event.get("contentType", "")},
    }
    bucket = {"arn": "acs:oss:::baas", "name": "baas", "ownerIdentity": "", "virtualBucket": ""}
    return {
        "eventName": "ObjectCreated:PutObject" if put else "ObjectRemoved:DeleteObject",
        "eventSource": "acs:oss",
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z",
        "eventVersion": "1.0",
        "oss": {
            "bucket": bucket,
            "object": stored,
            "ossSchemaVersion": "1.0",
            "ruleId": context.function,
        },
        "region": "",
        "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"requestId": context.requestId},
        "userIdentity": {"principalId": event.get("actor") or ""},
    }


def _request(context: Context, event: Any) -> dict[str, Any]:
    request = request_of(context, event)
    now = datetime.now(UTC)
    host = request.headers.get("host", "")
    return {
        "version": "v1",
        "rawPath": request.raw_path,
        "headers": request.headers,
        "queryParameters": request.joined_query,
        "body": request.body or "",
        "isBase64Encoded": request.is_base64,
        "requestContext": {
            "accountId": "",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "requestId": context.requestId,
            "time": seconds_text(now),
            "timeEpoch": str(int(now.timestamp() * 1000)),
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.ip,
                "userAgent": request.headers.get("user-agent", ""),
            },
        },
    }


def _text(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def context_of(context: Context, spec: FunctionSpec) -> FcContext:
    function = FunctionMeta(
        name=context.function,
        handler=handler_name(spec),
        memory=memory_mb(spec),
        timeout=round(spec.timeout),
        version_id=spec.version,
    )
    service = ServiceMeta(name=spec.group or "", version_id=spec.version)
    log = logging.getLogger(f"baas.functions.{context.function}")
    return FcContext(request_id=context.requestId, function=function, service=service, logger=log)


def result_of(kind: str, returned: Any) -> Any:
    """Texts and bytes are the answer's body. For a request, a JSON text with a `statusCode` is the
    response structure, as that of FC 3.0."""
    if isinstance(returned, bytes):
        returned = returned.decode("utf-8", "replace")
    if kind not in REQUESTS or not isinstance(returned, str):
        return returned
    try:
        structure = json.loads(returned)
    except ValueError:
        structure = None
    if isinstance(structure, dict) and "statusCode" in structure:
        return structure
    kind_of_text = "text/plain; charset=utf-8" if structure is None else "application/json"
    return {"statusCode": 200, "headers": {"Content-Type": kind_of_text}, "body": returned}
