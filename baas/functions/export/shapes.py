"""Events of other clouds as calls of this kit's, and its results as answers of theirs.

The reverse of `baas.functions.contracts`, whose modules name the vendors' documents.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from baas.errors import Problem, invalid

_JSON_TYPE: Final = re.compile(r"application/(?:[\w.+-]+\+)?json")
_FORM: Final = "application/x-www-form-urlencoded"


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """What a cloud sent. `kind` is `http`, `timer`, `queue` or `event`; for a request `event` has
    neither `params` nor a decoded body yet, and `body` is its bytes."""

    kind: str
    event: Any
    body: bytes = b""
    request_id: str = ""
    ip: str = ""
    queue: str = ""


def came(contract: str, event: Any, context: Any) -> Came:
    """`event` as that contract's cloud gives it."""
    request_id = _request_id(contract, context)
    if contract == "fc" and isinstance(event, (bytes, str)):
        event = _json_or_text(event)
    if isinstance(event, dict):
        if _is_request(event):
            return _request(event, request_id)
        found = _TIMERS[contract](event)
        if found is not None:
            return Came(kind="timer", event=found, request_id=request_id)
        records = event.get("Records")
        if contract == "lambda" and records and records[0].get("eventSource") == "aws:sqs":
            return _messages(records, request_id)
    return Came(kind="event", event=event, request_id=request_id)


def _request_id(contract: str, context: Any) -> str:
    if contract == "scf":
        return str((context or {}).get("request_id", ""))
    return str(getattr(context, "aws_request_id" if contract == "lambda" else "request_id", ""))


# -- requests -------------------------------------------------------------------------------------


def _is_request(event: dict[str, Any]) -> bool:
    context = event.get("requestContext")
    return isinstance(context, dict) and ("http" in context or "httpMethod" in event)


def _request(event: dict[str, Any], request_id: str) -> Came:
    """Lambda's payload formats 2.0 and 1.0, FC's `v1`, SCF's API Gateway."""
    context = event["requestContext"]
    http = context.get("http") or {}
    headers = {str(k).lower(): _joined(v) for k, v in (event.get("headers") or {}).items()}
    if event.get("cookies"):
        headers["cookie"] = "; ".join(event["cookies"])
    given = event.get("body") or ""
    # SCF's own page has the text "true" there.
    encoded = event.get("isBase64Encoded") in (True, "true")
    body = b64decode(given) if encoded else _bytes(given)
    request = {
        "method": http.get("method") or event["httpMethod"],
        "path": _path(event),
        "query": _query(event),
        "headers": headers,
    }
    identity = context.get("identity") or {}
    ip = http.get("sourceIp") or context.get("sourceIp") or identity.get("sourceIp") or ""
    return Came(kind="http", event=request, body=body, request_id=request_id, ip=ip)


def _path(event: dict[str, Any]) -> str:
    """Without a stage, which AWS puts before the path where it is not the default one. FC's
    `rawPath` is encoded, and the path in its context is not."""
    context = event["requestContext"]
    if event.get("version") == "v1":
        return str(context["http"].get("path") or unquote(event.get("rawPath") or "/"))
    path = str(event.get("rawPath") or event.get("path") or "/")
    stage = context.get("stage")
    if stage and stage != "$default" and "rawPath" in event and path.startswith(f"/{stage}/"):
        return path[len(stage) + 1 :]
    return path


def _query(event: dict[str, Any]) -> dict[str, Any]:
    if "rawQueryString" in event:
        found: dict[str, Any] = {}
        for name, value in parse_qsl(event["rawQueryString"], keep_blank_values=True):
            found.setdefault(name, []).append(value)
    else:
        given = (
            event.get("multiValueQueryStringParameters")
            or event.get("queryParameters")
            or event.get("queryString")
            or event.get("queryStringParameters")
            or {}
        )
        # SCF has true for a name without a value.
        found = {
            k: v if isinstance(v, list) else ["" if v is True else v] for k, v in given.items()
        }
    return {k: v[0] if len(v) == 1 else v for k, v in found.items()}


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else msgspec.json.encode(body)


