"""OpenID Connect by the second of server CPU: login, SSO, refresh, introspection, client_credentials. Durable store, RS256, one worker.

`python -m tests.bench.oidc` prints, for each operation, how many of them one core of the server does in a second: by the worker's CPU
alone, and with the database's CPU added. A login is the authorization request, the sign-in page, the posted password (which is compared,
not hashed: what a directory does is not measured), the way back, and the code for tokens; SSO is the same without the two pages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying
from tests.bench.measure import signature_ms
from tests.server import Server

SECRET = "bench"
CLIENT = f"""
[clients.rp]
secret_sha256 = ["{hashlib.sha256(SECRET.encode()).hexdigest()}"]
[clients.rp.oidc]
redirect_uris = ["{REDIRECT_URI}"]
grant_types = ["authorization_code", "refresh_token", "client_credentials"]
scopes = ["openid", "profile", "email", "offline_access"]
tokens = {{ service_scopes = ["reports"] }}
"""
GOALS = {"login": 300, "SSO": 450, "refresh with ID token": 900, "refresh": 900, "introspection": 2600, "client_credentials": 1500}


class Bench:
    """One server, one browser that is signed in, and the operations."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._browser = BareBrowser(server.port)
        self._headers = Relying(self._browser, SECRET).credentials
        self._refresh = {
            scope: self._login(BareBrowser(server.port), f"{scope}offline_access+")["refresh_token"] for scope in ("openid+", "")
        }
        self._token = self._login(self._browser, "openid+")["access_token"]

    def operations(self) -> dict[str, Callable[[], object]]:
        return {
            "login": lambda: self._login(BareBrowser(self._server.port), "openid+"),
            "SSO": lambda: self._code(self._browser, "openid+", lambda browser, path: browser.ask("GET", path)[1]),
            "refresh with ID token": lambda: self._refreshed("openid+"),
            "refresh": lambda: self._refreshed(""),
            "introspection": lambda: self._post("/oauth/introspect", {"token": self._token}),
            "client_credentials": lambda: self._post("/oauth/token", {"grant_type": "client_credentials"}),
        }

    def _login(self, browser: BareBrowser, scope: str) -> dict[str, Any]:
        return self._code(browser, scope, lambda browser, path: browser.sign_in(browser.ask("GET", path)[1]))

    def _code(self, browser: BareBrowser, scope: str, reach: Callable[[BareBrowser, str], str]) -> dict[str, Any]:
        relying = Relying(browser, SECRET)
        path = relying.authorize_path().replace("scope=openid+", f"scope={scope}")
        code = parse_qs(urlsplit(reach(browser, path)).query)["code"][0]
        return self._post("/oauth/token", relying.exchange(code))

    def _refreshed(self, scope: str) -> None:
        told = self._post("/oauth/token", {"grant_type": "refresh_token", "refresh_token": self._refresh[scope]})
        self._refresh[scope] = told["refresh_token"]

    def _post(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        status, _, text = self._browser.ask("POST", path, urlencode(fields), self._headers)
        assert status == 200, text
        told: dict[str, Any] = json.loads(text)
        return told


def measure(server: Server, operation: Callable[[], object], *, times: int, rounds: int) -> tuple[float, float]:
    """CPU milliseconds of one operation: of the worker, of the database."""
    operation()
    workers, databases = [], []
    for _ in range(rounds):
        worker, database = server.worker_cpu(), server.database_cpu()
        for _ in range(times):
            operation()
        workers.append((server.worker_cpu() - worker) / times * 1000)
        databases.append((server.database_cpu() - database) / times * 1000)
    return statistics.median(workers), statistics.median(databases)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=400, help="operations a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        server = Server(Path(folder), more=CLIENT)
        try:
            print(f"one bare RSA-2048 signature: {signature_ms(1000):.3f} ms CPU")
            for name, operation in Bench(server).operations().items():
                worker, database = measure(server, operation, times=options.times, rounds=options.rounds)
                print(
                    f"{name:24} {1000 / worker:7.0f}/s a core of the worker  {1000 / (worker + database):7.0f}/s with the database"
                    f"  goal {GOALS[name]:5}  worker {worker:5.2f} ms  database {database:5.2f} ms",
                    flush=True,
                )
        finally:
            server.stop()


if __name__ == "__main__":
    main()
