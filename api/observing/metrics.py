"""``/metrics``: the figures of all workers, as Prometheus reads them."""

from collections.abc import Iterable, Iterator

from litestar import Response, get
from litestar.enums import MediaType
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from api.observing.figures import labelled
from api.observing.workers import Workers
from api.problems import documented
from api.requests import AnyRequest
from telemetry import Family


@get(
    "/metrics",
    operation_id="getMetrics",
    summary="Figures for Prometheus",
    tags=["System"],
    media_type=MediaType.TEXT,
    opt={"content": {"200": {"application/openmetrics-text": {"schema": {"type": "string"}}}}},
    response_description="The figures as they are now.",
    responses=documented(),
)
async def metrics(request: AnyRequest, workers: Workers) -> Response[bytes]:
    """Say in figures what all workers of this server have done, and how they are.

    In Prometheus' text format, or in OpenMetrics' to who accepts that.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(labelled(await workers.figures())))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    # As a media type it would get a charset once more.
    headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
    return Response(encode(registry), headers=headers)


class _Collected(Collector):
    """Figures that were read already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Give them; see prometheus_client."""
        for family in self._families:
            yield _metric(family)


def _metric(family: Family) -> Metric:
    """Write a family as prometheus_client does."""
    name, about, labels = family.name, family.about, family.labels
    if family.kind == "histogram":
        histogram = HistogramMetricFamily(name, about, labels=labels)
        for sample in family.samples:
            values = [sample.labels[label] for label in labels]
            histogram.add_metric(values, list(sample.buckets), sample.value)
        return histogram
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(name, about, labels=labels)
    for sample in family.samples:
        metric.add_metric([sample.labels[label] for label in labels], sample.value)
    return metric


ROUTES = [metrics]
