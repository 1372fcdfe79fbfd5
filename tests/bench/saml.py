"""SAML: `python -m tests.bench.saml`. Logins again by what is signed and encrypted, a whole login, a logout, our metadata."""

from __future__ import annotations

import argparse
import base64
import re
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from html import unescape
from pathlib import Path

from idp.protocols.saml.document import POST, REDIRECT, SAML, parse, qualified
from tests.bare_browser import BareBrowser
from tests.bench.measure import Operation, measure, measure_prepared, signature_ms
from tests.saml.wiring import authn_request, key_of, logout_request, metadata, redirect_query
from tests.server import Server

KINDS = {
    "assertion": 'sign = "assertion"',
    "both": 'sign = "both"',
    "sealed": 'sign = "both"\nencrypt = true',
}
"""Service providers, by what they want."""


def entity(kind: str) -> str:
    return f"https://{kind}.example.org/metadata"


def start_server(folder: Path) -> Server:
    """A server with one service provider of each kind, each with a certificate and a logout address."""
    tables = []
    for kind, wanted in KINDS.items():
        acs = f'<md:AssertionConsumerService Binding="{POST}" Location="https://{kind}.example.org/acs" index="1"/>'
        slo = f'<md:SingleLogoutService Binding="{REDIRECT}" Location="https://{kind}.example.org/slo"/>'
        (folder / f"{kind}.xml").write_text(metadata(entity(kind), acs=acs, slo=slo))
        tables.append(f'[clients.{kind}.saml]\nmetadata = "{kind}.xml"\n{wanted}\n')
    return Server(folder, more="\n".join(tables))


class Asker:
    """One browser, and one service provider that sends it to us."""

    def __init__(self, server: Server, kind: str, browser: BareBrowser | None = None) -> None:
        self.browser = browser or BareBrowser(server.port)
        self._server, self._kind, self._page = server, kind, ""

    def path(self) -> str:
        """A fresh AuthnRequest by Redirect, unsigned, as most vendors send it."""
        root = authn_request(
            identifier=f"_{time.monotonic_ns()}",
            issuer=entity(self._kind),
            issued=int(time.time()),
            Destination=f"{self._server.url}/saml/sso",
        )
        return f"/saml/sso?{redirect_query(root).decode()}"

    def again(self) -> None:
        """In a live session."""
        status, _, self._page = self.browser.ask("GET", self.path())
        assert status == 200
        assert "SAMLResponse" in self._page

    def login(self) -> None:
        """By the sign-in page."""
        self._page = self.browser.sign_in(self.browser.ask("GET", self.path())[1])
        assert "SAMLResponse" in self._page

    def logout_path(self) -> str:
        """A signed LogoutRequest for the session of the last answer, which was not encrypted."""
        found = re.search(r'name="SAMLResponse" value="([^"]*)"', self._page)
        assert found is not None
        told = parse(base64.b64decode(unescape(found[1])))
        name = next(told.iter(qualified(SAML, "NameID")))
        index = next(told.iter(qualified(SAML, "AuthnStatement"))).get("SessionIndex")
        inner = f'<saml:NameID Format="{name.get("Format")}">{name.text}</saml:NameID><samlp:SessionIndex>{index}</samlp:SessionIndex>'
        root = logout_request(
            inner,
            identifier=f"_{time.monotonic_ns()}",
            issuer=entity(self._kind),
            issued=int(time.time()),
            Destination=f"{self._server.url}/saml/slo",
        )
        return f"/saml/slo?{redirect_query(root, key=key_of('sp')).decode()}"

    def log_out(self, path: str) -> None:
        """To our LogoutResponse."""
        location = path
        while not location.startswith("https://"):
            _, location, _ = self.browser.ask("GET", location.removeprefix(self._server.url))
        assert "SAMLResponse=" in location


def signed_in(server: Server, *, times: int) -> Sequence[Operation]:
    """Logouts, of as many sessions, each in a browser of its own."""
    askers = [Asker(server, "assertion") for _ in range(times)]
    for asker in askers:
        asker.login()
    return [partial(asker.log_out, asker.logout_path()) for asker in askers]


def measure_saml(server: Server, *, times: int, rounds: int) -> None:
    browser = Asker(server, "assertion")
    browser.login()
    for kind, words in (("assertion", "assertion signed"), ("both", "both signed"), ("sealed", "both signed, encrypted")):
        measure(server, f"SAML re-login ({words})", Asker(server, kind, browser.browser).again, times=times, rounds=rounds)
    measure(server, "SAML login with password, 4 requests", lambda: Asker(server, "assertion").login(), times=times // 4, rounds=rounds)
    measure_prepared(server, "SAML logout", lambda: signed_in(server, times=times // 4), rounds=rounds)
    metadata_once = partial(BareBrowser(server.port).ask, "GET", "/saml/metadata")
    measure(server, "SAML metadata", lambda: _expect(metadata_once), times=times * 4, rounds=rounds)


def _expect(ask: partial[tuple[int, str, str]]) -> None:
    status, _, text = ask()
    assert status == 200
    assert "EntityDescriptor" in text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="operations a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    options = parser.parse_args()
    bench(times=options.times, rounds=options.rounds)


def bench(*, times: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        server = start_server(Path(folder))
        try:
            print(f"one bare RSA-2048 signature: {signature_ms(1000):.3f} ms CPU")
            measure_saml(server, times=times, rounds=rounds)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
