"""The table in deploy/browsers.md of which browser takes which way. IDP_WRITE_TABLES=1 writes what was measured; else it must be there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.fedcm.association import JOURNAL, LMS, PORTAL

FILE = Path(__file__).parents[2] / "deploy" / "browsers.md"
SITES = {"lms": LMS, "journal": JOURNAL, "portal": PORTAL}
"""Another site with tokens, another site with JSONP, and one of our own site with JSONP."""


def row_of(engine: str, visit: str, ways: Mapping[str, str]) -> str:
    return f"| {engine} | {visit} | {' | '.join(ways[site] for site in SITES)} |"


def measure(way_at: Callable[[str], str]) -> dict[str, str]:
    """The way taken at each site."""
    return {site: way_at(url) for site, url in SITES.items()}


def check_rows(engine: str, rows: list[str]) -> None:
    """The rows of that engine stand in the file as they were measured."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    there = [number for number, line in enumerate(lines) if line.startswith(f"| {engine} |")]
    if os.environ.get("IDP_WRITE_TABLES"):
        after = there[0] if there else next(number for number, line in enumerate(lines) if line.startswith("|---")) + 1
        kept = [line for number, line in enumerate(lines) if number not in there]
        FILE.write_text("\n".join([*kept[:after], *rows, *kept[after:]]) + "\n", encoding="utf-8")
        return
    assert [lines[number] for number in there] == rows, "deploy/browsers.md is old: run this test with IDP_WRITE_TABLES=1"
