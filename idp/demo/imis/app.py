"""Wires the simulated iMIS."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask

from idp.clock import Now, utc_now
from idp.demo.imis.answer import Dialect
from idp.demo.imis.association import Association
from idp.demo.imis.contact import ContactWriter
from idp.demo.imis.fault import Faults
from idp.demo.imis.panel import Panel
from idp.demo.imis.query import Queries
from idp.demo.imis.rest import Rest
from idp.demo.imis.session import LoginSessions
from idp.demo.imis.settings import SimulatorSettings
from idp.demo.imis.site import Site
from idp.demo.imis.soap import MembershipWebService
from idp.demo.imis.token import TokenEndpoint, Tokens

_SCHEDULER = re.compile(r"^/asi\.scheduler_\w+(?=/)")  # the on-premise root of /token and /api (1, SEEN)


def create_imis(people_file: Path, settings: SimulatorSettings | None = None, *, now: Now = utc_now) -> Flask:
    """The simulated iMIS with the people of the file. Raises ConfigError if that cannot be used."""
    settings = settings or SimulatorSettings()
    association = Association(people_file, settings, now=now)
    tokens = Tokens(settings, now=now)
    dialect = Dialect(settings)
    writer = ContactWriter(dialect, settings)
    queries = Queries(association, dialect)
    logins = LoginSessions()
    faults = Faults()
    app = Flask("imis", static_folder=None)
    Panel(association, tokens, faults, queries).attach(app)  # first, so that it counts what a fault swallows
    faults.attach(app)
    app.register_blueprint(TokenEndpoint(settings, association, tokens, now=now).pages())
    app.register_blueprint(Rest(settings, association, tokens, dialect, writer, queries).pages())
    app.register_blueprint(MembershipWebService(settings, association, logins).pages())
    app.register_blueprint(Site(settings, association, tokens, logins).pages())
    app.wsgi_app = _AnyCase(app.wsgi_app)  # type: ignore[method-assign]  # Flask's own way to put a layer around itself
    return app


class _AnyCase:
    """Paths in any case, as ASP.NET has them (2.1: /Token, SEEN), and under the scheduler's root too."""

    def __init__(self, inner: WSGIApplication) -> None:
        self._inner = inner

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["PATH_INFO"] = _SCHEDULER.sub("", environ["PATH_INFO"].lower())
        return self._inner(environ, start_response)
