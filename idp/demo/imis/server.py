"""Runs the simulated iMIS, or any other WSGI application of the demo, on a port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server


@contextmanager
def serving(app: WSGIApplication, *, port: int = 0) -> Iterator[str]:
    """The application's address, such as http://127.0.0.1:40123, for as long as the block runs. Port 0: any that is free."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    """Requests are not logged, for their lines have user names. The server closes each connection after its answer."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        return None
