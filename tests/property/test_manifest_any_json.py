"""The functions' parts of baas.yaml come from files and, with a deploy, from the network: whatever
JSON they are, they are read or refused, and never anything else."""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from baas.errors import ConfigurationError
from baas.functions.model import ISOLATIONS, RETRY_PRESETS, TRIGGER_KINDS, Trigger
from baas.functions.options import MANIFEST_OPTIONS
from baas.functions.overrides import Overrides, parse_overrides

WORDS = (
    *MANIFEST_OPTIONS,
    *ISOLATIONS,
    *RETRY_PRESETS,
    *TRIGGER_KINDS,
    *("functions", "layers", "handler", "enabled", "triggers", "off", "on", "add", "all", "*"),
    *("type", "path", "secret", "scheme", "tz", "missed", "payload", "where", "batch", "webhook"),
    *("GET /a/{id}", "/a", "* * * * *", "0 3 * * MON", "Asia/Shanghai", "5m", "64MB", "a.py:f"),
    *("database.posts.insert", "queue.mails", "auth.signed_up", "app.paid", "queue:dead", "f", "g"),
)
words = st.sampled_from(WORDS) | st.text(max_size=8)
scalars = st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats() | words
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
entries = st.dictionaries(words, st.dictionaries(words, values, max_size=4) | values, max_size=3)
manifests = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("functions", "services", "aggregate"), entries | values)
)


@settings(max_examples=300, deadline=None)
@given(manifests)
def test_it_is_read_or_refused(config: dict[str, Any]) -> None:
    try:
        found = parse_overrides(config)
    except ConfigurationError:
        return
    assert isinstance(found, Overrides)
    for override in found.functions.values():
        assert all(isinstance(trigger, get_args(Trigger)) for trigger in override.add)
