"""Numbers in the form that Prometheus reads."""

from __future__ import annotations

import re

from baas.observe.metrics import Metrics


def sample(metrics: Metrics, pattern: str) -> float:
    """The value of the one sample whose line begins with this pattern."""
    lines = [line for line in metrics.render().decode().splitlines() if re.match(pattern, line)]
    assert len(lines) == 1, lines
    return float(lines[0].rpartition(" ")[2])


def test_requests_are_counted_by_route_and_status() -> None:
    metrics = Metrics("1.2.3")
    for _ in range(3):
        metrics.request("database.find", 200, 0.001)
    metrics.request("database.find", 403, 0.001)

    assert sample(metrics, r'baas_requests_total\{route="database.find",status="200"') == 3
    assert sample(metrics, r'baas_requests_total\{route="database.find",status="403"') == 1


def test_a_histogram_is_cumulative_and_ends_with_the_count() -> None:
    metrics = Metrics("1")
    for seconds in (0.0001, 0.004, 0.004, 99.0):
        metrics.request("r", 200, seconds)

    assert sample(metrics, r'baas_request_seconds_bucket\{.*le="0.0005"') == 1
    assert sample(metrics, r'baas_request_seconds_bucket\{.*le="0.005"') == 3
    assert sample(metrics, r'baas_request_seconds_bucket\{.*le="5.0"') == 3
    assert sample(metrics, r'baas_request_seconds_bucket\{.*le="\+Inf"') == 4
    assert sample(metrics, r"baas_request_seconds_count") == 4
    assert round(sample(metrics, r"baas_request_seconds_sum"), 3) == 99.008


def test_a_duration_on_a_bound_belongs_to_that_bucket() -> None:
    metrics = Metrics("1")
    metrics.request("r", 200, 0.005)

    assert sample(metrics, r'baas_request_seconds_bucket\{.*le="0.005"') == 1


def test_a_counter_is_shown_from_the_start() -> None:
    metrics = Metrics("1")
    metrics.counter("baas_things_total", "Things.")

    assert sample(metrics, "baas_things_total ") == 0
    metrics.increment("baas_things_total")
    assert sample(metrics, "baas_things_total ") == 1


def test_a_gauge_is_asked_at_each_scrape() -> None:
    metrics = Metrics("1")
    values = iter([1.0, 7.0])
    metrics.gauge("baas_level", "Level.", lambda: next(values))

    assert sample(metrics, "baas_level ") == 1
    assert sample(metrics, "baas_level ") == 7


def test_the_version_is_told() -> None:
    assert sample(Metrics("1.2.3"), r'baas_build_info\{version="1.2.3"') == 1


def test_every_line_is_of_the_exposition_format() -> None:
    metrics = Metrics("1")
    metrics.request("a.b", 200, 0.01)

    for line in metrics.render().decode().splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [-+0-9.e]+',
            line,
        ), line


def test_a_table_has_a_line_for_each_of_its_series() -> None:
    metrics = Metrics("1")
    metrics.table("baas_calls_total", "Calls.", lambda: [('function="b"', 2), ('function="a"', 1)])
    text = metrics.render().decode()
    assert "# TYPE baas_calls_total counter" in text
    assert 'baas_calls_total{function="a"} 1\nbaas_calls_total{function="b"} 2\n' in text
