"""/openapi.json tells of the functions in force, with the types that they declare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from baas.gateway.functiondocs import describe_functions
from tests.support.app import running_app
from tests.support.functions import released

FILES = {
    "shop.py": '''
        from typing import Any
        import msgspec
        from baas import Context, fn

        class Item(msgspec.Struct):
            """What is sold."""
            name: str
            n: int = 1

        class Order(msgspec.Struct):
            items: list[Item]

        @fn.event()
        async def buy(ctx: Context, order: Order) -> Order:
            """Buys.

            All or nothing."""
            return order

        @fn.event()
        async def loose(ctx, event: dict[str, object]) -> object: ...

        @fn.http("GET", "/orders/{id}/{rest...}")
        @fn.http("*", "/any")
        async def look(ctx, request: fn.HttpRequest): ...

        @fn.timer("* * * * *")
        async def nightly(ctx): ...
        ''',
    "other.py": """
        import msgspec
        from baas import fn

        class Item(msgspec.Struct):
            price: float

        @fn.event()
        async def price(ctx, item: Item) -> float: ...
        """,
}


def test_functions_are_operations_with_the_schemas_of_their_types() -> None:
    with released(FILES) as release:
        paths, schemas = describe_functions(release, [])
    assert set(paths) == {
        "/v1/functions/buy",
        "/v1/functions/loose",
        "/v1/functions/price",
        "/http/orders/{id}/{rest}",
    }
    buy = paths["/v1/functions/buy"]["post"]
    assert (buy["operationId"], buy["summary"]) == ("function.buy", "Buys.")
    assert buy["description"].endswith("All or nothing.")
    event = {"$ref": "#/components/schemas/functions.Order"}
    assert buy["requestBody"]["content"]["application/json"]["schema"] == event
    assert buy["responses"]["200"]["content"]["application/json"]["schema"] == event
    assert schemas["functions.Order"]["required"] == ["items"]
    loose = paths["/v1/functions/loose"]["post"]
    assert loose["requestBody"]["content"]["application/json"]["schema"] == {}
    names = [one["name"] for one in paths["/http/orders/{id}/{rest}"]["get"]["parameters"]]
    assert names == ["id", "rest"]


def test_two_types_of_one_name_are_told_apart_by_their_modules() -> None:
    with released(FILES) as release:
        paths, schemas = describe_functions(release, [])
    price = paths["/v1/functions/price"]["post"]["requestBody"]["content"]["application/json"]
    assert price["schema"] == {"$ref": "#/components/schemas/functions.other.Item"}
    assert schemas["functions.shop.Item"]["description"] == "What is sold."
    assert {name for name in schemas if name.endswith("Item")} == {
        "functions.other.Item",
        "functions.shop.Item",
    }


def test_the_description_follows_the_release(tmp_path: Path) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "main.py").write_text(
        "from baas import fn\n@fn.event()\nasync def first(ctx) -> int: return 1\n"
    )
    with running_app(tmp_path) as harness:
        before: Any = harness.get("/openapi.json").json()
        result = before["paths"]["/v1/functions/first"]["post"]["responses"]["200"]
        assert result["content"]["application/json"]["schema"] == {"type": "integer"}
        assert "/v1/functions/{name}" in before["paths"]
        code = b"from baas import fn\n@fn.event()\nasync def second(ctx): ...\n"
        harness.run(harness.app.releases.deploy({"main.py": code}, {}))
        after = harness.get("/openapi.json").json()
        assert "/v1/functions/second" in after["paths"]
        assert "/v1/functions/first" not in after["paths"]
