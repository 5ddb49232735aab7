"""The order of life: hooks, initializers and middleware around calls, failed ones included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from baas.functions import lifecycle
from baas.functions.lifecycle import Lifecycle
from baas.functions.model import Release
from tests.support.functions import refused, released

LOGGED = """
seen = []

def note(when):
    @fn.hook(when)
    def hook(stage):
        seen.append((when, stage.function))

for when in ("runtime.before", "runtime.after", "function.before", "function.after",
             "invoke.before", "invoke.after", "close.before", "close.after"):
    note(when)

@fn.initializer
async def prepare(ctx):
    seen.append(("initializer", None))

@fn.middleware(functions=["f"])
async def innermost(ctx, event, proceed):
    seen.append(("function in", event))
    try:
        return await proceed(event + 1)
    finally:
        seen.append(("function out", event))

@fn.middleware(groups=["board"])
async def inner(ctx, event, proceed):
    seen.append(("group in", event))
    try:
        return await proceed(event + 1)
    finally:
        seen.append(("group out", event))

@fn.middleware
async def outer(ctx, event, proceed):
    seen.append(("global in", event))
    try:
        return await proceed(event + 1)
    finally:
        seen.append(("global out", event))

@fn.event()
async def f(ctx, event):
    seen.append(("handler", event))
    if event > 100:
        raise ValueError("no")
    return event

@fn.event()
async def g(ctx, event):
    return "g"
"""
BOARD = "services: {board: {functions: [f]}}"


class Worker:
    """A worker with one release, calling as the invoker does."""

    def __init__(self, release: Release) -> None:
        self.release = release
        self.life = Lifecycle(release)

    async def call(self, name: str, event: Any = 0) -> Any:
        spec = self.release.functions[name]
        await self.life.prepare(spec, self.contexts)

        async def body(given: Any) -> Any:
            return await spec.handler(self.contexts(True), given)

        return await self.life.run(spec, self.contexts, event, body)

    def contexts(self, is_async: bool) -> Any:
        return Ctx(self.life, self.release)


class Ctx:
    def __init__(self, life: Lifecycle, release: Release) -> None:
        self.life = life
        self.release = release

    def state_of(self, name: str) -> dict[str, Any]:
        return self.life.state(self.release.functions[name])


def run(source: str, work: Callable[[Worker, Any], Awaitable[None]], manifest: str = "") -> None:
    """`work` is given a worker and the module's globals."""
    with released(source, manifest) as release:
        spec = next(iter(release.functions.values()))
        asyncio.run(_run(work, release, spec.handler.__globals__))


async def _run(work: Any, release: Release, module: Any) -> None:
    await work(Worker(release), module)


def test_the_order_of_a_first_call_a_second_and_the_close() -> None:
    async def work(worker: Worker, module: Any) -> None:
        assert await worker.call("f") == 3
        onion = [
            ("invoke.before", "f"),
            ("global in", 0),
            ("group in", 1),
            ("function in", 2),
            ("handler", 3),
            ("function out", 2),
            ("group out", 1),
            ("global out", 0),
            ("invoke.after", "f"),
        ]
        assert module["seen"] == [
            ("runtime.before", None),
            ("runtime.after", None),
            ("function.before", "f"),
            ("initializer", None),
            ("function.after", "f"),
            *onion,
        ]
        module["seen"].clear()
        await worker.call("f")
        assert module["seen"] == onion
        module["seen"].clear()
        await worker.life.close()
        await worker.life.close()
        assert module["seen"] == [("close.before", "f"), ("close.after", "f")]

    run(LOGGED, work, BOARD)


def test_a_failed_call_passes_the_same_stages_and_tells_its_own_fault() -> None:
    async def work(worker: Worker, module: Any) -> None:
        with pytest.raises(ValueError, match="no"):
            await worker.call("f", 200)
        assert [what for what, _ in module["seen"]][5:] == [
            "invoke.before",
            "global in",
            "group in",
            "function in",
            "handler",
            "function out",
            "group out",
            "global out",
            "invoke.after",
        ]

    run(LOGGED, work, BOARD)


def test_group_and_function_middleware_leave_others_alone() -> None:
    async def work(worker: Worker, module: Any) -> None:
        assert await worker.call("g") == "g"
        assert [what for what, _ in module["seen"] if " " in what] == ["global in", "global out"]

    run(LOGGED, work, BOARD)


def test_fifty_first_calls_run_the_initializer_once() -> None:
    source = """
    import asyncio
    runs = []

    @fn.initializer
    async def connect(ctx):
        runs.append(1)
        await asyncio.sleep(0)
        ctx.state_of("f")["n"] = len(runs)

    @fn.event()
    async def f(ctx, event):
        return ctx.state_of("f")["n"]
    """

    async def work(worker: Worker, module: Any) -> None:
        assert await asyncio.gather(*(worker.call("f") for _ in range(50))) == [1] * 50
        assert module["runs"] == [1]

    run(source, work)


def test_a_failed_start_fails_its_calls_and_the_next_tries_afresh() -> None:
    source = """
    tries = []

    @fn.initializer
    def connect(ctx):
        tries.append(1)
        ctx.state_of("f")["left"] = "over"
        if len(tries) == 1:
            raise OSError("no route")

    @fn.event()
    async def f(ctx, event):
        return len(tries), dict(ctx.state_of("f"))
    """

    async def work(worker: Worker, module: Any) -> None:
        calls = [worker.call("f") for _ in range(5)]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(failure) for failure in failures] == [OSError] * 5
        assert await worker.call("f") == (2, {"left": "over"})

    run(source, work)


