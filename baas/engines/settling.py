"""How the calls of a JobQueue end, whichever engine keeps them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from baas.ports.jobs import Job, JobState, NewJob


class Settling(ABC):
    """See the port `JobQueue`: who holds a job says how it ended."""

    async def succeed(self, job: Job, result: bytes | None, then: Sequence[NewJob] = ()) -> None:
        await self._settle(job, JobState.SUCCEEDED, then, result=result)

    async def fail(self, job: Job, error: dict[str, Any], then: Sequence[NewJob] = ()) -> None:
        await self._settle(job, JobState.FAILED, then, error=error)

    async def expire(self, job: Job, error: dict[str, Any], then: Sequence[NewJob] = ()) -> None:
        await self._settle(job, JobState.EXPIRED, then, error=error)

    async def stopped(self, job: Job) -> None:
        await self._settle(job, JobState.STOPPED, ())

    @abstractmethod
    async def _settle(
        self,
        job: Job,
        state: JobState,
        then: Sequence[NewJob],
        *,
        result: bytes | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """The end and the jobs that follow from it, in one write."""
