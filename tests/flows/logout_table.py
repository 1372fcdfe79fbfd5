"""The table in deploy/logout.md of what becomes of each application. IDP_WRITE_TABLES=1 writes what was met; else it must be there."""

from __future__ import annotations

import os
from pathlib import Path

FILE = Path(__file__).parents[2] / "deploy" / "logout.md"


def check_row(begun: str, ending: str, cells: list[str]) -> None:
    """The row stands in the file as it was met."""
    start = f"| {begun} | {ending} |"
    row = f"{start} {' | '.join(cells)} |"
    lines = FILE.read_text(encoding="utf-8").splitlines()
    there = [number for number, line in enumerate(lines) if line.startswith(start)]
    if os.environ.get("IDP_WRITE_TABLES"):
        place = there[0] if there else max(number for number, line in enumerate(lines) if line.startswith("|")) + 1
        lines[place : place + len(there)] = [row]
        FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return
    assert [lines[number] for number in there] == [row], "deploy/logout.md is old: run this test with IDP_WRITE_TABLES=1"
