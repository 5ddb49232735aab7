"""What /metrics shows of jobs, and what admins are shown of them."""

from __future__ import annotations

from collections.abc import Callable

from baas.functions.deadletters import shown
from baas.functions.measures import MAX_QUEUES, OTHERS, Measures, measure_jobs
from baas.functions.redact import Redactor
from baas.observe.metrics import Metrics, label
from baas.ports.jobs import Depth, Job, JobQueue, JobState
from tests.support.background import Yard, yard


@yard(
    """
    @fn.event(retries="none")
    async def fails(ctx, event):
        raise RuntimeError("always")

    @fn.event()
    async def works(ctx, event): ...
    """
)
async def test_depth_age_and_dead_letters_are_shown(app: Yard) -> None:
    metrics = Metrics("0")
    measure_jobs(metrics, lambda: app.store.jobs, app.clock)
    await app.enqueue("fails")
    await app.enqueue("works")
    await app.settle()
    for delay in (0, 0, 60):
        await app.enqueue("works", delay=delay)
    app.clock.advance(7)
    await metrics.refresh()
    text = metrics.render().decode()
    assert 'baas_jobs{queue="calls:works",state="enqueued"} 3' in text
    assert 'baas_jobs{queue="calls:fails",state="failed"} 1' in text
    assert 'baas_jobs_oldest_seconds{queue="calls:works"} 7' in text
    assert 'baas_jobs_oldest_seconds{queue="calls:fails"} 0' in text
    assert "baas_dead_letters 1" in text
    assert "succeeded" not in text
    assert "# TYPE baas_jobs gauge" in text


class _Fixed:
    def __init__(self, depths: list[Depth]) -> None:
        self.found = depths
        self.asked = 0

    def depths(self) -> list[Depth]:
        self.asked += 1
        return self.found


def queue_of(fixed: _Fixed) -> Callable[[], JobQueue]:
    return lambda: fixed  # type: ignore[return-value]


@yard()
async def test_however_many_queues_there_are_the_series_are_few(app: Yard) -> None:
    many = [Depth(f"queue:{n}", JobState.ENQUEUED, n + 1, n) for n in range(MAX_QUEUES + 50)]
    fixed = _Fixed(many)
    measures = Measures(queue_of(fixed), app.clock)
    for _ in range(10):
        await measures.refresh()
    assert fixed.asked == 1
    series = dict(measures.jobs())
    assert len(series) == MAX_QUEUES + 1
    assert series[f'queue="{OTHERS}",state="enqueued"'] == sum(range(51))
    assert len(dict(measures.ages())) == MAX_QUEUES + 1


def test_a_label_s_value_cannot_end_it() -> None:
    assert label("queue", 'a"} 1\n\\') == 'queue="a\\"} 1\\n\\\\"'


def test_secrets_are_not_shown_in_the_job_list() -> None:
    job = Job(
        id="j", queue="q", kind="call", state=JobState.FAILED, attempt=1, due_ms=0, created_ms=0,
        updated_ms=0, payload=b'{"function":"f","event":{"password":"hunter2","note":"v4lue-x"}}',
        result=b'{"said":"v4lue-x"}', error={"code": "X", "detail": "with v4lue-x"},
    )  # fmt: skip
    told = shown(job, Redactor(["v4lue-x"]))
    assert told["payload"] == {
        "function": "f", "event": {"password": "[redacted]", "note": "[redacted]"},
    }  # fmt: skip
    assert told["result"] == {"said": "[redacted]"}
    assert told["error"]["detail"] == "with [redacted]"