def test_a_caller_that_gives_up_does_not_stop_the_start_for_others() -> None:
    source = """
    import asyncio
    gate = asyncio.Event()

    @fn.initializer
    async def connect(ctx):
        await gate.wait()

    @fn.event()
    async def f(ctx, event):
        return "ok"
    """

    async def work(worker: Worker, module: Any) -> None:
        first = asyncio.create_task(worker.call("f"))
        second = asyncio.create_task(worker.call("f"))
        await asyncio.sleep(0)
        first.cancel()
        module["gate"].set()
        assert await second == "ok"
        assert first.cancelled() or first.cancelling()

    run(source, work)


def test_a_start_that_hangs_ends_at_the_functions_time_limit() -> None:
    source = """
    import asyncio

    @fn.initializer
    async def connect(ctx):
        await asyncio.Event().wait()

    @fn.event(timeout=0.01)
    async def f(ctx, event): ...
    """

    async def work(worker: Worker, module: Any) -> None:
        with pytest.raises(TimeoutError):
            await worker.call("f")

    run(source, work)


def test_initializers_are_for_their_file_or_for_the_functions_they_name() -> None:
    files = {
        "a.py": "from baas import fn\nran = []\n@fn.initializer\ndef own(ctx): ran.append('a')\n"
        "@fn.event()\nasync def fa(ctx, event): return ran\n",
        "b.py": "from baas import fn\nfrom a import fa, ran\n"
        "@fn.initializer(functions=[fa])\ndef named(ctx): ran.append('b')\n"
        "@fn.event()\nasync def fb(ctx, event): return ran\n",
    }
    with released(files) as release:

        async def work() -> None:
            worker = Worker(release)
            assert await worker.call("fb") == []
            assert await worker.call("fa") == ["a", "b"]

        asyncio.run(work())


def test_hooks_see_result_and_error() -> None:
    source = """
    seen = []

    @fn.hook("invoke.after")
    def note(stage):
        seen.append((stage.event, stage.result, type(stage.error).__name__))

    @fn.event()
    async def f(ctx, event):
        return 10 / event
    """

    async def work(worker: Worker, module: Any) -> None:
        await worker.call("f", 5)
        with pytest.raises(ZeroDivisionError):
            await worker.call("f", 0)
        assert module["seen"] == [(5, 2.0, "NoneType"), (0, None, "ZeroDivisionError")]

    run(source, work)


def test_a_hook_that_fails_before_a_call_keeps_the_handler_from_running() -> None:
    source = """
    ran = []

    @fn.hook("invoke.before")
    def refuse(stage):
        raise fn.Error("CLOSED", status=403)

    @fn.event()
    async def f(ctx, event):
        ran.append(1)
    """

    async def work(worker: Worker, module: Any) -> None:
        from baas import fn

        with pytest.raises(fn.Error, match="CLOSED"):
            await worker.call("f")
        assert module["ran"] == []

    run(source, work)


def test_close_hooks_run_though_one_of_them_fails(caplog: pytest.LogCaptureFixture) -> None:
    source = """
    closed = []

    @fn.hook("close.before")
    def fails(stage):
        raise OSError("gone already")

    @fn.hook("close.before", functions=["f"])
    def closes(stage):
        closed.append(stage.state["pool"])

    @fn.initializer
    async def connect(ctx):
        ctx.state_of("f")["pool"] = "pool"

    @fn.event()
    async def f(ctx, event): ...
    """

    async def work(worker: Worker, module: Any) -> None:
        await worker.call("f")
        await worker.life.close()
        assert module["closed"] == ["pool"]

    run(source, work)
    assert "a close.before hook of f failed" in caplog.text


def test_close_hooks_that_never_end_hold_nobody_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop waits for them, and an operator for the stop."""
    monkeypatch.setattr(lifecycle, "CLOSE_SECONDS", 0.02)
    source = """
    import asyncio, threading
    over, closed = threading.Event(), []

    @fn.hook("close.before")
    async def waits(stage):
        await asyncio.Event().wait()

    @fn.hook("close.before")
    def blocks(stage):
        over.wait()

    @fn.hook("close.after")
    def closes(stage):
        closed.append(stage.function)

    @fn.event()
    async def f(ctx, event): ...
    """

    async def work(worker: Worker, module: Any) -> None:
        await worker.call("f")
        try:
            await worker.life.close()
            assert module["closed"] == ["f"]
        finally:
            module["over"].set()

    run(source, work)
    assert caplog.text.count("a close.before hook of f failed") == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ('@fn.hook("invoke.befor")\ndef h(stage): ...', "did you mean 'invoke.before'?"),
        ("@fn.middleware\ndef m(ctx, event, proceed): ...", "middleware is async"),
        ('@fn.middleware(functions=["nobody"])\nasync def m(c, e, p): ...', "no function 'nobody'"),
        ('@fn.middleware(groups=["nowhere"])\nasync def m(c, e, p): ...', "no group 'nowhere'"),
        ("@fn.initializer(functions=[print])\ndef i(ctx): ...", "no function 'print'"),
    ],
)
def test_what_stands_around_nothing_is_refused_with_its_line(source: str, message: str) -> None:
    fault = refused(source)
    assert message in fault.message
    assert (fault.file, fault.line) == ("functions/main.py", 2)
