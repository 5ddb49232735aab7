"""What a stranger's client knows: the protocol's words and nothing else."""

from __future__ import annotations

import itertools
from typing import Any, Final

import httpx

from tests.support.gateway import Gateway

#: `limits.multi_max` of the gateway under test, so that a test can exceed it.
MULTI_MAX: Final = 30
_numbers = itertools.count()


def fresh() -> str:
    """An id, or a mark, that nothing else has."""
    return f"x{next(_numbers)}"


def ok(answer: httpx.Response) -> Any:
    """The JSON of a 200."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, which must be one in every respect."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} < problem.keys()
    return answer.status_code, problem["code"]


INVALID = (400, "INVALID_ARGUMENT")
FAILED = (400, "VALIDATION_FAILED")
CURSOR = (400, "CURSOR_INVALID")
LIMIT = (400, "LIMIT_EXCEEDED")
UNAUTHENTICATED = (401, "UNAUTHENTICATED")
CREDENTIALS = (401, "INVALID_CREDENTIALS")
REVOKED = (401, "SESSION_REVOKED")
DENIED = (403, "PERMISSION_DENIED")
ABSENT = (404, "NOT_FOUND")
CONFLICT = (409, "CONFLICT")
RETRY = (409, "TRANSACTION_CONFLICT")
MISMATCH = (409, "IDEMPOTENCY_MISMATCH")
NOT_YET = (501, "NOT_SUPPORTED")


class Caller:
    """Somebody with a token, or nobody."""

    def __init__(self, gateway: Gateway, token: str | None = None) -> None:
        self.gateway = gateway
        self.token = token

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.gateway.post(path, body, token=self.token, **headers)

    def auth(self, route: str, **body: Any) -> httpx.Response:
        return self.post(f"/v1/auth/{route}", body)

    def ask(self, collection: str, verb: str, /, **body: Any) -> httpx.Response:
        """Python's names end in `_` where the protocol's are taken: `return_`."""
        sent = {name.removesuffix("_"): value for name, value in body.items()}
        return self.post(f"/v1/database/{collection}/{verb}", sent)

    def do(self, collection: str, verb: str, /, **body: Any) -> Any:
        """The answer to something that must succeed."""
        return ok(self.ask(collection, verb, **body))

    def refused(self, collection: str, verb: str, /, **body: Any) -> tuple[int, str]:
        return refusal(self.ask(collection, verb, **body))

    def ids(self, collection: str, **body: Any) -> list[str]:
        """The ids that a find gives, in its order."""
        return [one["_id"] for one in self.do(collection, "find", **body)["documents"]]

    def put(self, collection: str, *documents: dict[str, Any]) -> list[str]:
        made: list[str] = self.do(collection, "insert", documents=list(documents))["ids"]
        return made

    def transaction(self, *operations: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"operations": list(operations), **more}
        return self.post("/v1/database/transaction", body)


def nobody(gateway: Gateway) -> Caller:
    return Caller(gateway)


def somebody(gateway: Gateway) -> Caller:
    """A new anonymous user."""
    return Caller(gateway, gateway.sign_in())


def operation(verb: str, collection: str = "open", **body: Any) -> dict[str, Any]:
    """One of a transaction."""
    return {"collection": collection, "verb": verb, **body}
