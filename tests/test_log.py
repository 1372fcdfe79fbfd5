"""The server's own messages: one JSON line each, with the request they belong to, and without what an exception says."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest

from idp.log import SERVER_LOG, begin_request, end_request, log_as_json


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where this process logs for the length of a test."""
    before = logging.root.handlers[:], logging.root.level
    logging.root.handlers = []
    written = io.StringIO()
    log_as_json(written)
    yield written
    logging.root.handlers, level = before
    logging.root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_message_is_one_json_line_with_time_level_and_logger(stream: io.StringIO) -> None:
    logging.getLogger("idp").warning("the folder %s\ncannot be read", "keys")
    (line,) = lines(stream)
    assert {name: value for name, value in line.items() if name != "time"} == {
        "level": "WARNING",
        "logger": "idp",
        "message": "the folder keys\ncannot be read",
    }
    assert isinstance(line["time"], float)


def test_a_message_within_a_request_names_it(stream: io.StringIO) -> None:
    given = begin_request()
    logging.getLogger("idp").warning("x")
    end_request()
    logging.getLogger("idp").warning("y")
    assert [line.get("request") for line in lines(stream)] == [given, None]


def test_G_S10_of_an_exception_only_its_type_is_logged(stream: io.StringIO) -> None:
    try:
        raise ValueError("canary-7f3a")
    except ValueError:
        logging.getLogger("some.library").exception("it failed")
    assert "canary" not in stream.getvalue()
    assert lines(stream)[0]["exc_info"] == "ValueError"


def test_what_libraries_say_below_warning_is_not_kept(stream: io.StringIO) -> None:
    logging.getLogger("saml2").info("<Assertion>")
    assert stream.getvalue() == ""


def test_the_http_server_takes_our_way_of_logging() -> None:
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **SERVER_LOG})
    (handler,) = logging.getLogger("_granian").handlers
    assert handler.formatter is not None
    line = handler.formatter.format(logging.LogRecord("_granian", logging.WARNING, "", 0, "Killing %s", ("worker-1",), None))
    assert json.loads(line)["message"] == "Killing worker-1"
