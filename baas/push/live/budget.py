"""What live queries hold in memory: by whom, and in all."""

from __future__ import annotations

from collections import Counter
from typing import Final, Protocol, TypeAlias

from baas.errors import Code, Problem
from baas.push.contract import Caller
from baas.schema.values import Path

#: What a document of a result takes beside its bytes: its place, and itself.
ENTRY_BYTES: Final = 500
#: Queries of one user that nothing narrows (`$ne`, `$regex`, ...): each change of their collection
#: asks every one of them. One that has to be read again instead counts as ten.
MAX_LOOSE: Final = 200
#: Paths that one user's other queries are found by: each change is looked up under every path.
MAX_PATHS: Final = 200
IMPURE_WEIGHT: Final = 10
_AGAIN_SECONDS: Final = 10.0


Filed: TypeAlias = tuple[str, Path]


class Held(Protocol):
    """A query."""

    #: What it adds to the work of every change of its collection; see `MAX_LOOSE`.
    weight: int
    #: The collection and path that it is filed under.
    filed: Filed | None

    @property
    def cost(self) -> int: ...


class _Account:
    """One owner's distinct queries: how often each is watched, and what it cost when it came."""

    __slots__ = ("cost", "filed", "queries", "weight")

    def __init__(self) -> None:
        self.queries: dict[Held, tuple[int, int]] = {}
        #: How many of them are filed under each.
        self.filed: Counter[Filed] = Counter()
        self.cost = 0
        self.weight = 0


_NOTHING: Final = _Account()


class Budget:
    """`most` bytes in all, `of_one` for one user (or address, where nobody is signed in). A query
    counts in full for each who watches it, as it was when it was opened; and once in all."""

    def __init__(self, most: int, of_one: int) -> None:
        self._most = most
        self._of_one = of_one
        self._costs: dict[Held, int] = {}
        self._accounts: dict[str, _Account] = {}
        self.total = 0

    def held(self, query: Held) -> None:
        """What it holds may have changed."""
        cost = query.cost
        self.total += cost - self._costs.get(query, 0)
        self._costs[query] = cost

    def gone(self, query: Held) -> None:
        self.total -= self._costs.pop(query, 0)

    def check(self, owner: str | None, query: Held) -> None:
        """Before `query` is watched by one more. LIMIT_EXCEEDED, UNAVAILABLE."""
        if self.total > self._most:
            raise Problem(
                Code.UNAVAILABLE, "This gateway holds too much.", retry_after=_AGAIN_SECONDS
            )
        account = _NOTHING if owner is None else self._accounts.get(owner, _NOTHING)
        if owner is None or query in account.queries:
            return
        if account.weight + query.weight > MAX_LOOSE:
            raise Problem(
                Code.LIMIT_EXCEEDED,
                "You have too many live queries that no equality or range narrows.",
            )
        is_new = query.filed is not None and query.filed not in account.filed
        if is_new and len(account.filed) >= MAX_PATHS:
            raise Problem(
                Code.LIMIT_EXCEEDED, "Your live queries ask of too many different fields."
            )
        if account.cost + query.cost > self._of_one:
            raise Problem(
                Code.LIMIT_EXCEEDED,
                f"All your live queries hold more than {self._of_one} bytes; watch less.",
            )

    def add(self, owner: str | None, query: Held) -> None:
        if owner is None:
            return
        account = self._accounts.setdefault(owner, _Account())
        count, cost = account.queries.get(query, (0, query.cost))
        account.queries[query] = (count + 1, cost)
        if not count:
            account.cost += cost
            account.weight += query.weight
            if query.filed is not None:
                account.filed[query.filed] += 1

    def drop(self, owner: str | None, query: Held) -> None:
        if owner is None:
            return
        account = self._accounts[owner]
        count, cost = account.queries.pop(query)
        if count > 1:
            account.queries[query] = (count - 1, cost)
            return
        account.cost -= cost
        account.weight -= query.weight
        if query.filed is not None:
            account.filed[query.filed] -= 1
            if not account.filed[query.filed]:
                del account.filed[query.filed]
        if not account.queries:
            del self._accounts[owner]


def owner_of(caller: Caller) -> str | None:
    """Who is charged; None for the operator."""
    actor = caller.actor
    return None if actor.trusted else (actor.uid or f"@{caller.ip}")
