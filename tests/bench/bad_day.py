"""iMIS takes 30 seconds for every answer: what members who are signed in, and members who come, notice: `python -m tests.bench.bad_day`.

Prints the times of single sign-on under load (p95 is to stay under 150 ms), and those of new sign-ins: who comes first waits as long as
a call may take (8 s), whoever comes after gets a page that says so in under 3 s.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bad_day import MEMBERS, BadDay, Member, bad_day

AGED = '[freshness]\nchecked = "1s"\nfresh = "1s"\n'


def timed(act: Callable[[], object]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def shown(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p95, p99 = ordered[int(len(ordered) * 0.95) - 1], ordered[int(len(ordered) * 0.99) - 1]
    middle = statistics.median(ordered)
    print(f"{name:44} n {len(ordered):5}  median {middle:7.1f}  p95 {p95:7.1f}  p99 {p99:7.1f}  worst {ordered[-1]:7.1f} ms", flush=True)


def single_sign_on(members: list[Member], times: int, *, at_once: int) -> list[float]:
    """One thread has its members to itself: a browser does one thing after the other."""

    def one(number: int) -> list[float]:
        own = members[number::at_once]
        found = []
        for turn in range(times // at_once):
            member = own[turn % len(own)]
            for way in (member.saml, member.openid, member.token, member.cookie, member.jsonp):
                found.append(timed(lambda way=way: _held(way)))  # type: ignore[misc]
        return found

    with ThreadPoolExecutor(at_once) as pool:
        return [each for found in pool.map(one, range(at_once)) for each in found]


def _held(way: Callable[[], bool]) -> None:
    assert way(), "a sign-on failed"


def new_sign_ins(day: BadDay, names: tuple[str, ...]) -> list[float]:
    """One after another."""
    found = []
    for name in names:
        member = day.member(name)
        found.append(timed(lambda member=member: _refused(member)))  # type: ignore[misc]
    return found


def _refused(member: Member) -> None:
    assert member.log_in() == 503


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=400, help="rounds of five sign-ons")
    parser.add_argument("--at-once", type=int, default=4, help="browsers at the same moment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idp-bench-") as folder, bad_day(Path(folder), more=AGED) as day:
        members = day.signed_in()
        shown("SSO, iMIS is well", single_sign_on(members, options.times, at_once=options.at_once))
        day.imis.order("slow", seconds=30)
        shown("SSO, iMIS takes 30 s", single_sign_on(members, options.times, at_once=options.at_once))
        times = new_sign_ins(day, MEMBERS[:12])
        print("new sign-ins, one after another, seconds: " + "  ".join(f"{each / 1000:.2f}" for each in times))
        day.imis.order("down")
        shown("SSO, iMIS is off", single_sign_on(members, options.times, at_once=options.at_once))


if __name__ == "__main__":
    main()
