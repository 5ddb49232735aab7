"""`/v1/admin/rules`: rule files read, checked, tested, saved; what a rule comes to, and what an
edit would change."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from baas.auth.scopes import require_scope
from baas.errors import Code, Problem, not_found
from baas.gateway.adminroutes.impact import Changed, impact
from baas.gateway.adminroutes.table import Body, Done, Nothing, admin_route
from baas.gateway.route import Route
from baas.gateway.services import Services
from baas.guard.playground import Given, Tried, try_rule
from baas.rules.files import MAX_TEXT, Message, RuleFile, TestRun
from baas.rules.model import Operation
from baas.schema.actor import NOBODY, Actor

_READ: Final = "settings:read"
_WRITE: Final = "settings:write"
#: A rule of one's own making tells, by `get()`, what is in any document.
_DOCUMENTS: Final = "database:read"
_Name = Annotated[str, msgspec.Meta(max_length=80)]
_Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class RuleFileList(msgspec.Struct, frozen=True):
    files: list[RuleFile]


class Checked(msgspec.Struct, frozen=True):
    messages: list[Message]


class FileBody(Body, frozen=True):
    name: _Name
    text: _Text


class SaveBody(Body, frozen=True):
    """`base` is the digest of the text that was edited, null for a new file."""

    name: _Name
    text: _Text
    base: str | None = None


class RemoveBody(Body, frozen=True):
    name: _Name
    base: str


class TestBody(Body, frozen=True):
    """With `name` and `text`: as if that file held that text."""

    name: _Name | None = None
    text: _Text | None = None


class Caller(Body, frozen=True):
    """As in rule tests: who `auth` is. With `uid` alone, the user of the app if there is one."""

    uid: str
    roles: tuple[str, ...] | None = None
    login_type: str | None = None


class ExplainBody(Body, frozen=True):
    """`caller` null: nobody. `document` is the stored one, `new_document` what it would become;
    `data` what the client sends. `name` and `text` as for tests."""

    collection: str
    operation: Operation
    caller: Caller | None = None
    document: dict[str, Any] | None = None
    new_document: dict[str, Any] | None = None
    data: Any = None
    name: _Name | None = None
    text: _Text | None = None


async def _list(services: Services, actor: Actor, body: Nothing) -> RuleFileList:
    return RuleFileList(await services.panel.rules.read())


async def _check(services: Services, actor: Actor, body: FileBody) -> Checked:
    return Checked(await services.panel.rules.check(body.name, body.text))


async def _test(services: Services, actor: Actor, body: TestBody) -> TestRun:
    return await services.panel.rules.test(body.name, body.text)


async def _save(services: Services, actor: Actor, body: SaveBody) -> RuleFile:
    return await services.panel.rules.save(body.name, body.text, body.base)


async def _remove(services: Services, actor: Actor, body: RemoveBody) -> Done:
    await services.panel.rules.remove(body.name, body.base)
    return Done()


async def _caller(services: Services, given: Caller | None) -> Actor:
    if given is None:
        return NOBODY
    try:
        known = await services.auth.actor_of(given.uid)
    except Problem as problem:
        if problem.code is not Code.NOT_FOUND:
            raise
        known = Actor(uid=given.uid, openid=given.uid, login_type="USERNAME")
    if given.roles is not None:
        known = msgspec.structs.replace(known, roles=given.roles)
    if given.login_type is not None:
        known = msgspec.structs.replace(known, login_type=given.login_type)
    return known


async def _explain(services: Services, actor: Actor, body: ExplainBody) -> Tried:
    require_scope(actor, _DOCUMENTS)
    if body.text is None:
        book = services.guard.book
    else:
        book = (await services.panel.rules.load_with(body.name, body.text)).book
    rules = book.collections.get(body.collection)
    if rules is None:
        raise not_found("No rule file names this collection, so all is denied.")
    given = Given(
        actor=await _caller(services, body.caller),
        operation=body.operation,
        document=body.document,
        new_document=body.new_document,
        data=body.data,
        now_ms=services.clock.now_ms(),
    )
    return await try_rule(services.panel.store, rules, given)


class ImpactBody(Body, frozen=True):
    name: _Name
    text: _Text


class Impact(msgspec.Struct, frozen=True, kw_only=True):
    """Of the latest decisions of this process, each caller's and operation's once: how many are as
    they were, and those that are not."""

    looked_at: int
    same: int
    changed: list[Changed]


async def _impact(services: Services, actor: Actor, body: ImpactBody) -> Impact:
    require_scope(actor, _DOCUMENTS)
    rules = await services.panel.rules.load_with(body.name, body.text)
    looked_at, changed = await impact(services, rules.book)
    return Impact(looked_at=looked_at, same=looked_at - len(changed), changed=changed)


ROUTES: Final[tuple[Route, ...]] = (
    admin_route("rules/files", "Rule files and their tests", _READ, _list, Nothing, RuleFileList),
    admin_route(
        "rules/check",
        "What is wrong with a text, were it a rule file",
        _READ,
        _check,
        FileBody,
        Checked,
    ),
    admin_route("rules/test", "Run the rule tests", _READ, _test, TestBody, TestRun),
    admin_route(
        "rules/explain",
        "What a rule comes to, clause by clause",
        _READ,
        _explain,
        ExplainBody,
        Tried,
        Code.NOT_FOUND,
    ),
    admin_route(
        "rules/impact",
        "What a text would change of the latest decisions",
        _READ,
        _impact,
        ImpactBody,
        Impact,
    ),
    admin_route(
        "rules/save",
        "Put a rule file in force and write it",
        _WRITE,
        _save,
        SaveBody,
        RuleFile,
        Code.CONFLICT,
        Code.NOT_FOUND,
        recorded=("name", "base"),
    ),
    admin_route(
        "rules/remove",
        "Take a rule file away",
        _WRITE,
        _remove,
        RemoveBody,
        Done,
        Code.CONFLICT,
        Code.NOT_FOUND,
        recorded=("name", "base"),
    ),
)
