"""The admin API that the panel speaks to: accounts, audit, data, rules, users, settings, keys."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from baas.gateway.audit import AUDIT
from baas.ports.documents import Find, resolve
from baas.settings import LimitSettings, Settings
from tests.support.app import Harness, Reply, running_app
from tests.support.gateway import write_app

PASSWORD = "correct horse"
POSTS = """\
collection: posts
schema:
  properties:
    n: {type: integer}
indexes:
  - fields: [n]
rules:
  read: doc.public == true || doc._openid == auth.uid
  create: auth != null
  update: doc._openid == auth.uid
fields:
  note: {read: "'editor' in auth.roles"}
"""
TESTS = """\
documents:
  posts: [{_id: p1, public: true}]
cases:
  - {as: null, do: find, collection: posts, sees: [p1]}
  - {as: null, do: insert, collection: posts, document: {}, fails: PERMISSION_DENIED}
"""


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Harness]:
    files = {"rules/posts.yaml": POSTS, "rules/posts.test.yaml": TESTS}
    with running_app(write_app(tmp_path, files)) as harness:
        yield harness


class Person:
    """Somebody signed in to the panel."""

    def __init__(self, app: Harness, token: str) -> None:
        self.app = app
        self.token = token

    def ask(self, path: str, body: Any = None, **headers: str) -> Reply:
        path = path if path.startswith("/") else f"/v1/admin/{path}"
        if body is None:
            return self.app.get(path, self.token, **headers)
        return self.app.post(path, body, self.token, **headers)

    def good(self, path: str, body: Any = None, **headers: str) -> Any:
        reply = self.ask(path, body, **headers)
        assert reply.status == 200, reply.body
        return reply.json()

    def audit(self) -> list[dict[str, Any]]:
        entries = self.good("audit", {})["entries"]
        return [one for one in entries if one["action"] != "admin.auth.set-up"]


@pytest.fixture
def ann(app: Harness) -> Person:
    code = app.app.set_up_code
    body = {"code": code, "name": "ann", "password": PASSWORD}
    return Person(app, app.post("/v1/admin/auth/set-up", body).json()["token"])


def person(app: Harness, owner: Person, name: str, role: str) -> Person:
    owner.good("auth/admins/create", {"name": name, "password": PASSWORD, "role": role})
    answer = app.post("/v1/admin/auth/sign-in", {"name": name, "password": PASSWORD})
    return Person(app, answer.json()["token"])


# -- people ----------------------------------------------------------------------------------------


def test_a_person_is_known_and_signs_out(app: Harness, ann: Person) -> None:
    assert ann.good("auth/me")["admin"]["name"] == "ann"
    assert [one["current"] for one in ann.good("auth/sessions")["sessions"]] == [True]
    ann.good("auth/sign-out", {})
    assert ann.ask("auth/me").code == "UNAUTHENTICATED"


def test_guesses_at_a_password_are_limited_per_name(tmp_path: Path) -> None:
    limits = LimitSettings(rate_auth="off", rate_password="3/h")
    with running_app(write_app(tmp_path, {}), Settings(limits=limits)) as app:
        wrong = {"name": "ann", "password": "x"}
        codes = [app.post("/v1/admin/auth/sign-in", wrong).code for _ in range(5)]
        other = app.post("/v1/admin/auth/sign-in", {"name": "bob", "password": "x"}).code
        # In another case it is the same name.
        upper = app.post("/v1/admin/auth/sign-in", {"name": "ANN", "password": "x"}).code

    assert codes == ["INVALID_CREDENTIALS"] * 3 + ["RATE_LIMITED"] * 2
    assert (other, upper) == ("INVALID_CREDENTIALS", "RATE_LIMITED")


def test_a_viewer_changes_nothing(app: Harness, ann: Person) -> None:
    viewer = person(app, ann, "vic", "viewer")
    for path, body in {
        "rules/save": {"name": "x.yaml", "text": "", "base": None},
        "users/create": {"username": "u", "password": PASSWORD},
        "secrets/set": {"name": "A", "value": "b"},
        "keys/create": {"name": "k", "scopes": ["database:read"]},
        "auth/admins/create": {"name": "x", "password": PASSWORD, "role": "viewer"},
        "/v1/database/posts/insert": {"document": {}},
        "/v1/storage/delete": {"files": [{"path": "a"}]},
    }.items():
        assert viewer.ask(path, body).code == "PERMISSION_DENIED", path
    assert viewer.good("/v1/database/posts/find", {})["documents"] == []


def test_a_developer_cannot_make_or_unmake_owners_or_keys_beyond_own_rights(
    app: Harness, ann: Person
) -> None:
    dev = person(app, ann, "dev", "developer")
    owner = ann.good("auth/me")["admin"]["id"]
    mine = dev.good("auth/me")["admin"]["id"]
    star = ann.good("keys/create", {"name": "star", "scopes": ["*"]})["key"]["id"]
    for path, body in (
        ("auth/admins/create", {"name": "x", "password": PASSWORD, "role": "owner"}),
        ("auth/admins/role", {"id": mine, "role": "owner"}),
        ("auth/admins/password", {"id": owner, "password": PASSWORD}),
        ("auth/admins/disable", {"id": owner, "disabled": True}),
        ("auth/admins/delete", {"id": owner}),
        ("keys/create", {"name": "k", "scopes": ["*"]}),
        ("keys/create", {"name": "k", "scopes": ["users:write"]}),
        ("keys/revoke", {"id": star}),
    ):
        assert dev.ask(path, body).code == "PERMISSION_DENIED", path
    assert dev.good("keys/create", {"name": "k", "scopes": ["database:read"]})["text"]


# -- audit -----------------------------------------------------------------------------------------


def test_every_change_is_recorded_with_who_and_how_it_ended(app: Harness, ann: Person) -> None:
    ann.good("users/create", {"username": "zoe", "password": "a long password", "roles": ["mod"]})
    ann.ask("users/create", {"username": "zoe", "password": "a long password"})
    ann.good("/v1/database/posts/insert", {"document": {"_id": "p1", "title": "private words"}})
    ann.good("/v1/database/posts/delete", {"id": "p1"})

    deleted, inserted, twice, once = ann.audit()
    assert {one["who"] for one in (deleted, inserted, twice, once)} == {"ann"}
    assert (once["action"], once["outcome"]) == ("admin.users.create", "200")
    assert once["details"] == {"username": "zoe", "roles": '["mod"]'}
    assert (twice["outcome"], twice["code"]) == ("409", "CONFLICT")
    assert (inserted["action"], inserted["path"]) == (
        "database.insert",
        "/v1/database/posts/insert",
    )
    assert deleted["details"] == {"id": "p1"}
    everything = str(ann.audit())
    assert "a long password" not in everything
    assert "private words" not in everything


def test_files_and_functions_are_recorded_by_name(app: Harness, ann: Person) -> None:
    form = (
        b'--x\r\nContent-Disposition: form-data; name="path"\r\n\r\nnotes/a.txt\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nprivate words'
        b"\r\n--x--\r\n"
    )
    headers = {
        "content-type": "multipart/form-data; boundary=x",
        "content-length": str(len(form)),
        "authorization": f"Bearer {ann.token}",
    }
    assert app.request("POST", "/v1/storage/upload", form, headers).status == 200
    ann.good("/v1/storage/delete", {"files": [{"path": "notes/a.txt"}]})
    ann.ask("/v1/functions/greet", {"private": "words"})

    called, deleted, uploaded = ann.audit()
    assert (uploaded["action"], uploaded["details"]) == ("storage.upload", {"path": "notes/a.txt"})
    assert deleted["details"] == {"files": '[{"path":"notes/a.txt"}]'}
    assert (called["action"], called["path"]) == ("functions.call", "/v1/functions/greet")
    assert "words" not in str(ann.audit())


def test_reading_is_not_recorded(app: Harness, ann: Person) -> None:
    ann.good("users/list", {})
    ann.good("/v1/database/posts/find", {})
    ann.good("collections")
    assert ann.audit() == []


def test_sign_ins_are_recorded_failed_ones_of_real_accounts_too(app: Harness, ann: Person) -> None:
    app.post("/v1/admin/auth/sign-in", {"name": "ann", "password": "wrong"})
    app.post("/v1/admin/auth/sign-in", {"name": "ann", "password": PASSWORD})
    app.post("/v1/admin/auth/sign-in", {"name": "made up", "password": "wrong"})
    assert [(one["who"], one["outcome"]) for one in ann.audit()] == [("ann", "200"), ("ann", "401")]


def test_a_key_is_recorded_on_the_admin_api_and_not_on_the_apps_own_traffic(
    app: Harness, ann: Person
) -> None:
    key = app.admin_key("database:write", "settings:write")
    app.post("/v1/database/posts/insert", {"document": {}}, key)
    assert ann.audit() == []
    app.post("/v1/admin/secrets/set", {"name": "PAY", "value": "sk-123456"}, key)
    (entry,) = ann.audit()
    assert entry["who"].startswith("key ")
    assert entry["details"] == {"name": "PAY"}


def test_acting_as_a_user_names_both(app: Harness, ann: Person) -> None:
    uid = ann.good("users/create", {"username": "zoe", "password": "a long password"})["uid"]
    ann.good("/v1/database/posts/insert", {"document": {"n": 1}}, X_Baas_As=uid)
    entry = ann.audit()[0]
    assert (entry["who"], entry["user"]) == ("ann", uid)
    (stored,) = ann.good("/v1/database/posts/find", {})["documents"]
    assert stored["_openid"] == uid


def test_an_entry_is_there_before_the_change_begins(
    app: Harness, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    async def look(*_: Any) -> None:
        seen.extend(await resolve(app.app.store.find(Find(collection=AUDIT))))
        raise RuntimeError("power cut")

    monkeypatch.setattr(app.app.vault, "set", look)
    assert ann.ask("secrets/set", {"name": "A", "value": "b"}).status == 500
    assert any(b'"outcome":"started"' in body for body in seen)
    assert ann.audit()[0]["outcome"] == "500"


def test_the_audit_log_is_read_page_by_page(app: Harness, ann: Person) -> None:
    for n in range(5):
        ann.good("secrets/set", {"name": f"S{n}", "value": "x"})
    first = ann.good("audit", {"limit": 3, "action": "admin.secrets.set"})
    rest = ann.good("audit", {"limit": 3, "action": "admin.secrets.set", "before": first["next"]})
    names = [one["details"]["name"] for one in first["entries"] + rest["entries"]]
    assert names == ["S4", "S3", "S2", "S1", "S0"]
    assert rest["next"] is None


# -- data ------------------------------------------------------------------------------------------


def test_collections_are_shown_with_counts_indexes_and_their_file(
    app: Harness, ann: Person
) -> None:
    ann.good("/v1/database/posts/insert", {"documents": [{"n": 1}, {"n": 2}]})
    ann.good("/v1/database/loose/insert", {"document": {}})

    loose, posts = ann.good("collections")["collections"]
    assert (posts["name"], posts["documents"], posts["file"]) == ("posts", 2, "posts.yaml")
    assert posts["indexes"][0]["keys"] == {"n": 1}
    assert (loose["name"], loose["file"]) == ("loose", None)


def test_see_as_tells_what_the_rules_would(app: Harness, ann: Person) -> None:
    zoe = ann.good("users/create", {"username": "zoe", "password": "a long password"})["uid"]
    documents = [
        {"_id": "open", "public": True, "note": "n"},
        {"_id": "hers", "note": "n"},
        {"_id": "closed"},
    ]
    ann.good("/v1/database/posts/insert", {"documents": documents})
    ann.good("/v1/database/posts/update", {"id": "hers", "update": {"$set": {"_openid": zoe}}})
    ids = [one["_id"] for one in documents]

    seen = ann.good("collections/see-as", {"collection": "posts", "uid": zoe, "ids": ids})
    verdicts = {id: (one["read"], one["update"]) for id, one in seen["documents"].items()}
    assert verdicts == {"open": (True, False), "hers": (True, True), "closed": (False, False)}
    assert seen["documents"]["open"]["hidden"] == ["note"]
    assert [clause["verdict"] for clause in seen["clauses"]] == ["depends", "depends"]

    nobody = ann.good("collections/see-as", {"collection": "posts", "uid": None, "ids": ids})
    really = app.post("/v1/database/posts/find", {}).json()["documents"]
    assert [id for id, one in nobody["documents"].items() if one["read"]] == [
        one["_id"] for one in really
    ]


def test_see_as_of_a_collection_that_no_file_names_denies_all(app: Harness, ann: Person) -> None:
    ann.good("/v1/database/loose/insert", {"document": {"_id": "x"}})
    seen = ann.good("collections/see-as", {"collection": "loose", "uid": None, "ids": ["x"]})
    assert (seen["rule"], seen["verdict"], seen["documents"]["x"]["read"]) == (None, "false", False)
    system = ann.good("collections/see-as", {"collection": "_users", "uid": None, "ids": []})
    assert system["documents"] == {}


# -- rules -----------------------------------------------------------------------------------------


def files_of(ann: Person) -> dict[str, dict[str, str]]:
    return {one["name"]: one for one in ann.good("rules/files", {})["files"]}


def test_faults_are_told_with_their_place(app: Harness, ann: Person) -> None:
    text = POSTS.replace("auth != null", "auht != null")
    (fault,) = ann.good("rules/check", {"name": "posts.yaml", "text": text})["messages"]
    assert (fault["file"], fault["line"], fault["severity"]) == ("posts.yaml", 9, "error")
    assert "auht" in fault["message"]
    tests = ann.good("rules/check", {"name": "posts.test.yaml", "text": "cases: 1\n"})
    assert tests["messages"][0]["severity"] == "error"


def test_a_saved_rule_is_in_force_with_the_answer_and_on_the_disk(
    app: Harness, ann: Person
) -> None:
    ann.good("/v1/database/posts/insert", {"document": {"_id": "closed"}})
    assert app.post("/v1/database/posts/find", {}).json()["documents"] == []
    file = files_of(ann)["posts.yaml"]
    text = POSTS.replace("doc.public == true ||", "doc.public != true ||")
    saved = ann.good("rules/save", {"name": "posts.yaml", "text": text, "base": file["digest"]})

    assert len(app.post("/v1/database/posts/find", {}).json()["documents"]) == 1
    assert (app.app.rules_folder / "posts.yaml").read_text() == text
    assert files_of(ann)["posts.yaml"]["digest"] == saved["digest"]
    assert ann.good("rules")["stale"] is False


def test_a_rule_that_does_not_load_changes_nothing(app: Harness, ann: Person) -> None:
    base = files_of(ann)["posts.yaml"]["digest"]
    body = {"name": "posts.yaml", "text": "collection: posts\nrules: {read: doc.}\n", "base": base}
    reply = ann.ask("rules/save", body)

    assert (reply.status, reply.code) == (400, "INVALID_ARGUMENT")
    assert reply.json()["errors"][0]["path"].startswith("posts.yaml:2")
    assert (app.app.rules_folder / "posts.yaml").read_text() == POSTS


def test_a_unique_index_that_meets_duplicates_changes_nothing(app: Harness, ann: Person) -> None:
    ann.good("/v1/database/posts/insert", {"documents": [{"n": 1}, {"n": 1}]})
    base = files_of(ann)["posts.yaml"]["digest"]
    text = POSTS.replace("- fields: [n]", "- {fields: [n], unique: true}")
    reply = ann.ask("rules/save", {"name": "posts.yaml", "text": text, "base": base})

    assert reply.code == "INVALID_ARGUMENT"
    assert (app.app.rules_folder / "posts.yaml").read_text() == POSTS
    assert app.post("/v1/database/posts/find", {}).status == 200


@pytest.mark.parametrize("base", [None, "0123456789abcdef"])
def test_somebody_elses_edit_is_not_written_over(
    app: Harness, ann: Person, base: str | None
) -> None:
    body = {"name": "posts.yaml", "text": POSTS, "base": base}
    assert ann.ask("rules/save", body).code == "CONFLICT"


@pytest.mark.parametrize(
    "name",
    ["../posts.yaml", "a/b.yaml", ".hidden.yaml", "posts.py", "posts", "", "a" * 70 + ".yaml"],
)
def test_no_other_file_can_be_written(app: Harness, ann: Person, name: str) -> None:
    for path in ("rules/save", "rules/check"):
        body = {"name": name, "text": "collection: x\n"}
        assert ann.ask(path, body).code == "INVALID_ARGUMENT"
    assert ann.ask("rules/remove", {"name": name, "base": "x"}).code == "INVALID_ARGUMENT"


def test_a_new_file_makes_a_collection_and_removing_it_shuts_it(app: Harness, ann: Person) -> None:
    text = "collection: notes\nrules: {read: true}\n"
    saved = ann.good("rules/save", {"name": "notes.yaml", "text": text, "base": None})
    assert app.post("/v1/database/notes/find", {}).status == 200
    ann.good("rules/remove", {"name": "notes.yaml", "base": saved["digest"]})
    assert app.post("/v1/database/notes/find", {}).code == "PERMISSION_DENIED"
    assert not (app.app.rules_folder / "notes.yaml").exists()


def test_rule_tests_run_on_the_text_that_is_not_saved_yet(app: Harness, ann: Person) -> None:
    run = ann.good("rules/test", {})
    assert [case["fault"] for case in run["cases"]] == ["", ""]
    assert any("update" in gap for gap in run["gaps"])

    text = POSTS.replace("create: auth != null", "create: true")
    run = ann.good("rules/test", {"name": "posts.yaml", "text": text})
    assert [bool(case["fault"]) for case in run["cases"]] == [False, True]


def test_the_playground_tells_clause_by_clause(app: Harness, ann: Person) -> None:
    body = {
        "collection": "posts",
        "operation": "read",
        "caller": {"uid": "u1", "roles": ["editor"]},
        "document": {"public": False, "_openid": "u1"},
    }
    tried = ann.good("rules/explain", body)
    assert tried["allowed"] is True
    assert [clause["value"] for clause in tried["clauses"]] == [False, True]
    assert tried["plan"]
    unsaved = {"name": "posts.yaml", "text": POSTS.replace("|| doc._openid == auth.uid", "")}
    assert ann.good("rules/explain", {**body, **unsaved})["allowed"] is False
    assert ann.ask("rules/explain", {**body, "collection": "none"}).code == "NOT_FOUND"


def test_the_impact_of_an_edit_is_told_on_what_was_really_asked(app: Harness, ann: Person) -> None:
    ann.good("/v1/database/posts/insert", {"documents": [{"public": True}, {"public": False}]})
    app.post("/v1/database/posts/find", {})
    app.post("/v1/database/posts/find", {"filter": {"n": 1}})
    text = POSTS.replace("doc.public == true ||", "doc.public == false || doc.public == true ||")

    impact = ann.good("rules/impact", {"name": "posts.yaml", "text": text})
    (changed,) = impact["changed"]
    assert (changed["operation"], changed["uid"]) == ("read", None)
    assert (changed["before"], changed["after"]) == ("1 documents", "2 documents")
    same = ann.good("rules/impact", {"name": "posts.yaml", "text": POSTS + "# a comment\n"})
    assert same["changed"] == []


# -- users -----------------------------------------------------------------------------------------


def test_users_are_found_by_name_uid_and_role(app: Harness, ann: Person) -> None:
    made = {
        name: ann.good("users/create", {"username": name, "password": "a long password"})["uid"]
        for name in ("zoe", "Zack", "bob")
    }
    ann.good("users/roles", {"uid": made["bob"], "add": ["mod"], "remove": []})

    def found(text: str) -> list[str]:
        return [one["username"] for one in ann.good("users/list", {"text": text})["users"]]

    assert found("") == ["bob", "Zack", "zoe"]
    assert found("Z") == ["Zack", "zoe"]
    assert found("mod") == ["bob"]
    assert found(made["zoe"]) == ["zoe"]
    assert found(".*") == []
    page = ann.good("users/list", {"limit": 2})
    rest = ann.good("users/list", {"limit": 2, "after": page["next"]})
    assert [one["username"] for one in rest["users"]] == ["zoe"]


def test_a_disabled_user_is_out_at_once_and_can_be_let_in_again(app: Harness, ann: Person) -> None:
    uid = ann.good("users/create", {"username": "zoe", "password": "a long password"})["uid"]
    token = app.post(
        "/v1/auth/sign-in/password", {"username": "zoe", "password": "a long password"}
    ).json()["accessToken"]
    assert len(ann.good("users/get", {"uid": uid})["sessions"]) == 1
    ann.good("users/disable", {"uid": uid, "disabled": True})
    assert app.get("/v1/auth/me", token).code == "UNAUTHENTICATED"
    ann.good("users/disable", {"uid": uid, "disabled": False})
    ann.good("users/password", {"uid": uid, "password": "another password"})
    again = {"username": "zoe", "password": "another password"}
    assert app.post("/v1/auth/sign-in/password", again).status == 200
    assert ann.good("users/sessions/end", {"uid": uid}) == {"ended": 1}
    ann.good("users/delete", {"uid": uid})
    assert ann.ask("users/get", {"uid": uid}).code == "NOT_FOUND"
    assert ann.ask("users/delete", {"uid": uid}).code == "NOT_FOUND"


# -- settings, secrets, keys -----------------------------------------------------------------------


def test_settings_say_where_they_come_from_and_keep_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAAS_AUTH__WECHAT_SECRET", "hidden-value")
    manifest = "app: {name: shop}\nlimits: {find_max: 500}\n"
    with running_app(write_app(tmp_path, {"baas.yaml": manifest})) as app:
        code = app.app.set_up_code
        body = {"code": code, "name": "ann", "password": PASSWORD}
        ann = Person(app, app.post("/v1/admin/auth/set-up", body).json()["token"])
        answer = ann.ask("settings")
        shown = {(one["section"], one["key"]): one for one in answer.json()["settings"]}

    assert shown["limits", "find_max"]["origin"] == "file"
    assert shown["server", "port"]["origin"] == "default"
    wechat = shown["auth", "wechat_secret"]
    assert (wechat["origin"], wechat["secret"], wechat["value"]) == ("environment", True, None)
    assert b"hidden-value" not in answer.body
    assert all(one["text"] for one in shown.values())


def test_a_secret_can_be_set_and_never_read(app: Harness, ann: Person) -> None:
    ann.good("secrets/set", {"name": "PAY", "value": "sk-very-hidden"})
    answer = ann.ask("secrets")
    assert [one["name"] for one in answer.json()["secrets"]] == ["PAY"]
    assert b"sk-very-hidden" not in answer.body
    ann.good("secrets/delete", {"name": "PAY"})
    assert ann.ask("secrets/delete", {"name": "PAY"}).code == "NOT_FOUND"


def test_a_key_works_until_it_is_revoked(app: Harness, ann: Person) -> None:
    made = ann.good("keys/create", {"name": "job", "scopes": ["database:read"]})
    assert app.post("/v1/database/posts/find", {}, made["text"]).status == 200
    assert [one["name"] for one in ann.good("keys")["keys"]] == ["job"]
    ann.good("keys/revoke", {"id": made["key"]["id"]})
    assert app.post("/v1/database/posts/find", {}, made["text"]).code == "UNAUTHENTICATED"


# -- home ------------------------------------------------------------------------------------------


def test_the_numbers_of_a_minute_survive_it(app: Harness, ann: Person) -> None:
    app.post("/v1/database/posts/find", {})
    app.run(app.app.history.sample())
    app.post("/v1/database/nothing/find", {})
    for _ in range(5):
        app.run(app.app.history.sample())
    app.app.history._held.clear()

    points = ann.good("metrics", {"minutes": 5})["points"]
    assert sum(one["requests"] for one in points) == 2
    assert sum(one["refused"] for one in points) == 1
    assert max(one["p95"] or 0 for one in points) > 0
    assert points[-1]["memory"] > 0
    assert points[-1]["data"] > 0


def test_the_status_is_that_of_the_app(app: Harness, ann: Person) -> None:
    status = ann.good("status")
    assert (status["healthy"], status["collections"]) == (True, 1)
    assert status["data_bytes"] > 0


@pytest.mark.parametrize("path", ["explain", "impact"])
def test_rules_of_ones_own_are_tried_on_documents_that_one_may_read(
    app: Harness, path: str
) -> None:
    """Else a key that reads settings could ask `get()` for any of them."""
    bodies = {
        "explain": {"collection": "posts", "operation": "read"},
        "impact": {"name": "posts.yaml", "text": POSTS},
    }
    lacking = Person(app, app.admin_key("settings:read"))
    assert lacking.ask(f"rules/{path}", bodies[path]).code == "PERMISSION_DENIED"
    Person(app, app.admin_key("settings:read", "database:read")).good(f"rules/{path}", bodies[path])


# -- backup ----------------------------------------------------------------------------------------


def test_a_backup_is_written_beside_the_app_and_is_whole(app: Harness, ann: Person) -> None:
    ann.good("/v1/database/posts/insert", {"document": {"_id": "kept"}})
    name = ann.good("backup/start", {})["name"]
    assert ann.ask("backup/start", {}).code == "CONFLICT"
    task = app.app.backups._task
    assert task is not None

    async def ended() -> None:
        await task

    app.run(ended())
    status = ann.good("backup")
    assert (status["running"], status["error"]) == (None, "")
    assert [one["name"] for one in status["files"]] == [name]
    file = app.app.folder / "backups" / name
    assert file.stat().st_mode & 0o077 == 0
    with tarfile.open(file) as archive:
        assert {"db.sqlite3", "secret"} <= set(archive.getnames())
