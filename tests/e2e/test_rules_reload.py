"""Rule files change while the gateway runs: new requests meet the new rules."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.support.gateway import Gateway, running, wait_until, write_app

T = TypeVar("T")
OPEN = "collection: posts\nrules: {read: true, create: auth != null}\n"
CLOSED = "collection: posts\nacl: ADMINONLY\n"


def find_status(gateway: Gateway, collection: str = "posts") -> int:
    return gateway.post(f"/v1/database/{collection}/find").status_code


def by_worker(gateway: Gateway, ask: Callable[[httpx.Client], tuple[httpx.Response, T]]) -> Any:
    """What the workers answer to `ask`, each on new connections; told apart by request ids."""
    found: dict[str, set[T]] = {}
    for _ in range(12):
        with httpx.Client(base_url=gateway.url, trust_env=False, verify=False) as client:
            answer, what = ask(client)
        worker = answer.headers["x-request-id"].partition("-")[0]
        found.setdefault(worker, set()).add(what)
    return found


def status_of_find(client: httpx.Client) -> tuple[httpx.Response, int]:
    answer = client.post("/v1/database/posts/find", json={})
    return answer, answer.status_code


def staleness(client: httpx.Client) -> tuple[httpx.Response, bool]:
    answer = client.get("/metrics")
    return answer, "\nbaas_rules_stale 1" in answer.text


def metric(gateway: Gateway, name: str) -> float:
    lines = gateway.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_good_files_take_effect_and_bad_ones_do_not(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path, BAAS_LIMITS__RATE_READ="off") as gateway:
        assert find_status(gateway) == 200

        (rules / "posts.yaml").write_text(CLOSED)
        wait_until(lambda: find_status(gateway) == 403)

        (rules / "posts.yaml").write_text("collection: posts\nrules: {read: doc.x ==}\n")
        wait_until(lambda: metric(gateway, "baas_rules_stale") == 1)
        assert find_status(gateway) == 403
        line = gateway.logged(logger="baas.reload", level="error")
        assert "posts.yaml:2:" in line["message"]

        (rules / "posts.yaml").write_text(OPEN)
        (rules / "likes.yaml").write_text(OPEN.replace("posts", "likes"))
        wait_until(lambda: find_status(gateway, "likes") == 200)
        wait_until(lambda: metric(gateway, "baas_rules_stale") == 0)
        assert find_status(gateway) == 200


def test_a_text_index_comes_and_goes_with_its_line(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path, BAAS_LIMITS__RATE_READ="off") as gateway:
        key = {"Authorization": f"Bearer {gateway.admin_key('database:write', 'database:read')}"}
        path, tea = "/v1/database/posts/", {"filter": {"$text": {"$search": "茶"}}}

        def insert(id: str) -> None:
            document = {"_id": id, "title": "绿茶 tea"}
            answer = gateway.client.post(f"{path}insert", json={"document": document}, headers=key)
            assert answer.status_code == 200

        def search() -> list[str] | str:
            answer = gateway.client.post(f"{path}find", json=tea).json()
            return answer["code"] if "code" in answer else [d["_id"] for d in answer["documents"]]

        insert("a")
        assert search() == "INVALID_ARGUMENT"
        (rules / "posts.yaml").write_text(f"{OPEN}indexes: [{{text: [title]}}]\n")
        wait_until(lambda: search() == ["a"])
        insert("b")
        assert search() == ["a", "b"]
        (rules / "posts.yaml").write_text(f"{OPEN}indexes: [{{text: [other]}}]\n")
        wait_until(lambda: search() == [])
        (rules / "posts.yaml").write_text(OPEN)
        wait_until(lambda: search() == "INVALID_ARGUMENT")


def test_a_unique_index_that_meets_duplicates_leaves_the_old_rules(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path) as gateway:
        token = gateway.sign_in()
        twice = {"documents": [{"slug": "a"}, {"slug": "a"}]}
        assert gateway.post("/v1/database/posts/insert", twice, token=token).status_code == 200

        (rules / "posts.yaml").write_text(CLOSED + "indexes: [{fields: [slug], unique: true}]\n")
        wait_until(lambda: metric(gateway, "baas_rules_stale") == 1)

        assert find_status(gateway) == 200
        assert metric(gateway, "baas_rule_reload_failures_total") >= 1


def test_every_worker_follows_and_none_takes_a_broken_file(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path, "--workers", "2", BAAS_LIMITS__RATE_READ="off") as gateway:
        wait_until(lambda: len(by_worker(gateway, status_of_find)) == 2)
        workers = by_worker(gateway, status_of_find).keys()

        def both(status: int, *, stale: bool) -> bool:
            found = by_worker(gateway, status_of_find), by_worker(gateway, staleness)
            return found == ({id: {status} for id in workers}, {id: {stale} for id in workers})

        wait_until(lambda: both(200, stale=False))
        (rules / "posts.yaml").write_text(CLOSED)
        wait_until(lambda: both(403, stale=False))
        (rules / "posts.yaml").write_text("rules: {read: doc.x ==}\n")
        wait_until(lambda: both(403, stale=True))
        (rules / "posts.yaml").write_text(OPEN)
        wait_until(lambda: both(200, stale=False))


def test_a_file_that_goes_takes_its_permissions_with_it(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path, BAAS_LIMITS__RATE_READ="off") as gateway:
        assert find_status(gateway) == 200
        (rules / "posts.yaml").unlink()
        wait_until(lambda: find_status(gateway) == 403)


def test_requests_meet_the_rules_before_or_after_and_nothing_else(tmp_path: Path) -> None:
    """One file says who reads and what is hidden; no answer mixes two versions of it."""
    versions = [
        "rules: {read: true, create: auth != null}\nfields: {secret: {read: false}}\n",
        "rules: {read: auth != null, create: auth != null}\n",
    ]
    rules = write_app(tmp_path, {"rules/posts.yaml": versions[0]}) / "rules"
    with running(tmp_path, BAAS_LIMITS__RATE_READ="off") as gateway:
        document = {"document": {"_id": "p", "secret": 1}}
        token = gateway.sign_in()
        assert gateway.post("/v1/database/posts/insert", document, token=token).status_code == 200
        done = threading.Event()
        seen: set[tuple[int, bool]] = set()

        def ask() -> None:
            with httpx.Client(base_url=gateway.url, trust_env=False) as client:
                while not done.is_set():
                    answer = client.post("/v1/database/posts/find", json={})
                    seen.add((answer.status_code, "secret" in answer.text))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            for turn in (1, 0, 1, 0):
                (rules / "posts.yaml").write_text(versions[turn])
                wanted = 403 if turn else 200
                wait_until(lambda wanted=wanted: find_status(gateway) == wanted)
        finally:
            done.set()
            thread.join()
        assert seen == {(200, False), (403, False)}
