"""How long the account pages take for who is known and for who is not, on the real server: `python -m tests.bench.enumeration`.

Prints the two medians of each page and their difference, which is to stay under 5 ms (issue: enumeration). Letters to the known are
written and sent meanwhile, as in life.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import tempfile
import time
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from tests.bad_day import MEMBERS, BadDay, Member, bad_day

PAGES = {
    "forgot password, by address": ("/account/forgot-password", "{}@mail.example"),
    "forgot password, by user name": ("/account/forgot-password", "{}"),
    "forgot user name": ("/account/forgot-username", "{}@mail.example"),
    "create account": ("/account/create", "{}@mail.example"),
}


class Prober:
    """A stranger with one browser, who posts one form again and again."""

    def __init__(self, day: BadDay, path: str) -> None:
        self._browser: Member = day.member("nobody")
        self._path = path
        page = self._browser.ask("GET", path)[2]
        self._hidden = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)}

    def ask(self, who: str) -> float:
        """Milliseconds."""
        body = urlencode({**self._hidden, "email": who, "first_name": "A", "last_name": "B"})
        begun = time.perf_counter()
        status, _, text = self._browser.ask("POST", self._path, body)
        taken = (time.perf_counter() - begun) * 1000
        assert status == 200, text
        return taken


def measure(day: BadDay, path: str, form: str, tries: int) -> tuple[float, float]:
    """The medians for the known and for the unknown, asked in turns."""
    prober = Prober(day, path)
    known, unknown = [], []
    for number in range(tries):
        known.append(prober.ask(form.format(MEMBERS[number % len(MEMBERS)])))
        unknown.append(prober.ask(form.format(f"stranger{number % len(MEMBERS):02}")))
    return statistics.median(known), statistics.median(unknown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=1000, help="of each kind, on each page")
    options = parser.parse_args()
    os.environ["IDP_ACCOUNT_MAILS_PER_RECIPIENT"] = "1000000"
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder, bad_day(Path(folder)) as day, day.mail() as mailbox:
        for name, (path, form) in PAGES.items():
            known, unknown = measure(day, path, form, options.tries)
            print(f"{name:30} known {known:7.2f} ms  unknown {unknown:7.2f} ms  difference {abs(known - unknown):5.2f} ms", flush=True)
        print(f"{len(mailbox.mails())} of the letters are in the mailbox, which keeps the last ones")


if __name__ == "__main__":
    main()
