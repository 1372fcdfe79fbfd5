"""Simple vendors: redeeming a token, asking again by a handle, and the JSONP ping. `python -m tests.bench.vendor`.

The database's share stands beside the worker's: each redemption takes two writes (spent, calls) and three to four reads of the store.
"""

from __future__ import annotations

import argparse
import base64
import functools
import json
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bare_browser import BareBrowser
from tests.bench.measure import Operation, measure, measure_prepared
from tests.server import Server

MORE = """
[service]
calls_per_minute = 100000000
[clients.lms]
secret = { file = "secret" }
[clients.lms.token]
return_urls = ["http://lms.localhost:9/sso"]
[clients.journal.jsonp]
origins = ["https://journal.example.org"]
expires = 2099-12-31
"""
BASIC = {"Authorization": f"Basic {base64.b64encode(b'lms:lms-secret').decode()}"}


class Bench:
    """A member's browser, a vendor's server, and a page of another vendor's."""

    def __init__(self, server: Server) -> None:
        self.member = BareBrowser(server.port)
        self.vendor = BareBrowser(server.port)
        self.member.sign_in(self.member.ask("GET", "/token/signon?client=lms")[1])
        self.handle = json.loads(self._redeem(self.token(), more="&handle=1"))["handle"]

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]*)"', self.member.ask("GET", "/token/signon?client=lms")[2])
        assert found
        return found[1]

    def redemptions(self, times: int) -> Sequence[Operation]:
        """Tokens live for 30 seconds: no more in a round than can be made and redeemed in that time."""
        return [functools.partial(self._redeem, self.token()) for _ in range(times)]

    def _redeem(self, token: str, *, more: str = "") -> str:
        status, _, text = self.vendor.ask("POST", "/service/redeem", f"token={token}{more}", BASIC)
        assert status == 200, text
        return text

    def ask_again(self) -> None:
        status, _, text = self.vendor.ask("POST", "/service/profile", f"handle={self.handle}", BASIC)
        assert status == 200, text

    def ping(self) -> None:
        status, _, text = self.member.ask(
            "GET", "/jsonp/ping?client=journal&callback=f", headers={"Referer": "https://journal.example.org/"}
        )
        assert (status, '"signedIn": true' in text) == (200, True)

    def ping_of_a_stranger(self) -> None:
        status, _, text = self.vendor.ask(
            "GET", "/jsonp/ping?client=journal&callback=f", headers={"Referer": "https://journal.example.org/"}
        )
        assert (status, '"signedIn": false' in text) == (200, True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=150, help="operations a round")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median is printed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder:
        (Path(folder) / "secret").write_text("lms-secret")
        server = Server(Path(folder), more=MORE)
        try:
            bench = Bench(server)
            measure_prepared(server, "redeem a token", functools.partial(bench.redemptions, options.times), rounds=options.rounds)
            measure(server, "ask again by a handle", bench.ask_again, times=options.times, rounds=options.rounds)
            measure(server, "JSONP ping, signed in", bench.ping, times=options.times, rounds=options.rounds)
            measure(server, "JSONP ping, not signed in", bench.ping_of_a_stranger, times=options.times, rounds=options.rounds)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
