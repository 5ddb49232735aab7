"""`baas fn event`: samples that functions really could be given."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from baas.cli import main
from baas.functions.events import EVENT_TYPES, decode_event
from baas.functions.model import TRIGGER_KINDS, FunctionSpec
from baas.functions.samples import SAMPLES, sample

NATIVE = [name for name, one in SAMPLES.items() if one.contract == "native"]


@pytest.mark.parametrize("name", NATIVE)
def test_a_native_sample_is_what_its_trigger_s_type_takes(name: str) -> None:
    spec = FunctionSpec(name="f", handler=print, target="m:f", file="m.py", line=1)
    kind = SAMPLES[name].kind

    event = decode_event(spec, kind, sample(name))

    if kind in EVENT_TYPES:
        assert isinstance(event, EVENT_TYPES[kind])


def test_there_is_one_for_each_kind_that_can_fire() -> None:
    without = {"webhook"}  # it is a request
    assert {SAMPLES[name].kind for name in NATIVE} == set(TRIGGER_KINDS) - without


def test_foreign_samples_have_their_vendors_marks() -> None:
    assert sample("scf.timer")["Type"] == "Timer"
    assert sample("scf.http")["requestContext"]["httpMethod"] == "POST"
    assert sample("fc.timer").keys() == {"triggerTime", "triggerName", "payload"}
    assert sample("fc.http")["version"] == "v1"
    assert sample("lambda.timer")["detail-type"] == "Scheduled Event"
    assert sample("lambda.http")["version"] == "2.0"
    assert sample("lambda.queue")["Records"][0]["eventSource"] == "aws:sqs"
    assert sample("nothing") is None


@pytest.mark.parametrize("name", SAMPLES)
def test_the_command_prints_json(name: str) -> None:
    result = CliRunner().invoke(main, ["fn", "event", name])

    assert result.exit_code == 0, result.output
    assert _timeless(json.loads(result.output)) == _timeless(sample(name))


#: What foreign events carry of the moment at which they were made.
_MOMENTS = ("time", "timeEpoch", "SentTimestamp", "ApproximateFirstReceiveTimestamp")


def _timeless(event: Any) -> Any:
    if isinstance(event, list):
        return [_timeless(item) for item in event]
    if isinstance(event, dict):
        return {name: _timeless(event[name]) for name in event if name not in _MOMENTS}
    return event


def test_the_command_lists_them_and_refuses_others() -> None:
    listed = CliRunner().invoke(main, ["fn", "event"]).output
    assert all(name in listed for name in SAMPLES)
    assert CliRunner().invoke(main, ["fn", "event", "nothing"]).exit_code == 2
