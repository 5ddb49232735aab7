"""Sign-in with WeChat, against a local stand-in for WeChat's one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from baas.auth import bodies
from baas.auth.collections import CREDENTIALS, IDENTITIES, SESSIONS, USERS
from baas.auth.wechat import MAX_ANSWER_BYTES, Wechat
from baas.errors import Code, ConfigurationError
from baas.ids import is_id
from baas.schema.actor import NOBODY
from baas.schema.values import encode
from baas.settings import AuthSettings
from tests.support.auth import CLIENT, PASSWORD, Bench, play_scenario, refused
from tests.support.wechat import OPENID, FakeWechat, fake_wechat


@pytest.fixture
def fake() -> Iterator[FakeWechat]:
    with fake_wechat() as server:
        yield server


def settings(fake: FakeWechat) -> dict[str, str]:
    return {"wechat_appid": "wx1", "wechat_secret": "s3", "wechat_api": fake.address}


def play(fake: FakeWechat, test: Callable[[Bench], Any]) -> None:
    play_scenario(test, **settings(fake))


async def sign_in(auth: Bench, code: str = "good") -> bodies.Session:
    return await auth.service.sign_in_wechat(bodies.WechatSignIn(code=code), NOBODY, CLIENT)


def test_a_user_first_made_by_wechat_has_the_openid_as_uid(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good", unionid="u-1")
        session = await sign_in(auth)
        actor = await auth.actor(session)
        assert (session.user.uid, actor.uid, actor.openid) == (OPENID, OPENID, OPENID)
        assert (actor.login_type, actor.unionid, actor.appid) == ("WECHAT", "u-1", "wx1")
        assert (await sign_in(auth)).user.uid == OPENID
        assert len(await auth.documents(USERS)) == 1
        assert fake.asked[0] == {
            "path": ["/sns/jscode2session"],
            "appid": ["wx1"],
            "secret": ["s3"],
            "js_code": ["good"],
            "grant_type": ["authorization_code"],
        }

    play(fake, test)


def test_the_session_key_goes_nowhere(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        session = await sign_in(auth)
        kept = [await auth.documents(name) for name in (USERS, IDENTITIES, SESSIONS)]
        assert b"tiihtNczf5v6" not in encode([kept, session])

    play(fake, test)


def test_first_sign_ins_at_once_make_one_account(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        sessions = await asyncio.gather(*(sign_in(auth) for _ in range(5)))
        assert {session.user.uid for session in sessions} == {OPENID}
        assert len(await auth.documents(SESSIONS)) == 5

    play(fake, test)


def test_a_unionid_told_later_is_kept(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        assert (await auth.actor(await sign_in(auth))).unionid is None
        fake.knows("good", unionid="u-1")
        assert (await auth.actor(await sign_in(auth))).unionid == "u-1"

    play(fake, test)


def test_an_account_linked_to_wechat_keeps_its_uid(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        before = await auth.anonymous()
        link = bodies.LinkWechat(code="good")
        linked = await auth.call(auth.service.link, link, await auth.actor(before))
        assert (linked.user.uid, linked.user.login_type) == (before.user.uid, "WECHAT")
        assert (await sign_in(auth)).user.uid == before.user.uid
        actor = await auth.actor(linked)
        assert actor.openid == before.user.uid
        assert actor.identities["wechat"]["openid"] == OPENID

    play(fake, test)


def test_linking_cannot_take_over_a_wechat_user(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        await sign_in(auth)
        thief = await auth.actor(await auth.sign_up("thief"))
        with refused(Code.CONFLICT):
            await auth.call(auth.service.link, bodies.LinkWechat(code="good"), thief)
        assert (await sign_in(auth)).user.uid == OPENID

    play(fake, test)


def test_an_account_has_one_wechat_user(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        fake.knows("second", openid="another-openid")
        actor = await auth.actor(await sign_in(auth))
        with refused(Code.CONFLICT):
            await auth.call(auth.service.link, bodies.LinkWechat(code="second"), actor)
        assert (await sign_in(auth, "second")).user.uid == "another-openid"

    play(fake, test)


def test_a_password_that_was_unlinked_is_gone_and_its_name_is_free(fake: FakeWechat) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        signed_up = await auth.sign_up("ann")
        link = bodies.LinkWechat(code="good")
        linked = await auth.call(auth.service.link, link, await auth.actor(signed_up))
        actor = await auth.actor(linked)
        await auth.call(auth.service.unlink, bodies.Unlink(method="password"), actor)
        assert await auth.documents(CREDENTIALS) == []
        with refused(Code.INVALID_CREDENTIALS):
            await auth.sign_in("ann")
        assert (await auth.sign_up("ann")).user.uid != signed_up.user.uid
        again = bodies.LinkPassword(username="ann2", password=PASSWORD)
        assert (await auth.call(auth.service.link, again, actor)).user.uid == signed_up.user.uid

    play(fake, test)


def test_an_account_that_gave_up_wechat_stays_its_own(fake: FakeWechat) -> None:
    """Its uid is the openid still; whoever comes with that openid gets another account."""

    async def test(auth: Bench) -> None:
        fake.knows("good")
        link = bodies.LinkPassword(username="ann", password=PASSWORD)
        linked = await auth.call(auth.service.link, link, await auth.actor(await sign_in(auth)))
        elsewhere = await sign_in(auth)
        unlink = bodies.Unlink(method="wechat")
        await auth.call(auth.service.unlink, unlink, await auth.actor(linked))
        with refused(Code.UNAUTHENTICATED):
            await auth.actor(elsewhere)
        assert (await auth.sign_in("ann")).user.uid == OPENID
        newcomer = await sign_in(auth)
        assert newcomer.user.uid != OPENID
        assert is_id(newcomer.user.uid)

    play(fake, test)


@pytest.mark.parametrize(
    ("errcode", "code"),
    [
        (40029, Code.INVALID_CREDENTIALS),
        (40163, Code.INVALID_CREDENTIALS),
        (40226, Code.INVALID_CREDENTIALS),
        (45011, Code.RATE_LIMITED),
        (-1, Code.UNAVAILABLE),
        (40013, Code.UNAVAILABLE),
        (40125, Code.UNAVAILABLE),
        (12345, Code.UNAVAILABLE),
    ],
)
def test_wechat_s_refusals_become_ours(fake: FakeWechat, errcode: int, code: Code) -> None:
    async def test(auth: Bench) -> None:
        fake.answers["c"] = {"errcode": errcode, "errmsg": "invalid appsecret s3 rid: 1"}
        with refused(code) as fault:
            await sign_in(auth, "c")
        assert "s3" not in fault.problem.detail
        if code is not Code.INVALID_CREDENTIALS:
            assert fault.problem.retry_after

    play(fake, test)


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (200, b""),
        (200, b"[]"),
        (200, b'{"openid": 1}'),
        (200, b"{}"),
        (200, b'{"openid": "../../x"}'),
        (200, b'{"openid": "' + b"x" * 65 + b'"}'),
        (200, b'{"openid": "o"}' + b" " * MAX_ANSWER_BYTES),
        (500, b'{"openid": "o"}'),
        (302, b""),
    ],
    ids=lambda answer: repr(answer)[:30],
)
def test_what_is_not_an_answer_is_unavailable(fake: FakeWechat, answer: tuple[int, bytes]) -> None:
    async def test(auth: Bench) -> None:
        fake.knows("good")
        fake.answers["c"] = answer
        with refused(Code.UNAVAILABLE):
            await sign_in(auth, "c")
        assert await auth.documents(USERS) == []
        assert len(fake.asked) == 1

    play(fake, test)


def test_a_silent_wechat_is_not_waited_for(fake: FakeWechat) -> None:
    async def test() -> None:
        fake.answers["c"] = "hang"
        wechat = Wechat(AuthSettings(**settings(fake)), timeout=0.05)
        with refused(Code.UNAVAILABLE):
            await wechat.exchange("c")
        wechat.close()

    asyncio.run(test())


def test_an_absent_wechat_is_unavailable(fake: FakeWechat) -> None:
    async def test() -> None:
        unused = {**settings(fake), "wechat_api": "http://127.0.0.1:1"}
        wechat = Wechat(AuthSettings(**unused))
        with refused(Code.UNAVAILABLE):
            await wechat.exchange("c")
        wechat.close()

    asyncio.run(test())


def test_without_an_appid_it_is_not_supported() -> None:
    async def test(auth: Bench) -> None:
        with refused(Code.NOT_SUPPORTED):
            await sign_in(auth)

    play_scenario(test)


@pytest.mark.parametrize(
    "wrong",
    [
        {"wechat_api": "http://api.weixin.qq.com"},
        {"wechat_api": "ftp://127.0.0.1"},
        {"wechat_api": "api.weixin.qq.com"},
        {"wechat_secret": ""},
    ],
    ids=str,
)
def test_settings_that_would_leak_or_fail_stop_the_start(wrong: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Wechat(AuthSettings(**{"wechat_appid": "wx1", "wechat_secret": "s3", **wrong}))
