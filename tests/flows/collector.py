"""A small OTLP/HTTP collector on a port of its own, which keeps every octet; what is posted elsewhere is a vendor's, with its headers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Told
from opentelemetry.proto.trace.v1.trace_pb2 import Status

KINDS = {Told.SPAN_KIND_SERVER: "server", Told.SPAN_KIND_CLIENT: "client"}


@dataclass(frozen=True)
class Span:
    """One that was told."""

    name: str
    kind: str
    known: dict[str, str | int]
    of: dict[str, str | int]
    """Of which service, and which process of it."""
    trace: str
    id: str
    parent: str
    failed: bool
    bare: bool
    """No event, no link, no text of an error, no state of others."""


@dataclass
class Collector:
    """What it heard."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    elsewhere: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def spans(self) -> list[Span]:
        return [span for body in self.bodies for span in _read(body)]

    def requests(self, name: str) -> list[Span]:
        return [span for span in self.spans() if span.kind == "server" and span.name == name]

    def within(self, request: Span) -> list[Span]:
        """What the request waited for."""
        return [span for span in self.spans() if (span.trace, span.parent) == (request.trace, request.id)]


def _read(body: bytes) -> Iterator[Span]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    kind=KINDS[span.kind],
                    known=_values(span.attributes),
                    of=_values(resource.resource.attributes),
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    failed=span.status.code == Status.STATUS_CODE_ERROR,
                    bare=not (span.events or span.links or span.status.message or span.trace_state),
                )


def _values(attributes: Iterator[KeyValue] | list[KeyValue]) -> dict[str, str | int]:
    return {each.key: each.value.string_value or each.value.int_value for each in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Runs one for as long as the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                collector.bodies.append(body)
            else:
                collector.elsewhere.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        collector.url = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield collector
        finally:
            server.shutdown()
