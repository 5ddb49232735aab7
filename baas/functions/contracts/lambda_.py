"""AWS Lambda: `handler(event, context)`.

Sources: AWS Lambda developer guide, "Using the Lambda context object to retrieve Python function
information" (methods and properties), "Using Lambda with Amazon API Gateway" (payload format 2.0
of HTTP APIs and function URLs, and how its responses are read), "Using Lambda with Amazon SQS"
(records and partial batch responses), Amazon EventBridge guide (scheduled events), Amazon S3 user
guide, "Event message structure". There is no account behind: ARNs carry zeros.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

from baas.functions.context import Context
from baas.functions.contracts.parts import (
    REQUESTS,
    memory_mb,
    moment,
    request_of,
    seconds_text,
)
from baas.functions.model import FunctionSpec

_ACCOUNT: Final = "000000000000"
_REGION: Final = "local"


class LambdaContext:
    """Attributes and the one method that Lambda documents."""

    identity: Any = None
    client_context: Any = None

    def __init__(self, context: Context, spec: FunctionSpec) -> None:
        self._context = context
        self.function_name = context.function
        self.function_version = spec.version or "$LATEST"
        self.invoked_function_arn = f"arn:aws:lambda:{_REGION}:{_ACCOUNT}:function:{spec.name}"
        self.memory_limit_in_mb = str(memory_mb(spec))
        self.aws_request_id = context.requestId
        self.log_group_name = f"/aws/lambda/{context.function}"
        self.log_stream_name = f"{datetime.now(UTC):%Y/%m/%d}/[{self.function_version}]"

    def get_remaining_time_in_millis(self) -> int:
        return int(self._context.remaining * 1000)


def context_of(context: Context, spec: FunctionSpec) -> LambdaContext:
    return LambdaContext(context, spec)


def event_of(context: Context, event: Any) -> Any:
    kind = context.trigger.kind
    if kind in REQUESTS:
        return _request(context, event)
    if kind == "timer":
        rule = f"arn:aws:events:{_REGION}:{_ACCOUNT}:rule/{context.function}"
        return {
            "version": "0",
            "id": context.invocationId or context.requestId,
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": _ACCOUNT,
            "time": seconds_text(moment(event, "scheduled")),
            "region": _REGION,
            "resources": [rule],
            "detail": event.get("payload") if isinstance(event.get("payload"), dict) else {},
        }
    if kind == "queue":
        queue = context.trigger.details.get("queue", "")
        return {"Records": [_record(queue, message) for message in event["messages"]]}
    if kind == "storage":
        return {"Records": [_file(context, event)]}
    return event


def _request(context: Context, event: Any) -> dict[str, Any]:
    """Payload format 2.0: no empty members, cookies apart, repeated values joined by commas."""
    request = request_of(context, event)
    now = datetime.now(UTC)
    headers = dict(request.headers)
    cookies = headers.pop("cookie", "")
    host = headers.get("host", "")
    key = f"{request.method} {request.route}"
    shaped: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": request.path,
        "rawQueryString": request.raw_query,
        "headers": headers,
        "requestContext": {
            "accountId": _ACCOUNT,
            "apiId": "baas",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": request.method,
                "path": request.path,
                "protocol": "HTTP/1.1",
                "sourceIp": request.ip,
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": context.requestId,
            "routeKey": key,
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": request.is_base64,
    }
    if cookies:
        shaped["cookies"] = [one.strip() for one in cookies.split(";") if one.strip()]
    if request.query:
        shaped["queryStringParameters"] = request.joined_query
    if request.params:
        shaped["pathParameters"] = request.params
    if request.body is not None:
        shaped["body"] = request.body
    return shaped


def _record(queue: str, message: dict[str, Any]) -> dict[str, Any]:
    body = message["body"]
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    now = str(int(datetime.now(UTC).timestamp() * 1000))
    return {
        "messageId": message["id"],
        "receiptHandle": message["id"],
        "body": text,
        "attributes": {
            "ApproximateReceiveCount": str(message.get("attempt", 1)),
            # When it was sent is not told to consumers here.
            "SentTimestamp": now,
            "SenderId": _ACCOUNT,
            "ApproximateFirstReceiveTimestamp": now,
        },
        "messageAttributes": {},
        "md5OfBody": digest,
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{_REGION}:{_ACCOUNT}:{queue}",
        "awsRegion": _REGION,
    }


def _file(context: Context, event: dict[str, Any]) -> dict[str, Any]:
    """An S3 notification's record, version 2.1: the key is encoded as in a form."""
    time = moment(event, "time")
    put = event["operation"] == "put"
    stored = {"size": event["size"], "eTag": event["hash"]} if put else {}
    sequencer = f"{int(time.timestamp() * 1000):016X}"
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": _REGION,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03d}Z",
        "eventName": "ObjectCreated:Put" if put else "ObjectRemoved:Delete",
        "userIdentity": {"principalId": event.get("actor") or "baas"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": context.requestId, "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": context.function,
            "bucket": {
                "name": "baas",
                "ownerIdentity": {"principalId": _ACCOUNT},
                "arn": "arn:aws:s3:::baas",
            },
            "object": {
                "key": quote_plus(event["path"], safe="/"),
                **stored,
                "sequencer": sequencer,
            },
        },
    }


def result_of(kind: str, returned: Any) -> Any:
    """For a request, what has no `statusCode` is a body in JSON; for a queue,
    `batchItemFailures` says which messages failed."""
    if kind == "queue" and isinstance(returned, dict) and "batchItemFailures" in returned:
        return {"failed": [one["itemIdentifier"] for one in returned["batchItemFailures"] or ()]}
    if kind not in REQUESTS:
        return returned
    if isinstance(returned, dict) and "statusCode" in returned:
        return _with_cookies(returned)
    body = returned if isinstance(returned, str) else json.dumps(returned, ensure_ascii=False)
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": body}


def _with_cookies(returned: dict[str, Any]) -> dict[str, Any]:
    """`cookies` of format 2.0, and `multiValueHeaders` of 1.0, as headers."""
    headers: dict[str, Any] = dict(returned.get("headers") or {})
    headers |= returned.get("multiValueHeaders") or {}
    if returned.get("cookies"):
        headers["Set-Cookie"] = list(returned["cookies"])
    status = returned["statusCode"]
    whole = int(status) if isinstance(status, str) and status.isdecimal() else status
    return {**returned, "statusCode": whole, "headers": headers}
