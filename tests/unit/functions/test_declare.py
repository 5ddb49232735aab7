"""What decorators declare, and what they refuse: always with file and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from baas.functions.model import (
    RETRY_PRESETS,
    AuthTrigger,
    Backoff,
    BeforeTrigger,
    CustomTrigger,
    DocumentTrigger,
    EventTrigger,
    FunctionDestination,
    HttpTrigger,
    QueueDestination,
    QueueTrigger,
    TimerTrigger,
    WebhookDestination,
    WebhookTrigger,
)
from tests.support.functions import refused, released
from tests.support.repository import ROOT

NOTHING = "async def f(ctx, event): ...\n"


def test_any_number_of_triggers_of_any_kind_on_one_function() -> None:
    source = """
    @fn.event()
    @fn.http("get", "/orders/{id}")
    @fn.timer("30 2 * * MON-FRI", tz="Asia/Shanghai", missed="once", payload={"n": 1})
    @fn.on("database.posts.insert", where={"published": True})
    @fn.on("auth.signed_up")
    @fn.on("queue.mails", batch=10)
    @fn.on("app.order.paid")
    @fn.before("database.posts.update")
    @fn.webhook("/hooks/pay", secret="PAY", scheme="github")
    async def all_of_them(ctx, event): ...
    """
    with released(source) as release:
        spec = release.functions["all_of_them"]
        assert [type(trigger) for trigger in spec.triggers] == [
            EventTrigger,
            HttpTrigger,
            TimerTrigger,
            DocumentTrigger,
            AuthTrigger,
            QueueTrigger,
            CustomTrigger,
            BeforeTrigger,
            WebhookTrigger,
        ]
        assert [trigger.line for trigger in spec.triggers] == list(range(2, 11))
        assert spec.triggers[1] == HttpTrigger(method="GET", path="/orders/{id}", line=3)
        timer = spec.triggers[2]
        assert isinstance(timer, TimerTrigger)
        assert (timer.tz, timer.missed, timer.payload) == ("Asia/Shanghai", "once", {"n": 1})
        assert spec.triggers[3].raw_where == {"published": True}


def test_options_may_stand_on_any_decorator() -> None:
    source = """
    @fn.event(name="resize-image", timeout="2m", isolation="process")
    @fn.on("queue.images", memory="256MB", concurrency=2, min_workers=1, max_workers=3)
    @fn.http("POST", "/x", retries="patient", idle_timeout=5, env={"A": "1"})
    def resize(ctx, event): ...
    """
    with released(source) as release:
        spec = release.functions["resize-image"]
    assert spec.timeout == 120.0
    assert spec.isolation == "process"
    assert spec.memory == 256 * 1024**2
    assert (spec.concurrency, spec.min_workers, spec.max_workers) == (2, 1, 3)
    assert spec.retries == RETRY_PRESETS["patient"]
    assert spec.idle_timeout == 5.0
    assert spec.env == {"A": "1"}


def test_retries_are_a_preset_a_number_or_a_policy() -> None:
    source = """
    @fn.event(retries=5)
    async def some(ctx): ...
    @fn.event(retries="none")
    async def none(ctx): ...
    @fn.event(retries=fn.RetryPolicy(function=fn.Backoff(tries=1, first=9.0), max_age=60))
    async def own(ctx): ...
    """
    with released(source) as release:
        tries = {name: spec.retries.function.tries for name, spec in release.functions.items()}
        assert tries == {"some": 5, "none": 0, "own": 1}
        assert release.functions["own"].retries.function == Backoff(tries=1, first=9.0)


def test_destinations_are_functions_queues_and_webhooks() -> None:
    source = """
    @fn.event()
    async def told(ctx, event): ...
    @fn.event(on_success="told", on_failure=["queue:dead", "https://x.example/hook"])
    async def work(ctx): ...
    """
    with released(source) as release:
        spec = release.functions["work"]
    assert spec.on_success == (FunctionDestination(function="told"),)
    assert spec.on_failure == (
        QueueDestination(queue="dead"),
        WebhookDestination(url="https://x.example/hook"),
    )


def test_async_functions_run_inline_and_plain_ones_in_a_thread() -> None:
    source = """
    @fn.event()
    async def one(ctx, event): ...
    @fn.event()
    def two(ctx): ...
    @fn.event()
    def three(): ...
    """
    with released(source) as release:
        made = {s.name: (s.is_async, s.isolation, s.takes) for s in release.functions.values()}
    assert made == {
        "one": (True, "inline", 2),
        "two": (False, "thread", 1),
        "three": (False, "thread", 0),
    }


def test_the_event_has_the_type_of_its_annotation() -> None:
    source = """
    import msgspec
    class Post(msgspec.Struct):
        title: str
    @fn.event()
    async def typed(ctx: Context, post: Post) -> None: ...
    @fn.event()
    async def late(ctx: "Context", post: "list[Post]") -> None: ...
    @fn.event()
    async def untyped(ctx, event): ...
    """
    with released(source) as release:
        types = {name: spec.event_type for name, spec in release.functions.items()}
        assert types["untyped"] is None
        assert types["late"].__args__ == (types["typed"],)
        assert msgspec.convert({"title": "a"}, types["typed"]).title == "a"


def test_a_decorated_function_is_the_function_itself() -> None:
    with released("@fn.event()\ndef double(ctx, n: int): return 2 * n") as release:
        assert release.functions["double"].handler(None, 21) == 42


def test_a_functions_file_can_be_imported_without_a_gateway() -> None:
    from baas import fn

    @fn.event(name="not a name at all")
    def plain() -> int:
        return 1

    assert plain() == 1


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ('@fn.timer("30 2 * *")', "is no cron expression"),
        ('@fn.timer("61 2 * * *")', "is no cron expression"),
        ('@fn.timer("* * */20 * 1L")', "never comes"),
        ('@fn.timer("* * * * *", tz="Asia/Shanghia")', "no time zone 'Asia/Shanghia'"),
        ('@fn.timer("* * * * *", missed="never")', "unknown missed 'never'"),
        ('@fn.http("GET", "orders")', "a path begins with '/'"),
        ('@fn.http("GET", "/a/../b")', "'..' is no segment"),
        ('@fn.http("GET", "/a//b")', "'' is no segment"),
        ('@fn.http("GET", "/{rest...}/b")', "must be last"),
        ('@fn.http("GET", "/{a}/{a}")', "a parameter is twice"),
        ('@fn.http("GTE", "/a")', "unknown method 'GTE'"),
        ('@fn.on("database.posts.inserted")', "did you mean 'insert'?"),
        ('@fn.on("databse.posts.insert")', "did you mean 'database.…'?"),
        ('@fn.on("database._users.insert")', "cannot be a collection's name"),
        ('@fn.on("database.posts.insert", where={"$foo": 1})', "$foo"),
        ('@fn.on("database.posts.insert", batch=3)', "'batch' means nothing for database"),
        ('@fn.on("auth.signed_upp")', "did you mean 'signed_up'?"),
        ('@fn.on("queue.mails", batch=0)', "a batch is 1 to"),
        ('@fn.on("queue.two.words")', "queue.<name>"),
        ('@fn.on("oneword")', "unknown event type 'oneword'"),
        ('@fn.before("database.posts.find")', "unknown operation 'find'"),
        ('@fn.before("auth.signed_up")', "database.<collection>.<operation> only"),
        ('@fn.webhook("/x", secret="")', "the name of its secret"),
        ('@fn.webhook("/x", secret="S", scheme="githb")', "did you mean 'github'?"),
        ("@fn.event(timout=3)", "unknown option 'timout'; did you mean 'timeout'?"),
        ("@fn.event", "@fn.event is written with parentheses: @fn.event(...)"),
        ("@fn.timer", "@fn.timer is written with parentheses"),
        ("@fn.on", "@fn.on is written with parentheses"),
        ("@fn.before", "@fn.before is written with parentheses"),
        ('@fn.event(on_failure="https://ops.example.com/a b")', "a webhook is an http(s) URL"),
        ('@fn.event(on_failure="https:///hook")', "a webhook is an http(s) URL"),
        ('@fn.event(on_failure="https://a:99999/")', "a webhook is an http(s) URL"),
        ('@fn.event(on_failure={"webhook": "ftp://a/"})', "a webhook is an http(s) URL"),
        ("@fn.event(timeout=0)", "a time limit is more than 0"),
        ('@fn.event(isolation="proces")', "did you mean 'process'?"),
        ('@fn.event(memory="256MB")', "a memory limit needs isolation: process"),
        ('@fn.event(isolation="process", memory="1MB")', "at least 32MB"),
        ("@fn.event(concurrency=0)", "a whole number from 1"),
        ('@fn.event(retries="defualt")', "unknown preset 'defualt'; did you mean 'default'?"),
        ('@fn.event(on_failure="topic:x")', "unknown kind of destination 'topic'"),
        ('@fn.event(on_success="nobody")', "there is no function 'nobody'"),
        ('@fn.event(name="9lives")', "cannot be a function's name"),
    ],
)
def test_a_bad_declaration_is_refused_with_its_line(decorator: str, message: str) -> None:
    fault = refused(f"import json\n\n{decorator}\n{NOTHING}")
    assert message in fault.message
    assert (fault.file, fault.line) == ("functions/main.py", 4)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("async def f(ctx, event, more): ...", "it wants (ctx, event, more)"),
        ("async def f(ctx, event, *, key): ...", "it wants (ctx, event, key)"),
        ("async def f(ctx, event): yield 1", "it cannot yield"),
        ("def f(ctx, event: 'Nowhere'): ...", "cannot be resolved"),
        ("class C: ...\n@fn.event()\ndef f(ctx, event: C): ...", "msgspec Struct"),
    ],
)
def test_a_function_that_cannot_be_called_is_refused(function: str, message: str) -> None:
    source = function if function.startswith("class") else f"@fn.event()\n{function}"
    assert message in refused(source).message


def test_two_options_that_disagree_are_refused() -> None:
    source = '@fn.event(timeout=1)\n@fn.timer("* * * * *", timeout=2)\n' + NOTHING
    assert "'timeout' is given twice" in refused(source).message


def test_two_functions_of_one_name_are_refused_with_both_places() -> None:
    files = {
        "a.py": "from baas import fn\n@fn.event()\ndef same(): ...\n",
        "b.py": "from baas import fn\n\n@fn.event()\ndef same(): ...\n",
    }
    fault = refused(files)
    assert (fault.file, fault.line) == ("functions/b.py", 3)
    assert "there is a function 'same' already, at functions/a.py:2" in fault.message


@pytest.mark.parametrize(
    "source",
    [
        '@fn.event(on_failure="f")\nasync def f(ctx, event): ...',
        '@fn.event(on_success="b")\ndef a(): ...\n@fn.event(on_failure="a")\ndef b(): ...',
        '@fn.on("queue.q", on_failure="queue:q")\ndef a(): ...',
        '@fn.on("queue.q", on_failure="b")\ndef a(): ...\n@fn.event(on_failure="queue:q")\n'
        "def b(): ...",
    ],
)
def test_destinations_that_form_a_loop_are_refused(source: str) -> None:
    fault = refused(source)
    assert "its destinations form a loop" in fault.message
    assert fault.file == "functions/main.py"
    assert fault.line


def test_a_chain_of_destinations_that_ends_is_fine() -> None:
    source = """
    @fn.event(on_success="c", on_failure="c")
    def a(): ...
    @fn.event(on_failure="a")
    def b(): ...
    @fn.event()
    def c(): ...
    """
    with released(source) as release:
        assert set(release.functions) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            '@fn.http("GET", "/a/{x}")\ndef f(): ...\n@fn.http("GET", "/a/{y}")\ndef g(): ...',
            "GET /a/{y} is a route of 'f' already",
        ),
        (
            '@fn.http("POST", "/a")\ndef f(): ...\n@fn.webhook("/a", secret="S")\ndef g(): ...',
            "POST /a is a route of 'f' already",
        ),
        (
            '@fn.http("GET", "/shop/x")\ndef f(): ...\nfn.mount("/shop", f)',
            "/shop/x lies below the mount at /shop",
        ),
        ('def f(a, b, c): ...\nfn.mount("/s", f)\nfn.mount("/s/", f)', "mounted at /s already"),
        ('fn.mount("/s/{x}", print)', "no parameters"),
        ('fn.mount("/s", 3)', "a mount is an ASGI or WSGI app"),
        ('@fn.on("queue.q")\ndef f(): ...\n@fn.on("queue.q")\ndef g(): ...', "read by 'f' already"),
    ],
)
def test_routes_and_queues_do_not_get_in_each_others_way(source: str, message: str) -> None:
    fault = refused(source)
    assert message in fault.message
    assert fault.line


def test_mounts_know_asgi_from_wsgi() -> None:
    source = """
    async def asgi(scope, receive, send): ...
    def wsgi(environ, start_response): ...
    class Asgi:
        async def __call__(self, scope, receive, send): ...
    class Wsgi:
        def __call__(self, environ, start_response): ...
    fn.mount("/a", asgi)
    fn.mount("/b", wsgi)
    fn.mount("/c", Asgi())
    fn.mount("/d", Wsgi())
    fn.mount("/", lambda *a: None, wsgi=True)
    """
    with released(source) as release:
        assert {m.path: m.wsgi for m in release.mounts} == {
            "/a": False,
            "/b": True,
            "/c": False,
            "/d": True,
            "": True,
        }


def test_decorators_keep_types_under_mypy_strict(tmp_path: Path) -> None:
    """A user's file, and the sample app's."""
    samples = ROOT / "functions"
    (tmp_path / "user.py").write_text(
        "from typing import assert_type\n"
        "from collections.abc import Coroutine\n"
        "from typing import Any\n"
        "from baas import Context, fn\n"
        "import msgspec\n\n"
        "class Post(msgspec.Struct):\n    title: str\n\n"
        "@fn.event(timeout=5, retries='quick')\n"
        "@fn.timer('0 3 * * *')\n"
        "async def publish(ctx: Context, post: Post) -> dict[str, int]:\n"
        "    return {'n': 1}\n\n"
        "@fn.middleware\n"
        "async def timed(ctx: Context, event: Any, proceed: fn.Proceed) -> Any:\n"
        "    return await proceed(event)\n\n"
        "@fn.initializer\n"
        "def ready(ctx: Context) -> None: ...\n\n"
        "async def use(ctx: Context) -> None:\n"
        "    assert_type(await publish(ctx, Post('a')), dict[str, int])\n"
        "    raise fn.Error('GONE', status=410)\n"
    )
    done = subprocess.run(
        [
            # The kit as a user has it, installed: its own files are read, not judged.
            *(sys.executable, "-m", "mypy", "--strict", "--no-incremental"),
            *("--follow-imports=silent", "user.py"),
            *map(str, sorted(samples.glob("*.py"))),
        ],
        cwd=tmp_path,
        env={"MYPYPATH": f"{ROOT}:{samples}", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
