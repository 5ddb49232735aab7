"""Problems on the wire: RFC 9457, and nothing of this machine."""

from __future__ import annotations

import msgspec
import pytest

from baas.errors import Code, OwnCode, Problem, invalid
from baas.gateway.problems import internal, render


def test_a_problem_has_the_members_of_the_standard_and_ours() -> None:
    answer = render(Problem(Code.PERMISSION_DENIED, "No rule allows this."), "r-1")

    assert answer.status == 403
    assert answer.headers[0] == (b"content-type", b"application/problem+json")
    assert msgspec.json.decode(answer.body) == {
        "type": "urn:baas:problem:permission-denied",
        "title": Code.PERMISSION_DENIED.title,
        "status": 403,
        "code": "PERMISSION_DENIED",
        "detail": "No rule allows this.",
        "requestId": "r-1",
    }


def test_an_app_s_own_code_reaches_the_client_in_place_of_ours() -> None:
    own = OwnCode("SOLD_OUT", 409, "The function refused")
    answer = render(Problem(Code.FUNCTION_FAILED, "None left.", own=own), "r-1")

    assert (answer.status, answer.error) == (409, "SOLD_OUT")
    assert msgspec.json.decode(answer.body) == {
        "type": "urn:baas:problem:sold-out",
        "title": "The function refused",
        "status": 409,
        "code": "SOLD_OUT",
        "detail": "None left.",
        "requestId": "r-1",
    }


def test_errors_and_operation_appear_only_where_there_are_some() -> None:
    problem = invalid("filter.a", "unknown operator $x")
    problem.operation = 2

    members = msgspec.json.decode(render(problem, "r").body)

    assert members["errors"] == [{"path": "filter.a", "message": "unknown operator $x"}]
    assert members["operation"] == 2


def test_extra_members_never_replace_the_standard_ones() -> None:
    problem = Problem(Code.CONFLICT, "taken", extra={"status": 200, "code": "FINE", "index": "a"})

    members = msgspec.json.decode(render(problem, "r").body)

    assert (members["status"], members["code"], members["index"]) == (409, "CONFLICT", "a")


@pytest.mark.parametrize(("wait", "shown"), [(0.2, b"1"), (1.2, b"2"), (30.0, b"30"), (None, b"1")])
def test_who_must_wait_is_told_whole_seconds(wait: float | None, shown: bytes) -> None:
    answer = render(Problem(Code.RATE_LIMITED, "slow down", retry_after=wait), "r")

    assert dict(answer.headers)[b"retry-after"] == shown


@pytest.mark.parametrize("code", [code for code in Code if code.status == 401])
def test_every_401_carries_a_challenge(code: Code) -> None:
    assert dict(render(Problem(code, ""), "r").headers)[b"www-authenticate"] == b"Bearer"


def test_an_unforeseen_fault_says_only_where_to_look() -> None:
    members = msgspec.json.decode(render(internal(), "r-9").body)

    assert (members["code"], members["requestId"]) == ("INTERNAL", "r-9")
