"""Simple vendors: redeeming a token, asking again by a handle, and the JSONP ping. `python -m tests.bench.vendor`.

The database's share stands beside the worker's, and in the end each operation as a multiple of an empty request in the same run. How
many calls of the store each takes is counted by tests/simple/test_cost.py.
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

    def nothing(self) -> None:
        assert self.vendor.ask("GET", "/livez")[0] == 200

    def ping(self) -> None:
        self._ping(self.member, signed_in=True)

    def ping_without_token(self) -> None:
        self._ping(self.member, "&token=0", signed_in=True)

    def ping_of_a_stranger(self) -> None:
        self._ping(self.vendor, signed_in=False)

    def _ping(self, browser: BareBrowser, more: str = "", *, signed_in: bool) -> None:
        path = f"/jsonp/ping?client=journal&callback=f{more}"
        status, _, text = browser.ask("GET", path, headers={"Referer": "https://journal.example.org/"})
        assert (status, f'"signedIn": {json.dumps(signed_in)}' in text) == (200, True)

    def operations(self) -> dict[str, Operation]:
        """What can be done again and again."""
        return {
            "ask again by a handle": self.ask_again,
            "JSONP ping, signed in": self.ping,
            "JSONP ping, signed in, token=0": self.ping_without_token,
            "JSONP ping, not signed in": self.ping_of_a_stranger,
        }


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
            empty = measure(server, "an empty request (/livez)", bench.nothing, times=options.times * 4, rounds=options.rounds)
            tokens = functools.partial(bench.redemptions, options.times)
            cost = {"redeem a token": measure_prepared(server, "redeem a token", tokens, rounds=options.rounds)}
            for name, operation in bench.operations().items():
                cost[name] = measure(server, name, operation, times=options.times, rounds=options.rounds)
            for name, milliseconds in cost.items():
                print(f"{name:40} {milliseconds / empty:5.1f} empty requests")
        finally:
            server.stop()


if __name__ == "__main__":
    main()
