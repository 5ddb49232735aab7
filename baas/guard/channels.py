"""The choke point of channels: what one caller may do in one of them."""

from __future__ import annotations

from typing import Any

from baas.guard.contract import RequestFacts
from baas.ports.documents import Lookups
from baas.query.conditions import Env, Instant
from baas.rules.channelsfile import ChannelEntry, ChannelOperation, ChannelRules
from baas.schema.actor import Actor


class ChannelGuard:
    """Decides by the rules in force; `rules` can be replaced at any time. Trusted callers pass."""

    def __init__(self, rules: ChannelRules) -> None:
        self.rules = rules

    def entry(self, name: str) -> ChannelEntry | None:
        found = self.rules.find(name)
        return None if found is None else found[0]

    def allows(
        self,
        operation: ChannelOperation,
        name: str,
        actor: Actor,
        request: RequestFacts,
        lookups: Lookups,
    ) -> bool:
        """`request.data` is `{event, data}` of a message. May raise LookupNeeded."""
        if actor.trusted:
            return True
        found = self.rules.find(name)
        rule = None if found is None else found[0].rules.get(operation)
        if found is None or rule is None:
            return False
        variables = {**_variables(operation, actor, request), "params": found[1], "channel": name}
        return rule.compiled(Env(None, None, variables, lookups)) is True


def _variables(operation: ChannelOperation, actor: Actor, request: RequestFacts) -> dict[str, Any]:
    now = Instant(request.time_ms)
    facts = {
        "ip": request.ip,
        "time": now,
        "operation": operation.value,
        "data": request.data,
    }
    return {"auth": actor.as_rule_value(), "request": facts, "now": now}
