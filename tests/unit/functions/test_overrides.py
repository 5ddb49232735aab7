"""baas.yaml over the code: every option, triggers, foreign handlers, services, shared workers."""

from __future__ import annotations

import asyncio

import pytest

from baas.functions.lifecycle import Lifecycle
from baas.functions.model import (
    DocumentTrigger,
    EventTrigger,
    HttpTrigger,
    QueueTrigger,
    Release,
    TimerTrigger,
)
from tests.support.functions import refused, released

REPORT = """
@fn.event(timeout=5, env={"A": "code", "B": "code"})
@fn.timer("0 3 * * *")
@fn.http("GET", "/report")
async def report(ctx, event): ...

@fn.event()
def other(): ...
"""


def kinds(release: Release, name: str = "report") -> list[str]:
    return sorted(type(trigger).__name__ for trigger in release.functions[name].triggers)


def test_baas_yaml_wins_over_the_decorator() -> None:
    manifest = """
    functions:
      report:
        timeout: 2m
        isolation: process
        memory: 512MB
        concurrency: 3
        retries: {function: {tries: 7}, max_age: 60}
        on_failure: [queue:dead, {webhook: "https://x.example", secret: HOOK}]
        env: {B: yaml, C: 3, D: true}
    """
    with released(REPORT, manifest) as release:
        spec = release.functions["report"]
    assert (spec.timeout, spec.isolation, spec.memory) == (120.0, "process", 512 * 1024**2)
    assert (spec.concurrency, spec.retries.function.tries, spec.retries.max_age) == (3, 7, 60.0)
    assert [type(d).__name__ for d in spec.on_failure] == ["QueueDestination", "WebhookDestination"]
    assert spec.env == {"A": "code", "B": "yaml", "C": "3", "D": "true"}


def test_from_weak_to_strong() -> None:
    """The default, "*", the service, the decorator, the function's own entry."""
    manifest = """
    functions:
      "*": {timeout: 10, idle_timeout: 10, max_workers: 10, env: {E: star, S: star}}
      report: {max_workers: 40}
    services:
      board: {functions: [report], idle_timeout: 20, timeout: 20, env: {S: service}, labels: {t: b}}
    """
    with released(REPORT, manifest) as release:
        report, other = release.functions["report"], release.functions["other"]
    assert (report.timeout, report.idle_timeout, report.max_workers) == (5.0, 20.0, 40)
    assert report.env == {"E": "star", "S": "service", "A": "code", "B": "code"}
    assert (report.group, report.labels) == ("board", {"t": "b"})
    assert (other.timeout, other.idle_timeout, other.group) == (10.0, 10.0, None)


@pytest.mark.parametrize(
    ("triggers", "expected"),
    [
        ("off", []),
        ("{off: all}", []),
        ("{off: timer}", ["EventTrigger", "HttpTrigger"]),
        ("{off: [timer, http]}", ["EventTrigger"]),
        ("{on: [timer]}", ["TimerTrigger"]),
        ("{off: all, add: [event]}", ["EventTrigger"]),
    ],
)
def test_triggers_are_switched_off_by_kind(triggers: str, expected: list[str]) -> None:
    with released(REPORT, f"functions: {{report: {{triggers: {triggers}}}}}") as release:
        assert kinds(release) == expected


def test_triggers_are_added() -> None:
    manifest = """
    functions:
      other:
        triggers:
          add:
            - timer: "0 4 * * *"
              tz: Asia/Shanghai
            - http: POST /other
            - on: database.posts.insert
              where: {published: true}
            - on: queue.mails
              batch: 5
            - before: database.posts.delete
    """
    with released(REPORT, manifest) as release:
        found = release.functions["other"].triggers
    assert found[0] == EventTrigger(line=found[0].line)
    assert found[1] == TimerTrigger(cron="0 4 * * *", tz="Asia/Shanghai")
    assert found[2] == HttpTrigger(method="POST", path="/other")
    assert isinstance(found[3], DocumentTrigger)
    assert found[3].raw_where == {"published": True}
    assert found[4] == QueueTrigger(queue="mails", batch=5)


def test_a_function_can_be_switched_off_altogether() -> None:
    with released(REPORT, "functions: {report: {enabled: false}}") as release:
        assert set(release.functions) == {"other"}


def test_foreign_handlers_are_declared_by_file_and_name() -> None:
    files = {
        "vendor/index.py": """
            def main_handler(event, context):
                return event
            async def handler(event, context, *more): ...
            """
    }
    manifest = """
    functions:
      resize: {handler: "vendor/index.py:main_handler", contract: scf, timeout: 3}
      thumb:
        handler: vendor.index:handler
        contract: lambda
        triggers: {add: [{timer: "* * * * *"}]}
    """
    with released(files, manifest) as release:
        resize, thumb = release.functions["resize"], release.functions["thumb"]
        assert (resize.contract, resize.takes, resize.isolation) == ("scf", 2, "thread")
        assert (resize.file, resize.line) == ("functions/vendor/index.py", 2)
        assert resize.handler("x", None) == "x"
        assert [type(t) for t in resize.triggers] == [EventTrigger]
        assert (thumb.contract, thumb.is_async) == ("lambda", True)
        assert [type(t) for t in thumb.triggers] == [TimerTrigger]


def test_aggregate_gives_functions_one_worker_and_isolation() -> None:
    manifest = "aggregate: {heavy: [report, other]}"
    with released(REPORT, manifest) as release:
        assert release.aggregate == {"heavy": ("report", "other")}
        assert {spec.isolation for spec in release.functions.values()} == {"process"}


