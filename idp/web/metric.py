"""Figures for Prometheus: events as the audit log has them, and how long requests take. All workers' together, whichever answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import prometheus_client.values
from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""The library's own name for the folder in which worker processes keep their figures."""
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one process; with `folder`, together with those of every process that has the same one.

    No label holds what a stranger may choose: events and causes are ours, endpoints are our routes' names. What cannot be written,
    since the disk is full, is not counted: no request fails for a figure (F9).
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        if folder is not None:  # the library decides this at its import, which is before a worker is forked
            prometheus_client.values.ValueClass = MultiProcessValue()
        self._registry = CollectorRegistry()
        self._events = Counter("idp_events", "Events of the audit log.", ["event", "cause"], registry=self._registry)
        self._seconds = Histogram(
            "idp_request_seconds", "Time to answer.", ["endpoint", "status"], buckets=_BUCKETS, registry=self._registry
        )

    def hear(self, event: str, fields: Mapping[str, object]) -> None:
        with suppress(OSError):
            self._events.labels(event, str(fields.get("cause", ""))).inc()

    def watch(self, app: Flask) -> None:
        """Times every request of the application."""

        @app.before_request
        def begin() -> None:
            g.begun = time.perf_counter()

        @app.after_request
        def end(response: Response) -> Response:
            begun = g.get("begun")
            if begun is not None:
                with suppress(OSError):
                    self._seconds.labels(request.endpoint or "none", response.status_code).observe(time.perf_counter() - begun)
            return response

    def text(self, readings: Iterable[Reading] = ()) -> bytes:
        """What Prometheus reads; `readings` are taken at this moment."""
        registry = self._registry
        if self._folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._folder))
        now = CollectorRegistry()
        now.register(_Gauges(readings))
        return generate_latest(registry) + generate_latest(now)


Reading = tuple[str, str, Mapping[str, str], float]
"""Name, what it is, labels, value."""


class _Gauges(Collector):
    """Gauges that no worker need keep: they are read when they are asked for."""

    def __init__(self, readings: Iterable[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for name, about, labels, value in self._readings:
            family = families.setdefault(name, GaugeMetricFamily(name, about, labels=sorted(labels)))
            family.add_metric([labels[label] for label in sorted(labels)], value)
        return families.values()
