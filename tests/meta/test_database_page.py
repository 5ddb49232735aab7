"""docs/database.md is true: its calls, one after the other, give the answers that it shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from baas.errors import Problem
from baas.ports.documents import resolve
from tests.support.database import ANN, IP, Bench, app

ROOT = Path(__file__).parents[2]
_EXAMPLE = re.compile(
    r"```sh\npost (?P<route>\S+) '(?P<body>.*?)'\n```\n\n```json\n(?P<answer>.*?)\n```", re.DOTALL
)
POSTS = (ROOT / "rules" / "posts.yaml").read_text(encoding="utf-8")


def examples() -> list[tuple[str, str, Any]]:
    page = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
    return [
        (found["route"], found["body"], json.loads(found["answer"]))
        for found in _EXAMPLE.finditer(page)
    ]


def agrees(shown: Any, given: Any) -> bool:
    """`…` stands for any value."""
    if shown == "…":
        return given is not None
    if isinstance(shown, dict):
        return (
            isinstance(given, dict)
            and list(shown) == list(given)
            and all(agrees(value, given[name]) for name, value in shown.items())
        )
    if isinstance(shown, list):
        return len(shown) == len(given) and all(map(agrees, shown, given))
    return bool(shown == given)


async def answer(bench: Bench, route: str, body: str) -> Any:
    try:
        if route == "transaction":
            work = bench.service.transaction(body.encode(), ANN, IP)
        else:
            collection, verb = route.split("/")
            work = bench.service.handle(verb, collection, body.encode(), ANN, IP)
        return json.loads(await resolve(work))
    except Problem as problem:
        told = {"status": problem.status, "code": problem.code.name, "detail": problem.detail}
        return told if problem.operation is None else {**told, "operation": problem.operation}


@app({"posts": POSTS})
async def test_the_calls_of_the_page_give_its_answers(bench: Bench) -> None:
    shown = examples()
    assert len(shown) >= 14
    for route, body, expected in shown:
        given = await answer(bench, route, body)
        assert agrees(expected, given), (route, body, given)