def decoded(body: bytes, headers: Mapping[str, str]) -> Any:
    """A request's body as HTTP functions are given it. INVALID_ARGUMENT for broken JSON."""
    if not body:
        return None
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if _JSON_TYPE.fullmatch(media):
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise invalid("body", "is not JSON") from None
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    if media == _FORM:
        return _query({"rawQueryString": text})
    return text if media.startswith("text/") else body


# -- timers and queues ----------------------------------------------------------------------------


def _aws_timer(event: dict[str, Any]) -> dict[str, Any] | None:
    if event.get("source") not in ("aws.events", "aws.scheduler"):
        return None
    return _tick(event.get("time"), event.get("detail"))


def _fc_timer(event: dict[str, Any]) -> dict[str, Any] | None:
    if "triggerTime" not in event or "triggerName" not in event:
        return None
    return _tick(event["triggerTime"], _json_or_text(event.get("payload") or "null"))


def _scf_timer(event: dict[str, Any]) -> dict[str, Any] | None:
    if event.get("Type") != "Timer":
        return None
    return _tick(event.get("Time"), _json_or_text(event.get("Message") or "null"))


_TIMERS: Final = {"lambda": _aws_timer, "fc": _fc_timer, "scf": _scf_timer}


def _tick(time: Any, payload: Any) -> dict[str, Any]:
    moment = {"$date": time}
    return {"time": moment, "scheduled": moment, "name": "", "payload": payload or None}


def _messages(records: list[dict[str, Any]], request_id: str) -> Came:
    messages = [
        {
            "id": one["messageId"],
            "body": _json_or_text(one.get("body", "")),
            "attempt": int((one.get("attributes") or {}).get("ApproximateReceiveCount", 1)),
        }
        for one in records
    ]
    queue = str(records[0].get("eventSourceARN", "")).rpartition(":")[2]
    return Came(kind="queue", event={"messages": messages}, request_id=request_id, queue=queue)


def _json_or_text(text: Any) -> Any:
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


# -- answers --------------------------------------------------------------------------------------


def problem_answer(problem: Problem, request_id: str) -> dict[str, Any]:
    """As the gateway says it, for `answered`."""
    public = problem.public
    body: dict[str, Any] = {
        "title": public.title,
        "status": public.status,
        "code": public.name,
        "detail": problem.detail,
        "requestId": request_id,
    }
    if problem.errors:
        body["errors"] = [msgspec.to_builtins(one) for one in problem.errors]
    headers = {"content-type": "application/problem+json"}
    return {"statusCode": public.status, "headers": headers, "body": body}


def answered(contract: str, result: Any) -> dict[str, Any]:
    """An HTTP function's result as that cloud takes it."""
    given = _structure(result)
    body, kind, is_base64 = _body(given)
    headers: dict[str, list[str]] = {"content-type": [kind]} if kind else {}
    own: Mapping[str, Any] = given.get("headers") or {}
    for name, value in own.items():
        values = value if isinstance(value, (list, tuple)) else [value]
        headers[str(name).lower()] = [str(one) for one in values]
    shaped = {"statusCode": given["statusCode"], "body": body, "isBase64Encoded": is_base64}
    if contract == "scf":
        return {**shaped, "headers": {k: v[0] if len(v) == 1 else v for k, v in headers.items()}}
    cookies = headers.pop("set-cookie", []) if contract == "lambda" else []
    shaped["headers"] = {name: ", ".join(values) for name, values in headers.items()}
    return {**shaped, "cookies": cookies} if cookies else shaped


def _structure(result: Any) -> Mapping[str, Any]:
    if isinstance(result, Mapping) and "statusCode" in result:
        return result
    if isinstance(result, bytes):
        return {"statusCode": 200, "body": result}
    json_type = {"content-type": "application/json"}
    return {"statusCode": 200, "body": msgspec.json.encode(result), "headers": json_type}


def _body(given: Mapping[str, Any]) -> tuple[str, str, bool]:
    """Body, content type unless its headers have one, whether it is base64."""
    body = given.get("body")
    if body is None:
        return "", "", False
    if isinstance(body, str):
        return body, "text/plain; charset=utf-8", given.get("isBase64Encoded") is True
    kind = "application/octet-stream" if isinstance(body, bytes) else "application/json"
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    try:
        return raw.decode(), kind, False
    except UnicodeDecodeError:
        return b64encode(raw).decode(), kind, True
