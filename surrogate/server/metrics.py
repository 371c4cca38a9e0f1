"""What a service counts, in the format of Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


class Metrics:
    """Counters of one service, which has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "physurrogate_requests",
            "Requests by route and status.",
            ["route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "physurrogate_request_seconds",
            "Time from the request to the last byte.",
            ["route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.predictions = Counter(
            "physurrogate_predictions",
            "Samples answered.",
            ["model", "answered_by"],
            registry=self.registry,
        )
        self.batches = Histogram(
            "physurrogate_batch_size",
            "Samples that share a call of the network.",
            ["model"],
            buckets=SIZES,
            registry=self.registry,
        )
        self.waiting = Gauge(
            "physurrogate_waiting_samples",
            "Samples in the queue.",
            ["model"],
            registry=self.registry,
        )
        self.solver_seconds = Histogram(
            "physurrogate_simulation_seconds",
            "Time that the simulation takes.",
            ["model"],
            buckets=SECONDS,
            registry=self.registry,
        )
        ProcessCollector(registry=self.registry)

    def response(self) -> Response:
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
