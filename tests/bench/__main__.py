"""Prints, for each operation, its rate and the CPU of the worker and of the database, in milliseconds and in bare RSA-2048 signatures."""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.server import Server


def signature_ms(times: int = 300) -> float:
    """CPU milliseconds of one bare RSA-2048 signature here and now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    begun = time.process_time()
    for _ in range(times):
        key.sign(b"x", padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - begun) / times * 1000


def measure(server: Server, name: str, operation: Callable[[], None], *, times: int, rounds: int) -> None:
    operation()
    walls, workers, databases, signatures = [], [], [], []
    for _ in range(rounds):
        signatures.append(signature_ms())
        begun, worker, database = time.monotonic(), server.worker_cpu(), server.database_cpu()
        for _ in range(times):
            operation()
        walls.append((time.monotonic() - begun) / times * 1000)
        workers.append((server.worker_cpu() - worker) / times * 1000)
        databases.append((server.database_cpu() - database) / times * 1000)
    bare, cpu = statistics.median(signatures), statistics.median(workers)
    print(
        f"{name:34} {1000 / statistics.median(walls):8.0f}/s one after another  {1000 / cpu:8.0f}/s a core"
        f"  worker {cpu:6.2f} ms CPU = {cpu / bare:5.1f} signatures  database {statistics.median(databases):5.2f} ms CPU",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="operations a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        server = Server(Path(folder))
        try:
            server.command("clients", "add", "saml", "--metadata", f"{folder}/sp.xml", "--id", "lms", "--sign", "assertion")
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

    def saml_again() -> None:
        status, _, text = signed_in.ask("GET", saml_path(server.url))
        assert status == 200
        assert "SAMLResponse" in text

    def saml_login() -> None:
        browser = BareBrowser(server.port)
        _, location, _ = browser.ask("GET", saml_path(server.url))
        assert "SAMLResponse" in browser.sign_in(location)

    def oidc_again() -> None:
        relying = Relying(signed_in, secret)
        relying.finish(signed_in.ask("GET", relying.authorize_path())[1])

    def oidc_login() -> None:
        browser = BareBrowser(server.port)
        relying = Relying(browser, secret)
        relying.finish(browser.sign_in(browser.ask("GET", relying.authorize_path())[1]))

    measure(server, "SAML re-login (assertion signed)", saml_again, times=times, rounds=rounds)
    measure(server, "SAML login with password", saml_login, times=times // 4, rounds=rounds)
    measure(server, "OIDC authorize+token+userinfo", oidc_again, times=times, rounds=rounds)
    measure(server, "OIDC login with password", oidc_login, times=times // 4, rounds=rounds)


if __name__ == "__main__":
    main()
