"""What a request waits for at other servers, told to whoever watches: nobody, unless [telemetry] names a collector."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

Answered = Callable[[int], None]
"""Is told the status of the answer."""
Watch = Callable[[str, str], AbstractContextManager[Answered]]
"""Goes around one question: what is asked, and of which server by its URL."""


def _nobody(_what: str, _server: str) -> AbstractContextManager[Answered]:
    return nullcontext(_pass)


def _pass(_status: int) -> None:
    return None


WATCH: ContextVar[Watch] = ContextVar("watch", default=_nobody)
"""Of the thread that serves a request; threads begun by it have nobody, unless they are handed its context."""


def asking(what: str, server: str) -> AbstractContextManager[Answered]:
    """Around a question to another server. `what` says which, as a log may: no personal data, no secret."""
    return WATCH.get()(what, server)
