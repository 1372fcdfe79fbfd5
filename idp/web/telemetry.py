"""Spans for an OpenTelemetry collector: one for each request, and inside it what it waited for.

A span leaves with what a list allows and nothing else, whatever a library wrote into it. Requests wait for no collector: spans lie in a
queue that drops the oldest when it is full, and a thread sends them. No trace id is sent to iMIS or to vendors.

This file alone imports the libraries of the extra `telemetry`, and is itself imported where [telemetry] is on.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from flask import Flask, Response, g, request, request_finished, request_started, request_tearing_down
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from idp import __version__
from idp.log import request_id
from idp.watch import WATCH, Answered
from idp.web.address import Proxies
from idp.web.settings import TelemetrySettings

_METHOD, _ROUTE, _STATUS = "http.request.method", "http.route", "http.response.status_code"
_REQUEST, _REFERENCE, _CAUSE = "idp.request", "idp.reference", "idp.cause"
_SERVER, _ERROR = "server.address", "error.type"
_DATABASE = ("db.system", "db.name", "db.mongodb.collection", "db.system.name", "db.namespace", "db.collection.name")
_ALLOWED = {_METHOD, _ROUTE, _STATUS, _REQUEST, _REFERENCE, _CAUSE, _SERVER, _ERROR, *_DATABASE}
"""Of the database its names in the older and the newer conventions. Not among them: its statement, and the texts of its errors."""
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_PROBES = {"/livez", "/readyz", "/lb-check", "/metrics"}
_PATIENCE = 5  # seconds that one batch may take
_LAST_WORD = 3  # seconds that a worker which ends waits for it; requests in flight have had up to 20 before (F3)


class Telemetry:
    """The spans of one process, to be made after its fork: it begins a thread."""

    def __init__(self, settings: TelemetrySettings) -> None:
        resource = {"service.name": settings.service, "service.version": __version__}
        instance = {"service.instance.id": f"{socket.gethostname()}-{os.getpid()}"}
        sampler = ParentBased(_Requests(settings.share))
        self._provider = TracerProvider(sampler, Resource.create({**resource, **instance}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Exporter(settings.traces_url)))
        self._tracer = self._provider.get_tracer("idp", __version__)
        PymongoInstrumentor().instrument(tracer_provider=self._provider)  # what connects from now on
        logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)  # it warns of every span for which there is no room

    def watch(self, app: Flask, proxies: Proxies) -> None:
        """A span for each request of the application. Which trace it belongs to is believed from a trusted proxy alone (S119)."""

        @request_started.connect_via(app)
        def begin(_: Flask, **__: object) -> None:
            route = request.url_rule.rule if request.url_rule else ""  # the path itself may hold a ticket
            method = request.method if request.method in _METHODS else "_OTHER"
            trusted = proxies.trusts(request.remote_addr or "")
            parent = TraceContextTextMapPropagator().extract(request.headers) if trusted else Context()
            known = {_METHOD: method, _ROUTE: route} if route else {_METHOD: method}
            span = self._tracer.start_span(f"{method} {route}".strip(), parent, SpanKind.SERVER, known)
            g.telemetry = span, attach(set_span_in_context(span)), WATCH.set(self._asking)

        @request_finished.connect_via(app)
        def answered(_: Flask, response: Response, **__: object) -> None:
            span = g.telemetry[0]
            span.set_attributes({_STATUS: response.status_code, _REQUEST: request_id()})
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)

        @request_tearing_down.connect_via(app)
        def end(_: Flask, **__: object) -> None:
            span, token, watch = g.pop("telemetry", (None, None, None))
            if span is not None:
                WATCH.reset(watch)
                detach(token)
                span.end()

    def hear(self, _: str, fields: Mapping[str, object]) -> None:
        """An event of the audit log: what a page calls its reference number stands in the request's span, and why it was shown."""
        if "reference" in fields:
            get_current_span().set_attributes({_REFERENCE: str(fields["reference"]), _CAUSE: str(fields.get("cause", ""))})

    @contextmanager
    def _asking(self, what: str, server: str) -> Iterator[Answered]:
        known = {_SERVER: urlsplit(server).hostname or ""}
        with self._tracer.start_as_current_span(what, kind=SpanKind.CLIENT, attributes=known, record_exception=False) as span:
            try:
                yield lambda status: span.set_attribute(_STATUS, status)
            except Exception as error:
                span.set_attribute(_ERROR, getattr(error, "cause", type(error).__name__))
                raise

    def close(self) -> None:
        """Sends what still lies there, and does not wait long for a collector that does not take it."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(_LAST_WORD)


class _Requests(Sampler):
    """Of what has no parent: a share of the requests. Not a worker's own duties, and not what load balancers ask every second."""

    def __init__(self, share: float) -> None:
        self._share = TraceIdRatioBased(share)

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        wanted = kind is SpanKind.SERVER and (attributes or {}).get(_ROUTE) not in _PROBES
        return (self._share if wanted else ALWAYS_OFF).should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"requests: {self._share.get_description()}"


class _Exporter(OTLPSpanExporter):
    """The one door out of the process."""

    def __init__(self, url: str) -> None:
        super().__init__(endpoint=url, timeout=_PATIENCE)
        self._outage = _Outage()
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._outage)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = super().export([_bare(span) for span in spans])
        if result is SpanExportResult.SUCCESS:
            self._outage.told = False
        return result


class _Outage(logging.Filter):
    """Of all that the library says about a collector which takes nothing, the first line; the next when it has taken something since."""

    told = False

    def filter(self, _: logging.LogRecord) -> bool:
        first, self.told = not self.told, True
        return first


def _bare(span: ReadableSpan) -> ReadableSpan:
    """No events, links or texts of errors, which may quote anything, and of the attributes those that are allowed."""
    return ReadableSpan(
        name=span.name,
        context=_numbers(span.context),
        parent=_numbers(span.parent),
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in _ALLOWED},
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _numbers(context: SpanContext | None) -> SpanContext | None:
    """Without the trace state, which others wrote."""
    return context and SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags)
