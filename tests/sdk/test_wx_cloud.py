"""The face of wx.cloud: a program written for it (existing/app.js) runs on the gateway with its
import and its init changed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from scripts.node import FOLDER
from tests.support.gateway import Gateway, running, write_app
from tests.support.node import RUNTIME, bundle, node, tool
from tests.support.wechat import OPENID, fake_wechat

EXISTING: Final = FOLDER.parent / "existing" / "app.js"
FACE: Final = str(RUNTIME / "wx-cloud.ts")
IMPORT: Final = "const cloud = wx.cloud\n"
INIT: Final = "cloud.init({ env: 'todo-prod-1a2b', traceUser: true })\n"
APP: Final = {
    "baas.yaml": "app: {name: todo}\n",
    "rules/todos.yaml": (
        "collection: todos\nacl: PRIVATE\n"
        "schema: {type: object, properties: {title: {type: string}, place: {type: geo}}}\n"
    ),
    "rules/secrets.yaml": "collection: secrets\nacl: ADMINONLY\n",
    "rules/_storage.yaml": (
        "- {path: 'pictures/{file}', read: auth != null, write: auth != null}\n"
        "- {path: 'elsewhere/{file}', read: false, write: false}\n"
    ),
    "rules/_functions.yaml": "sum: {invoke: auth != null}\n",
    "functions/sum.py": (
        "from datetime import UTC, datetime\n\nfrom baas import Context, fn\n\n\n"
        "@fn.event()\n"
        "async def sum(ctx: Context, event: dict[str, int]) -> dict[str, object]:\n"
        "    at = datetime.now(UTC)\n"
        "    return {'sum': event['a'] + event['b'], 'loginType': ctx.auth.loginType, 'at': at}\n"
    ),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = write_app(tmp_path_factory.mktemp("existing") / "app", APP)
    with fake_wechat() as wechat:
        wechat.knows("existing-code")
        settings = {"APPID": "wx0", "SECRET": "s", "API": wechat.address}
        given = {f"BAAS_AUTH__WECHAT_{name}": value for name, value in settings.items()}
        with running(folder, **given) as started:
            yield started


@pytest.fixture(scope="module")
def found(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    text = EXISTING.read_text()
    assert text.count(IMPORT) == text.count(INIT) == 1
    text = text.replace(IMPORT, f"const {{ cloud }} = require({FACE!r})\n")
    text = text.replace(INIT, f"cloud.init({{ url: {gateway.url!r} }})\n")
    return said(text, tmp_path_factory.mktemp("bundle"))


def said(program: str, folder: Path) -> dict[str, Any]:
    """What it saw in the fake of wx, bundled as a mini-program's build does."""
    (folder / "app.js").write_text(program)
    form = ("--format=iife", "--global-name=inside", "--target=es2019", "--platform=neutral")
    out = folder / "bundle.js"
    tool("esbuild", folder / "app.js", "--bundle", *form, "--log-level=error", f"--outfile={out}")
    alias = f"--alias:ws={FOLDER / 'node_modules' / 'ws'}"
    runner = bundle(FOLDER / "in-existing.ts", folder / "in-existing.mjs", alias)
    answer: dict[str, Any] = json.loads(node(runner, out))
    return answer


@pytest.fixture(scope="module")
def seen(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["seen"])


def test_it_signs_in_by_wx_login_once(found: dict[str, Any]) -> None:
    assert found["called"].count("login") == 1
    result = found["seen"]["callFunction"]
    assert result == {
        "result": {"sum": 3, "loginType": "WECHAT", "at": "20"},
        "errMsg": "cloud.callFunction:ok",
        "traced": True,
    }


@pytest.mark.parametrize(
    ("name", "api"),
    [("add", "collection.add"), ("update", "document.update"), ("removeOne", "document.remove")],
)
def test_callbacks_are_told_and_nothing_is_returned(
    seen: dict[str, Any], name: str, api: str
) -> None:
    assert seen[name] == {"told": "success", "same": True, "returned": True, "errMsg": f"{api}:ok"}


def test_queries_have_the_shapes_of_wx_cloud(seen: dict[str, Any]) -> None:
    assert seen["page"] == {"count": 20, "first": "number 23", "errMsg": "collection.get:ok"}
    assert seen["next"] == ["number 4", "number 3", "number 2", "number 1", "number 0"]
    assert seen["count"] == {"total": 3, "errMsg": "collection.count:ok"}
    assert seen["some"] == ["_id,title buy milk", "_id,title number 1", "_id,title number 2"]
    assert seen["before"] == [{"title": "number 6"}]
    assert seen["sums"] == {
        "list": [{"_id": "far", "n": 15}, {"_id": "near", "n": 7}],
        "errMsg": "collection.aggregate:ok",
    }


