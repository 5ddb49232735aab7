"""Rule files change while the gateway runs: new requests meet the new rules."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.support.gateway import Gateway, running, write_app

OPEN = "collection: posts\nrules: {read: true, create: auth != null}\n"
CLOSED = "collection: posts\nacl: ADMINONLY\n"
RELOAD_SECONDS = 10.0


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RELOAD_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "did not come to hold"
        time.sleep(0.05)


def find_status(gateway: Gateway, collection: str = "posts") -> int:
    return gateway.post(f"/v1/database/{collection}/find").status_code


def metric(gateway: Gateway, name: str) -> float:
    lines = gateway.client.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_good_files_take_effect_and_bad_ones_do_not(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path, BAAS_LIMITS__RATE_READ="off") as gateway:
        assert find_status(gateway) == 200

        (rules / "posts.yaml").write_text(CLOSED)
        eventually(lambda: find_status(gateway) == 403)

        (rules / "posts.yaml").write_text("collection: posts\nrules: {read: doc.x ==}\n")
        eventually(lambda: metric(gateway, "baas_rules_stale") == 1)
        assert find_status(gateway) == 403
        line = gateway.logged(logger="baas.reload", level="error")
        assert "posts.yaml:2:" in line["message"]

        (rules / "posts.yaml").write_text(OPEN)
        (rules / "likes.yaml").write_text(OPEN.replace("posts", "likes"))
        eventually(lambda: find_status(gateway, "likes") == 200)
        eventually(lambda: metric(gateway, "baas_rules_stale") == 0)
        assert find_status(gateway) == 200


def test_a_unique_index_that_meets_duplicates_leaves_the_old_rules(tmp_path: Path) -> None:
    rules = write_app(tmp_path, {"rules/posts.yaml": OPEN}) / "rules"
    with running(tmp_path) as gateway:
        token = gateway.sign_in()
        twice = {"documents": [{"slug": "a"}, {"slug": "a"}]}
        assert gateway.post("/v1/database/posts/insert", twice, token=token).status_code == 200

        (rules / "posts.yaml").write_text(CLOSED + "indexes: [{fields: [slug], unique: true}]\n")
        eventually(lambda: metric(gateway, "baas_rules_stale") == 1)

        assert find_status(gateway) == 200
        assert metric(gateway, "baas_rule_reload_failures_total") >= 1
