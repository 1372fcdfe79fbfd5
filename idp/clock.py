"""Time: every part that needs it is handed a `Now`, so that a test can hold it still."""

from __future__ import annotations

import time
from collections.abc import Callable

Now = Callable[[], int]
"""Answers the present moment in whole seconds since 1970-01-01 UTC."""


def utc_now() -> int:
    """The wall clock in whole seconds since 1970-01-01 UTC."""
    return int(time.time())
