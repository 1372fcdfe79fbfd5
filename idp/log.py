"""The server's own messages: JSON lines, each with the id of the request that it belongs to. Events of members are in `audit/`."""

from __future__ import annotations

import logging
import re
import secrets
from contextvars import ContextVar
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

_REQUEST: ContextVar[str] = ContextVar("request", default="")  # of the thread that serves it; threads begun by it have none
_GOOD_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id() -> str:
    """The id of the request that this thread serves; empty outside one."""
    return _REQUEST.get()


def begin_request(given: str = "") -> str:
    """From here on lines carry an id: the one that a trusted proxy gave, if it is one, else a new one."""
    chosen = given if _GOOD_ID.fullmatch(given) else secrets.token_hex(8)
    _REQUEST.set(chosen)
    return chosen


def end_request() -> None:
    _REQUEST.set("")


class _Formatter(JsonFormatter):
    """Messages of exceptions may hold personal data or a secret: of these only the type is kept, as everywhere (G-S10)."""

    def formatException(self, ei: object) -> str:  # noqa: N802  the library's name
        kind = ei[0] if isinstance(ei, tuple) else None
        return getattr(kind, "__name__", "")


def _with_request(record: logging.LogRecord) -> bool:
    if request := request_id():
        record.request = request
    return True


def json_lines() -> logging.Formatter:
    """A log record as one JSON line."""
    names = {"created": "time", "levelname": "level", "name": "logger"}
    return _Formatter("{created}{levelname}{name}{message}", style="{", rename_fields=names)


def log_as_json(stream: TextIO | None = None) -> None:
    """All of this process's log, ours and the libraries', as JSON lines on one stream, from WARNING on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(json_lines())
    handler.addFilter(_with_request)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


SERVER_LOG = {
    "formatters": {"json": {"()": json_lines}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
    "loggers": {"_granian": {"handlers": ["console"], "propagate": False}},
}
"""The same for the HTTP server, in the words of `logging.config`."""
