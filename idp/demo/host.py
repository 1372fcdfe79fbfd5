"""Many sites behind one port, each under its own host name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response


class Hosts:
    """A WSGI application that hands each request to the site whose name it asks for, whatever the port."""

    def __init__(self, sites: Mapping[str, WSGIApplication]) -> None:
        self._sites = sites

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name = str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()
        site = self._sites.get(name, Response("There is no such site in the demo.\n", 404))
        return site(environ, start_response)