def test_writes_have_the_shapes_of_wx_cloud(seen: dict[str, Any]) -> None:
    assert seen["document"] == {
        "progress": 15,
        "tags": ["home", "shop", "now"],
        "style": {"color": "blue", "size": "big"},
        "due": "2026-12-01T00:00:00.000Z",
        "place": [113.3, 23.1, "Point"],
        "late": True,
    }
    assert seen["changed"] == {"style": {"color": "green"}, "done": False}
    assert seen["set"] == {
        "_id": "todo-set",
        "stats": {"created": 1, "updated": 0},
        "errMsg": "document.set:ok",
    }
    assert seen["setAgain"]["stats"] == {"created": 0, "updated": 1}
    assert seen["updateNone"] == {"stats": {"updated": 0}, "errMsg": "document.update:ok"}
    assert seen["updateMany"] == {"stats": {"updated": 3}, "errMsg": "collection.update:ok"}
    assert seen["removeMany"] == {"stats": {"removed": 3}, "errMsg": "collection.remove:ok"}
    assert seen["remove"] == {"stats": {"removed": 1}, "errMsg": "document.remove:ok"}


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("absent", -1, "document.get:fail document with _id nowhere does not exist"),
        ("denied", -502003, "collection.get:fail -502003 database permission denied"),
        ("invalid", -501007, "collection.add:fail -501007 invalid parameters"),
        ("twice", -502001, "collection.add:fail -502001 database request fail"),
        ("noData", -401002, "collection.add:fail -401002 invalid api parameters"),
        ("limited", -501007, "collection.remove:fail -501007 invalid parameters"),
        ("noList", -401002, "cloud.getTempFileURL:fail -401002 invalid api parameters"),
        ("noFunction", -504001, "cloud.callFunction:fail -504001 functions request fail"),
        ("badFunction", -501007, "cloud.callFunction:fail -501007"),
        ("noFile", -503003, "cloud.downloadFile:fail -503003 storage file not exists"),
        ("foreignFile", -503002, "cloud.uploadFile:fail -503002 storage permission denied"),
    ],
)
def test_faults_have_the_numbers_of_wx_cloud(
    seen: dict[str, Any], name: str, number: int, words: str
) -> None:
    assert seen[name]["errCode"] == number, seen[name]
    assert seen[name]["errMsg"].startswith(words)
    assert seen[name]["isError"] is True


def test_a_fault_is_told_to_fail_and_complete(seen: dict[str, Any]) -> None:
    assert {name: seen["failed"][name] for name in ("told", "same", "returned")} == {
        "told": "fail",
        "same": True,
        "returned": True,
    }


def test_transactions(seen: dict[str, Any]) -> None:
    assert seen["transactions"] == {
        "done": {"updated": 1},
        "moved": 21,
        "reason": -100,
        "committed": "transaction.commit:ok",
        "total": 1,
        "kept": 21,
    }


def test_files(seen: dict[str, Any]) -> None:
    files = seen["files"]
    file = "cloud://todo/pictures/a.png"
    ok = {"fileID": file, "statusCode": 204, "errMsg": "cloud.uploadFile:ok"}
    assert files["uploaded"] == ok
    assert files["last"] == 100
    assert files["links"] == [[0, 900, True], [-503003, 60, False]]
    assert files["got"] == [200, "a picture", "cloud.downloadFile:ok"]
    assert files["old"] == [True, 0, True, 200], "a fileID of the environment it came from"
    old = "cloud://todo-prod-1a2b.746f-todo-prod-1a2b-1300000000/pictures/a.png"
    gone = [{"fileID": old, "status": 0, "errMsg": "ok"}]
    assert files["gone"] == {"fileList": gone, "errMsg": "cloud.deleteFile:ok"}


def test_watches(seen: dict[str, Any]) -> None:
    assert "watchFailed" not in seen
    assert seen["watch"] == [
        {"id": 0, "type": "init", "titles": [], "changes": []},
        {"id": 1, "titles": ["live"], "changes": [[0, "enqueue", "add", "live", None]]},
        {
            "id": 2,
            "titles": ["still live"],
            "changes": [[0, "update", "update", "live", "still live"]],
        },
        {"id": 3, "titles": [], "changes": [[0, "dequeue", "remove", "live", None]]},
    ]
    assert seen["watchDenied"] == -502003
    assert seen["order"] == ["todo-7", "todo-6", "todo-5"], "as wx.cloud, where none is asked for"


#: Of a program that says `wx.cloud` in every page: the first lines of its app.js.
EVERYWHERE: Final = """
Object.defineProperty(wx, 'cloud', {{ value: require({face!r}).cloud, configurable: true }})
wx.cloud.init({{ url: {url!r} }})

module.exports.run = async () => {{
  const {{ errMsg }} = await wx.cloud.database().collection('todos').count()
  return JSON.stringify(errMsg)
}}
"""


def test_a_program_may_say_wx_cloud_in_every_page(gateway: Gateway, tmp_path: Path) -> None:
    program = EVERYWHERE.format(face=FACE, url=gateway.url)
    assert said(program, tmp_path)["seen"] == "collection.count:ok"


def test_the_openid_is_wechats(gateway: Gateway, found: dict[str, Any]) -> None:
    assert OPENID not in json.dumps(found), "it never leaves the server"
