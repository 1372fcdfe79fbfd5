"""Prints, for each operation, its rate and the CPU of the worker and of the database, in milliseconds and in bare RSA-2048 signatures."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.bench import saml, store
from tests.bench.measure import measure, signature_ms
from tests.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="operations a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    options = parser.parse_args()
    store.bench()
    saml.bench(times=options.times, rounds=options.rounds)
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        server = Server(Path(folder))
        try:
            server.command("clients", "add", "saml", "--metadata", f"{folder}/sp.xml", "--id", "lms")
            added = server.command("clients", "add", "oidc", "--id", "rp", "--redirect-uri", REDIRECT_URI)
            time.sleep(2)  # running workers know new clients within two seconds
            print(f"one bare RSA-2048 signature: {signature_ms(1000):.3f} ms CPU")
            measure_all(server, str(added["client_secret"]), times=options.times, rounds=options.rounds)
        finally:
            server.stop()


def measure_all(server: Server, secret: str, *, times: int, rounds: int) -> None:
    signed_in = BareBrowser(server.port)
    _, location, _ = signed_in.ask("GET", saml_path(server.url))
    assert "SAMLResponse" in signed_in.sign_in(location)

    def oidc_again() -> None:
        relying = Relying(signed_in, secret)
        relying.finish(signed_in.ask("GET", relying.authorize_path())[1])

    def oidc_login() -> None:
        browser = BareBrowser(server.port)
        relying = Relying(browser, secret)
        relying.finish(browser.sign_in(browser.ask("GET", relying.authorize_path())[1]))

    measure(server, "OIDC authorize+token+userinfo", oidc_again, times=times, rounds=rounds)
    measure(server, "OIDC login with password", oidc_login, times=times // 4, rounds=rounds)


if __name__ == "__main__":
    main()
