"""Figures as OpenTelemetry's own reader gets them."""

import os
from types import SimpleNamespace

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from telemetry import Family, Sample, sending


def test_figures_are_read_once_for_all_instruments(monkeypatch):
    """Each export has the figures of one moment, and asks for them once."""
    now, times = 0.0, 0

    def read():
        nonlocal times
        times += 1
        yield Family("a", "counter", "", (), [Sample({}, times)])
        yield Family("b", "gauge", "", (), [Sample({}, times)])
        yield Family("c", "histogram", "", (), [Sample({}, times, (("+Inf", times),))])

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(sending, "_sending", os.getpid())
    monkeypatch.setattr(sending, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    sending.observe(read)
    for export in (2, 3):
        now += 60
        (resource,) = reader.get_metrics_data().resource_metrics
        (scope,) = resource.scope_metrics
        values = {metric.name: metric.data.data_points[0].value for metric in scope.metrics}
        assert values == dict.fromkeys(["a", "b", "c_sum", "c_count"], export)
    provider.shutdown()
