"""What /proc tells of processes."""

from __future__ import annotations

import os
from pathlib import Path


def parent_of(pid: int) -> int:
    """0 when there is no such process, or it has ended and is only still listed."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[:2]
    except OSError:
        return 0
    return 0 if state in "ZX" else int(parent)


def is_alive(pid: int) -> bool:
    return parent_of(pid) != 0


def all_pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def children_of(parent: int) -> list[int]:
    """Those that live. The kernel's own list of children leaves some out while another ends (proc(5))."""
    return [pid for pid in all_pids() if parent_of(pid) == parent]


def name_of(pid: int) -> str:
    """Of the program; empty for one that has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
