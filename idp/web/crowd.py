"""When more come than can be served: some wait for a moment, the rest are told at once to come back (F21)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, g, request

from idp.errors import Unavailable

_AT_ONCE = 4  # that one process works on; more would only share one core
_WAITING = 24  # that wait for those: at some 30 requests a second and worker, less than a second
_PATIENCE = 5.0  # seconds that one may wait
_RETRY = 5
THREADS = _AT_ONCE + _WAITING + 4
"""Threads of one process: for those who work, those who wait, and those who must not."""
_MARK = "never_turned_away"
View = TypeVar("View", bound=Callable[..., Any])


def never_turned_away(view: View) -> View:
    """Marks a view that everybody gets into: health, and what finishes a sign-on that was begun, as vendors' servers do."""
    setattr(view, _MARK, True)
    return view


class Busy(Unavailable):
    """Too many at once."""

    def __init__(self) -> None:
        message = "Very many people are signing in at this moment. Please try again in a few seconds."
        super().__init__("server.busy", message, retry_after=_RETRY)


class Crowd:
    """Counts who is inside. A request's body is read before it counts, so that one who sends slowly keeps nobody out."""

    def __init__(self, *, at_once: int = _AT_ONCE, waiting: int = _WAITING, patience: float = _PATIENCE) -> None:
        self._inside = threading.Semaphore(at_once)
        self._places = threading.Semaphore(waiting)
        self._patience = patience

    def watch(self, app: Flask) -> None:
        """Lets requests in, and out."""

        @app.before_request
        def let_in() -> None:
            view = app.view_functions.get(request.endpoint or "")
            if request.endpoint != "static" and not hasattr(view, _MARK):
                request.get_data()  # kept, so that views may still read it raw or as a form
                self._enter()
                g.inside = True

        @app.teardown_request
        def let_out(_: BaseException | None) -> None:
            if g.pop("inside", False):
                self._inside.release()

    def _enter(self) -> None:
        """Raises Busy."""
        if self._inside.acquire(blocking=False):
            return
        if not self._places.acquire(blocking=False):
            raise Busy
        try:
            if not self._inside.acquire(timeout=self._patience):
                raise Busy
        finally:
            self._places.release()
