"""THE choke point: what one caller may do with one collection.

Every path to data, of every service, passes here. The database service asks `read` before a
find, get, count, aggregate or watch, and `write` before a create, update or delete, and puts
what it is given into the store's own step: a filter into the query, checks into the callback that
runs between reading and writing. There is no other way in.
"""

from baas.guard.channels import ChannelGuard
from baas.guard.contract import Guard, Masks, ReadDecision, RequestFacts, WriteDecision
from baas.guard.files import FileGuard, settled
from baas.guard.ruleguard import RuleGuard, rule_variables

__all__ = [
    "ChannelGuard",
    "FileGuard",
    "Guard",
    "Masks",
    "ReadDecision",
    "RequestFacts",
    "RuleGuard",
    "WriteDecision",
    "rule_variables",
    "settled",
]
