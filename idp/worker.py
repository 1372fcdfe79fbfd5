"""worker_app: what one worker process does, besides to answer."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask

from idp.app import LETTERS, create_app_of
from idp.audit import AuditLog
from idp.config import load
from idp.errors import ConfigError
from idp.keys.calendar import Calendar
from idp.log import log_as_json
from idp.parts import Parts, build_parts
from idp.protocols.saml.source.duty import MetadataDuty
from idp.protocols.saml.source.expiry import Herald
from idp.sso.expiry import Expiry
from idp.store.choice import open_store
from idp.web.address import Proxies
from idp.web.metric import FOLDER_VARIABLE, Metrics
from idp.web.settings import TelemetrySettings

if TYPE_CHECKING:
    from idp.web.telemetry import Telemetry

CONFIG_VARIABLE = "IDP_CONFIG"
STORE_VARIABLE = "IDP_RUNNING_STORE"
"""Where `idp run` tells its workers which store was chosen; the value is a URL and may hold a password."""
_PR_SET_PDEATHSIG = 1  # prctl(2)
_SWEEP_EVERY = 60  # seconds


def worker_app() -> Flask:
    """The application of one worker process, told by its environment which configuration and store to use."""
    die_with_parent()
    log_as_json()
    loaded = load(Path(os.environ[CONFIG_VARIABLE]))
    watcher = telemetry_type(loaded.config.telemetry)
    telemetry = watcher(loaded.config.telemetry) if watcher else None
    store = open_store(os.environ[STORE_VARIABLE], timeout=loaded.config.store.timeout)
    figures = os.environ.get(FOLDER_VARIABLE)
    metrics = Metrics(Path(figures) if figures else None)
    parts = build_parts(loaded, store, listeners=[each.hear for each in (metrics, telemetry) if each])
    if isinstance(parts.audit, AuditLog):
        Finalize(None, parts.audit.close, exitpriority=1)  # a worker is a child of multiprocessing, which runs no atexit
    threading.Thread(target=_attend, args=(parts,), daemon=True).start()
    key_calendar(parts).begin()
    parts.logout.begin()
    app = create_app_of(parts, metrics)
    if telemetry:
        telemetry.watch(app, Proxies(loaded.config.server.trusted_proxies))
        Finalize(None, telemetry.close, exitpriority=2)
    if LETTERS in app.extensions:
        app.extensions[LETTERS].begin()  # there may be some that a killed worker has left
    return app


def telemetry_type(settings: TelemetrySettings) -> type[Telemetry] | None:
    """None where [telemetry] is off. Raises ConfigError when it is on and its libraries are not installed."""
    if not settings.endpoint:
        return None
    try:
        from idp.web.telemetry import Telemetry  # optional: whoever wants no telemetry need not install its libraries
    except ImportError as error:
        lacking = f"telemetry.endpoint wants libraries that are not installed ({error.name})"
        raise ConfigError([f'{lacking}: pip install "imis-idp[telemetry]", or give no endpoint']) from None
    return Telemetry


def key_calendar(parts: Parts) -> Calendar:
    """Not begun yet."""
    saml = parts.protocols.saml
    return Calendar(
        parts.config.keys,
        parts.store,
        rings={"oidc": parts.keys, "saml": parts.keys.of("saml")},
        common_name=parts.config.server.url.partition("//")[2],
        named=saml.named_keys,
        waiting=lambda kid: [each.client_id for each in saml.followers(kid) if each.waits_for(kid)],
        audit=parts.audit,
        now=parts.now,
    )


def _attend(parts: Parts) -> None:
    """What is to be done every minute. The sweep only frees room: what has expired is gone without it."""
    herald = Herald(parts.store, audit=parts.audit, now=parts.now)
    expiry = Expiry(parts.sessions, parts.logout, parts.store, now=parts.now)
    metadata = MetadataDuty(parts.refresher, herald, parts.protocols.saml.known)
    while True:
        for duty in (parts.drift.look, metadata.look, expiry.look, parts.store.sweep):
            try:
                duty()
            except Exception as error:  # one duty that fails keeps no other from being done
                parts.audit.record("server.duty_failed", cause=getattr(error, "cause", type(error).__name__))
        time.sleep(_SWEEP_EVERY)


def die_with_parent() -> None:
    """A worker whose server was killed would keep the port, without the embedded store: on Linux it goes, too (F2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
