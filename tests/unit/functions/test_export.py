"""Timers in other clouds' words, and what an export says of itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from baas.functions.bundle import Bundle
from baas.functions.export import TARGETS, Exported, cron, export
from baas.functions.export.sources import use_of
from baas.functions.model import TimerTrigger
from tests.support.functions import as_files, bundle_of, released


def exported(text: str, target: str) -> Exported:
    files = as_files(text)
    bundle: Bundle = bundle_of(files)
    with released(files) as release:
        return export(release, bundle, target, "shop")


def remarks(made: Exported, about: str) -> str:
    return "\n".join(one.text for one in made.plan.remarks if one.about == about)


@pytest.mark.parametrize(
    ("write", "given", "tz", "wanted"),
    [
        (cron.aws, "30 2 * * MON-FRI", "Asia/Shanghai", "cron(30 2 ? * MON,TUE,WED,THU,FRI *)"),
        (cron.aws, "0 3 * * *", "UTC", "cron(0 3 * * ? *)"),
        (cron.aws, "0 3 1,15 * *", "UTC", "cron(0 3 1,15 * ? *)"),
        # 0 and 7 are Sunday here; 1 is, over there.
        (cron.aws, "0 3 * * 0", "UTC", "cron(0 3 ? * SUN *)"),
        (cron.aws, "0 3 * * 5-7", "UTC", "cron(0 3 ? * SUN,FRI,SAT *)"),
        (cron.aws, "0 3 * * */2", "UTC", "cron(0 3 ? * SUN,TUE,THU,SAT *)"),
        (cron.alibaba, "*/5 * * * *", "Europe/Berlin", "CRON_TZ=Europe/Berlin 0 */5 * * * *"),
        (cron.alibaba, "15 0 4 * * 1", "UTC", "CRON_TZ=UTC 15 0 4 * * MON"),
        (cron.tencent, "0 3 * * *", "Asia/Shanghai", "0 0 3 * * * *"),
        (cron.tencent, "0 3 1 * MON", "Asia/Shanghai", "0 0 3 1 * MON *"),
    ],
)
def test_a_timer_in_the_words_of_a_cloud(
    write: Callable[[TimerTrigger], str], given: str, tz: str, wanted: str
) -> None:
    assert write(TimerTrigger(cron=given, tz=tz)) == wanted


@pytest.mark.parametrize(
    ("write", "given", "tz", "why"),
    [
        (cron.aws, "15 0 3 * * *", "UTC", "no seconds"),
        (cron.aws, "0 3 1 * MON", "UTC", "not both"),
        (cron.alibaba, "0 3 1 * MON", "UTC", "not both"),
        (cron.alibaba, "0 3 * * FRI#2", "UTC", "FRI#2"),
        (cron.aws, "0 3 L * *", "UTC", "'L'"),
        (cron.tencent, "0 3 * * *", "UTC", "Beijing"),
    ],
)
def test_a_timer_that_a_cloud_has_no_words_for(
    write: Callable[[TimerTrigger], str], given: str, tz: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        write(TimerTrigger(cron=given, tz=tz))


@pytest.mark.parametrize("target", TARGETS)
def test_what_does_not_carry_over_is_left_out_and_said(target: str) -> None:
    made = exported(
        """
        @fn.event(timeout=86_400, on_failure="other")
        @fn.on("database.posts.insert")
        async def first(ctx, event): ...
        @fn.before("database.posts.insert")
        async def second(ctx, event): ...
        @fn.event()
        async def other(ctx, event): ...
        """,
        target,
    )

    assert [one.name for one in made.plan.functions] == ["first", "other"]
    told = remarks(made, "first")
    assert "database.posts.insert is left out" in told
    assert "its destinations are left out" in told
    most = TARGETS[target][0].max_timeout
    assert (f"becomes {most} s" in told) == (most < 86_400)
    assert "none of its triggers carries over" in remarks(made, "second")


def test_queues_go_where_a_manifest_can_make_them() -> None:
    text = """
    @fn.on("queue.mails", batch=10)
    @fn.event()
    async def mails(ctx, event): ...
    """

    assert "MailsQueue" in exported(text, "sam").document["Resources"]
    assert "queue.mails is left out" in remarks(exported(text, "serverless"), "mails")


def test_secrets_are_found_by_name_and_the_others_are_said() -> None:
    use = use_of(b'a = ctx.secrets["A"]\nb = ctx.secrets.get("B")\nc = ctx.secrets[name]\n')

    assert use.secrets == {"A", "B"}
    assert use.other_secrets
    assert not use_of(b"import secrets\nx = secrets.token_hex(3)\n").other_secrets


def test_values_of_variables_carry_over_and_those_of_the_gateway_do_not() -> None:
    made = exported(
        """
        @fn.event(env={"STAGE": "live"})
        async def one(ctx, event):
            return ctx.secrets["PAY"]
        """,
        "serverless",
    )

    assert made.document["functions"]["one"]["environment"] == {
        "STAGE": "live",
        "BAAS_URL": "${env:BAAS_URL}",
        "BAAS_KEY": "${env:BAAS_KEY}",
        "BAAS_SECRET_PAY": "${env:BAAS_SECRET_PAY}",
    }