def test_layers_bring_middleware_to_the_groups_that_use_them_in_order() -> None:
    layer = """
        from baas import fn
        @fn.middleware
        async def around(ctx, event, proceed):
            return ["{0}", await proceed(event), "{0}"]
        """
    files = {
        "main.py": "from baas import fn\n@fn.event()\nasync def inside(ctx): return 1\n"
        "@fn.event()\nasync def outside(ctx): return 2\n",
        "_layers/one/mw.py": layer.format("one"),
        "_layers/two/mw.py": layer.format("two"),
    }
    manifest = "services: {board: {functions: [inside], layers: [_layers/two, _layers/one]}}"

    async def run(release: Release, name: str) -> object:
        spec = release.functions[name]
        life = Lifecycle(release)
        return await life.run(spec, lambda _: None, None, lambda event: spec.handler(None))

    with released(files, manifest) as release:
        assert asyncio.run(run(release, "inside")) == ["two", ["one", 1, "one"], "two"]
        assert asyncio.run(run(release, "outside")) == 2


def test_hooks_and_initializers_of_a_layer_are_for_its_groups_too() -> None:
    files = {
        "main.py": "from baas import fn\n@fn.event()\nasync def inside(ctx): ...\n"
        "@fn.event()\nasync def outside(ctx): ...\n",
        "_layers/one/setup.py": """
            from baas import fn
            ran = []
            @fn.initializer
            def ready(ctx): ran.append("initializer")
            @fn.hook("function.before")
            def early(stage): ran.append(stage.function)
            """,
    }
    manifest = "services: {board: {functions: [inside], layers: [_layers/one]}}"

    async def start(release: Release) -> None:
        life = Lifecycle(release)
        for spec in release.functions.values():
            await life.prepare(spec, lambda _: None)

    with released(files, manifest) as release:
        asyncio.run(start(release))
        assert release.initializers[0].run.__globals__["ran"] == ["inside", "initializer"]


def test_packages_of_a_layer_are_on_the_path_of_the_release_alone() -> None:
    files = {
        "main.py": "from baas import fn\nimport dependency\n"
        '@fn.event(isolation="process")\ndef f(): return dependency.word()\n',
        "_layers/deps/python/dependency/__init__.py": "from dependency.inner import word\n",
        "_layers/deps/python/dependency/inner.py": "def word(): return 'layer'\n",
    }
    manifest = "services: {board: {functions: [f], layers: [_layers/deps]}}"
    with released(files, manifest) as release:
        assert release.functions["f"].handler() == "layer"
    with pytest.raises(ModuleNotFoundError):
        __import__("dependency")
    inline = {**files, "main.py": files["main.py"].replace('isolation="process"', "")}
    assert "'f' needs isolation: process" in refused(inline, manifest).message


@pytest.mark.parametrize(
    ("manifest", "message", "line", "column"),
    [
        ("functions:\n  reprot: {timeout: 3}", "did you mean 'report'?", 2, 3),
        ("functions:\n  report:\n    timout: 3", "unknown key 'timout'; did you mean", 3, 5),
        ("functions:\n  report: {timeout: soon}", "timeout: a time is", 2, 21),
        ("functions:\n  report: {isolation: prosess}", "did you mean 'process'?", 2, 23),
        ("functions:\n  report: {retries: lots}", "unknown preset 'lots'", 2, 21),
        ("functions:\n  report: {retries: {functon: {}}}", "functon", 2, 21),
        ("functions:\n  report: {retries: {max_age: 0}}", "max_age is more than 0", 2, 21),
        ("functions:\n  report: {retries: {system: {first: -1}}}", "first and cap are", 2, 21),
        ("functions:\n  report: {idle_timeout: .nan}", "idle_timeout: a time is", 2, 26),
        ("functions:\n  report: {memory: 64MB}", "needs isolation: process", None, None),
        ("functions:\n  report: {env: [A]}", "a mapping of names to texts", 2, 17),
        ("functions:\n  report: {triggers: {off: [tmer]}}", "did you mean 'timer'?", 2, 28),
        ("functions:\n  report: {triggers: [{timer: never}]}", "no cron expression", 2, 31),
        ("functions:\n  report: {triggers: [{cron: '* * * * *'}]}", "begins with one of", 2, 23),
        ("functions:\n  report: {triggers: [{http: /x}]}", "a route is written GET /path", 2, 30),
        ("functions:\n  new: {handler: main.py}", "file.py:name", 2, 18),
        ("functions:\n  new: {handler: 'man.py:f'}", "no file 'man.py'; did you mean", 2, 18),
        ("functions:\n  new: {handler: 'main.py:reprot'}", "did you mean 'report'?", 2, 18),
        ("functions:\n  report: {handler: 'main.py:report'}", "declared in code", 2, 21),
        ("services:\n  a: {functions: [nobody]}", "there is no function 'nobody'", 2, 19),
        ("services:\n  a: {functons: []}", "unknown key 'functons'", 2, 7),
        ("services:\n  a: {layers: [../x]}", "a folder below the functions", 2, 16),
        ("services:\n  a: {layers: [nope]}", "there is no folder 'nope'", 2, 16),
        ("services: {a: {functions: [report]}, b: {functions: [report]}}", "'a' already", 1, 41),
        ("aggregate: {w: [report], v: [report]}", "is in 'w' already", 1, 29),
        ("aggregate:\n  w: report", "a list of functions' names", 2, 6),
    ],
)
def test_faults_of_baas_yaml_have_a_line_and_a_column(
    manifest: str, message: str, line: int | None, column: int | None
) -> None:
    fault = refused(REPORT, manifest)
    assert message in fault.message
    if line is not None:
        assert (fault.file, fault.line, fault.column) == ("baas.yaml", line, column)


def test_an_explicit_isolation_contradicts_a_shared_worker() -> None:
    manifest = "functions: {report: {isolation: inline}}\naggregate: {w: [report]}"
    assert "shares a worker" in refused(REPORT, manifest).message
