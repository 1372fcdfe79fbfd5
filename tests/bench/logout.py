"""Ten vendors of which two are dead, and one member who signs out everywhere: `python -m tests.bench.logout`.

Prints how long it takes from the press of the button to the page with the final state (p95 is to stay under 3 s). One of the dead takes
connections and never answers, the other refuses them. A server that was found dead is left alone for 30 s: so the figure is printed for
the first logout after that, and for those that follow at once.
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

from tests.bare_browser import BareBrowser
from tests.bench.bad_day import shown
from tests.port import free_port
from tests.server import Server

VENDORS = [f"v{number}" for number in range(10)]
CLIENT = """
[clients.{id}]
[clients.{id}.token]
return_urls = ["https://{id}.example.org/in"]
logout_url = "http://127.0.0.1:{port}/{id}"
"""


class _Vendor(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return None


@contextmanager
def vendors() -> Iterator[list[int]]:
    """The ports of ten vendors: eight answer, one is silent, one is not there."""
    well = ThreadingHTTPServer(("127.0.0.1", 0), _Vendor)
    well.daemon_threads = True
    threading.Thread(target=well.serve_forever, daemon=True).start()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as silent:
        yield [*[well.server_address[1]] * 8, silent.getsockname()[1], free_port()]
    well.shutdown()
    well.server_close()


def sign_out(server: Server) -> float:
    """Milliseconds from the press of the button to the final page."""
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    for client_id in VENDORS:
        assert browser.ask("GET", f"/token/signon?client={client_id}")[0] == 200
    _, _, page = browser.ask("GET", "/logout")
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    begun = time.perf_counter()
    _, location, _ = browser.ask("POST", "/logout", urlencode({"form_token": token}))
    _, _, page = browser.ask("GET", location.removeprefix(server.url))
    took = (time.perf_counter() - begun) * 1000
    assert page.count("signed out</span>") == 8, page
    assert page.count("we keep trying until") == 2, page
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="logouts of each sort")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder, vendors() as ports:
        clients = "".join(CLIENT.format(id=client_id, port=port) for client_id, port in zip(VENDORS, ports, strict=True))
        server = Server(Path(folder), workers=2, more=clients)
        try:
            first, after = [], []
            for _ in range(options.times):
                server.stop()  # whoever starts anew knows of no dead server
                server.start()
                first.append(sign_out(server))
            for _ in range(options.times):
                after.append(sign_out(server))
            shown("logout, the two were not known to be dead", first)
            shown("logout, right after", after)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
