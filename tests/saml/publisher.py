"""A server that publishes metadata, and everything between its door and the store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from idp.keys import SigningKey
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.settings import FederationSettings, SamlServerSettings
from idp.protocols.saml.source.federation import Federations
from idp.protocols.saml.source.library import Library
from idp.protocols.saml.source.refresh import Refresher, Source
from idp.protocols.saml.source.shelf import Shelf
from idp.sso.client import Client, Clients
from idp.store import Store
from idp.store.sqlite import SqliteStore
from idp.web.outbound import Outbound
from idp.web.settings import OutboundSettings
from tests.bench.aggregate import entity, write_aggregate
from tests.standin import Clock, Events

from .wiring import NOW

DAY = 86400
Answer = Callable[[BaseHTTPRequestHandler], None]


class Publisher:
    """Answers GET with what `pages` has: octets, which get an ETag, or a function that answers as it likes."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.statuses: list[int] = []
        publisher = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                publisher.asked.append((self.path, dict(self.headers)))
                publisher._answer(self)

            def log_message(self, *_: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # the door hangs up in many a test
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        page = self.pages.get(handler.path)
        if callable(page):
            page(handler)
            return
        tag = f'"{hash(page)}"'
        status = 404 if page is None else 304 if handler.headers.get("If-None-Match") == tag else 200
        self.statuses.append(status)
        handler.send_response(status)
        handler.send_header("ETag", tag)
        body = page if page is not None and status == 200 else b""
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


class Sources:
    """The parts that bring metadata in, with clients and a clock of the test's."""

    def __init__(self, folder: Path, *clients: Client, store: Store | None = None, door: OutboundSettings | None = None, **settings: Any):
        self.now = Clock()
        self.audit = Events()
        self.store = store or SqliteStore(folder / "sources.sqlite", now=self.now)
        self.settings = SamlServerSettings.model_validate(settings)
        door = door or OutboundSettings(allow_private=True, connect_timeout=1, timeout=2)
        self.door = Outbound(door, self.audit, resolve=lambda _host, _port: ["127.0.0.1"])
        shared: dict[str, Any] = {"audit": self.audit, "now": self.now}
        self.federations = Federations(self.settings, self.store, fetch=self.door.download, **shared)
        self.clients = Clients(clients, store=self.store, read=_read_no_client, audit=self.audit, elsewhere=self.federations.client)
        self.refresher = Refresher(self.settings, clients=self.clients, store=self.store, fetch=self.door.download, **shared)
        self.library = Library(self.settings, self.store, **shared)
        self.shelf = Shelf(self.store, now=self.now)

    def source(self, name: str = "") -> Source:
        return next(each for each in self.refresher.sources() if name in each.key)

    def refresh(self, name: str = "", *, whenever: bool = True) -> str:
        return self.refresher.refresh(self.source(name), whenever=whenever).state

    def lines(self, name: str = "") -> str:
        return " ".join(self.refresher.refresh(self.source(name), whenever=True).lines)

    def provider(self, client_id: str = "lms") -> Any:
        client = self.clients.get(client_id)
        assert client is not None
        return self.library.read(client)


def _read_no_client(client_id: str, table: Any) -> Client:
    raise AssertionError(client_id)


def federation_settings(key: SigningKey, **settings: Any) -> FederationSettings:
    return FederationSettings.model_validate({"certificate": key.certificate_base64, **settings})


def aggregate_of(
    key: SigningKey, entities: Iterable[str] | int = 3, *, valid_until: int = NOW + 7 * DAY, identifier: str = "_federation"
) -> bytes:
    """A signed EntitiesDescriptor."""
    texts = [entity(number, key.certificate_base64) for number in range(entities)] if isinstance(entities, int) else list(entities)
    file = BytesIO()
    write_aggregate(file, texts, key, valid_until=valid_until, identifier=identifier)
    return file.getvalue()


def protocol_uses(protocol: SamlProtocol, entity_id: str) -> str:
    """The client id that the protocol has for an entity."""
    return next(each.client.id for each in protocol.known() if each.provider.entity_id == entity_id)
