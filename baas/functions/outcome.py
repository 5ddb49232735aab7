"""What a failed call comes to: how it is recorded, what its caller is told, what is captured.

The text of an exception is the operator's, never the caller's: strangers are told that the
function failed, admin keys its type and stack.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from baas.errors import Code, FieldError, OwnCode, Problem
from baas.functions.capture import Failure, failure_of
from baas.functions.errors import Error
from baas.functions.limits import Busy
from baas.functions.redact import Redactor

Result: TypeAlias = Literal["ok", "error", "failed", "timeout", "refused", "stopped"]

#: Faults of the kit that a function passes on as they are: they say nothing of its inside.
_PASSED_ON: Final = (Code.LOOP_DETECTED,)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A failure as it crosses a worker's pipe. `code` and `status` are what the caller is told;
    `own` says that they are the function's (`fn.Error`)."""

    result: Result
    code: str
    status: int
    title: str = ""
    detail: str
    own: bool = False
    errors: tuple[FieldError, ...] = ()
    retry_after: float | None = None
    failure: Failure | None = None

    def problem(self) -> Problem:
        own = OwnCode(self.code, self.status, self.title) if self.own else None
        code = Code.FUNCTION_FAILED if self.own else Code[self.code]
        return Problem(code, self.detail, own=own, errors=self.errors, retry_after=self.retry_after)


class Failed(Exception):
    """A call that failed elsewhere, in a worker: what it came to is known already."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class Refused(Exception):
    """A call that never reached the function: its event does not fit, or there is no room."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class TimedOut(Exception):
    """The time limit of a call has passed. `seconds` is the limit."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no result within {seconds:g} seconds")
        self.seconds = seconds


def fault_of(raised: BaseException, folder: Path | None, redactor: Redactor) -> Fault:
    """What an exception that left a function comes to."""
    if isinstance(raised, Failed):
        return raised.fault
    if isinstance(raised, Refused):
        return _passed(raised.problem, "refused")
    if isinstance(raised, Busy):
        return _passed(raised, "refused")
    if isinstance(raised, Problem) and raised.code in _PASSED_ON and raised.own is None:
        return _passed(raised, "failed", failure_of(raised, folder, redactor))
    failure = failure_of(_inner(raised), folder, redactor)
    if isinstance(raised, Error):
        return Fault(
            result="error",
            code=raised.code,
            status=raised.status,
            title=raised.title,
            detail=raised.detail,
            own=True,
            failure=failure,
        )
    if isinstance(raised, TimedOut):
        detail = f"The function took longer than {raised.seconds:g} s."
        return _fault("timeout", Code.FUNCTION_TIMEOUT, detail, failure)
    return failed("The function failed.", failure)


def failed(detail: str, failure: Failure | None = None, *, type: str = "WorkerEnded") -> Fault:
    """FUNCTION_FAILED. `type` names what happened where no exception does."""
    found = failure or Failure(type=type, message=detail)
    return _fault("failed", Code.FUNCTION_FAILED, detail, found)


def _fault(result: Result, code: Code, detail: str, failure: Failure | None) -> Fault:
    return Fault(result=result, code=code.name, status=code.status, detail=detail, failure=failure)


def _passed(problem: Problem, result: Result, failure: Failure | None = None) -> Fault:
    return Fault(
        result=result,
        code=problem.code.name,
        status=problem.code.status,
        detail=problem.detail,
        errors=problem.errors,
        retry_after=problem.retry_after,
        failure=failure,
    )


def _inner(raised: BaseException) -> BaseException:
    """A time limit's place is where the function was suspended when it was cancelled."""
    context = raised.__cause__ or raised.__context__
    while context is not None:
        if isinstance(raised, TimedOut) and isinstance(context, asyncio.CancelledError):
            raised.__traceback__ = context.__traceback__
            return raised
        context = context.__cause__ or context.__context__
    return raised
