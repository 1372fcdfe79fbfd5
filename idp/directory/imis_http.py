"""One exchange with iMIS over HTTP: what is not an answer in iMIS's own form is DirectoryUnavailable, never "wrong password" (F12).

This is the directory's only import of urllib3. It never follows a redirect and never asks twice by itself (F13).
"""

from __future__ import annotations

import email.utils
import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn
from urllib.parse import urlencode

import urllib3
from urllib3 import exceptions

from idp.clock import Now
from idp.directory import DirectoryUnavailable, LineState
from idp.directory.breaker import Breaker
from idp.directory.deadline import Deadline, TooLate
from idp.directory.patience import Patience
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret
from idp.watch import asking

_ACCEPT = {"json": "application/json", "xml": "text/xml"}
_CHUNK = 64 * 1024
_PAUSE = 1  # seconds after a 429 that does not say how long (facts on iMIS, 12 row 14)
_LONGEST_PAUSE = 3600


@dataclass(frozen=True)
class Call:
    """A request. `what` names it in logs: `path` and the rest may hold personal data or a password, and stay out of them."""

    what: str
    method: str
    path: str = field(repr=False)
    query: Mapping[str, str] | Sequence[tuple[str, str]] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    xml: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    answer: Literal["json", "xml"] = "json"
    """What must come back."""

    def url(self, base: str) -> str:
        return f"{base}{self.path}" + (f"?{urlencode(self.query)}" if self.query else "")

    def content(self) -> tuple[bytes | None, dict[str, str]]:
        """The body and the header that goes with it."""
        if self.form is not None:
            return urlencode(self.form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
        if self.json is not None:
            return json.dumps(self.json).encode(), {"Content-Type": "application/json"}
        if self.xml is not None:
            return self.xml, {"Content-Type": "text/xml; charset=utf-8"}
        return None, {}


@dataclass(frozen=True)
class Reply:
    """iMIS's own answer: 2xx with JSON, or with XML as bytes where that was asked for, or a 4xx with JSON or None."""

    status: int
    body: Any = field(default=None, repr=False)


class ImisHttp:
    """The connections to one iMIS. Threads may share it."""

    def __init__(self, settings: ImisRestSettings, *, now: Now, base: str = "") -> None:
        self._base = base or settings.base
        self._connect_timeout = settings.connect_timeout
        self._max_body = settings.max_body
        ca_certs = str(settings.ca_file) if settings.ca_file else None
        self._pool = urllib3.PoolManager(maxsize=settings.max_concurrent, retries=False, ca_certs=ca_certs)
        self._breaker = Breaker(now=now)
        self._patience = Patience(usual=settings.call_timeout, short=settings.late_timeout)
        self._pause = _Pause(settings.wait_timeout, now=now)

    def send(self, call: Call, *, token: Secret | None, deadline: Deadline) -> Reply:
        """Asks once. Raises DirectoryUnavailable for everything that is not an answer of iMIS's own; 401 and 404 are answers."""
        self._pause.sit_out(deadline)
        with self._breaker.watched(), self._patience.question(call.what) as seconds, asking(call.what, self._base) as answered:
            status, headers, body = self._exchange(call, token, deadline.within(seconds))
            answered(status)
            reply = _read(call, status, headers, body)
        if status == 429:
            self._pause.begin(call, headers.get("Retry-After"))
        return reply

    @property
    def state(self) -> LineState:
        return self._breaker.state

    def is_late(self) -> bool:
        """Whether iMIS leaves questions unanswered just now."""
        return self._patience.is_late()

    def _exchange(self, call: Call, token: Secret | None, deadline: Deadline) -> tuple[int, Mapping[str, str], bytes]:
        content, headers = call.content()
        headers |= {"Accept": _ACCEPT[call.answer], "Accept-Encoding": "identity", **call.headers}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
        left = deadline.left()
        timeout = urllib3.Timeout(connect=min(self._connect_timeout, left), read=left)
        try:
            response = self._pool.request(
                call.method, call.url(self._base), body=content, headers=headers, timeout=timeout, redirect=False, preload_content=False
            )
            try:
                return response.status, response.headers, self._body(response, call, deadline)
            finally:
                response.close()  # gives nothing back that was not read to its end; a connection that was is in the pool again by now
        except exceptions.HTTPError as error:
            if isinstance(error, exceptions.TimeoutError) and not isinstance(error, exceptions.NewConnectionError):
                raise TooLate(f"{call.what}: {_cause(error)}") from None
            raise DirectoryUnavailable(f"{call.what}: {_cause(error)}") from None  # its text may hold the address with a user name

    def _body(self, response: urllib3.BaseHTTPResponse, call: Call, deadline: Deadline) -> bytes:
        """The body in pieces: neither its size nor a slow drip can hold us."""
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise DirectoryUnavailable(f"{call.what}: a compressed answer, which was not asked for")
        body = b""
        while len(body) <= self._max_body:
            piece = response.read1(_CHUNK, decode_content=False)
            if not piece:
                return body
            body += piece
            deadline.left()
        raise DirectoryUnavailable(f"{call.what}: an answer of more than {self._max_body} bytes")


class _Pause:
    """Retry-After, honoured: until then nothing is asked. Short ones are sat out, longer ones are told to the member (F13)."""

    def __init__(self, longest_wait: float, *, now: Now) -> None:
        self._longest_wait = longest_wait
        self._now = now
        self._lock = threading.Lock()
        self._until = 0

    def begin(self, call: Call, retry_after: str | None) -> NoReturn:
        seconds = _seconds(retry_after, self._now())
        with self._lock:
            self._until = max(self._until, self._now() + seconds)
        raise DirectoryUnavailable(f"{call.what}: status 429, too many requests", retry_after=seconds)

    def sit_out(self, deadline: Deadline) -> None:
        with self._lock:
            left = self._until - self._now()
        if left > self._longest_wait:
            raise DirectoryUnavailable("not asked: iMIS said 429, too many requests", retry_after=left)
        if left > 0:
            deadline.sleep(left)


def _seconds(retry_after: str | None, now: int) -> int:
    """Retry-After as seconds from now: a number or a date (RFC 9110, 10.2.3)."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        seconds = int(text[:9])
    else:
        try:
            seconds = int(email.utils.parsedate_to_datetime(text).timestamp()) - now
        except (ValueError, OverflowError):
            seconds = _PAUSE
    return min(max(seconds, _PAUSE), _LONGEST_PAUSE)


def _read(call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """Tells an answer of iMIS's own from everything else that may come (F12)."""
    content_type = headers.get("Content-Type", "").split(";")[0].strip().lower()
    if call.answer == "xml":
        return _read_xml(call, status, content_type, body)
    is_json = content_type in ("application/json", "text/json") or content_type.endswith("+json")
    if 200 <= status < 300:
        if not is_json:
            raise DirectoryUnavailable(f"{call.what}: status {status} with {_name(content_type)} in place of JSON")
        return Reply(status, _parse(call, body))
    if status in (401, 403, 429):
        return Reply(status)
    if 400 <= status < 500 and "html" not in content_type:  # a page of HTML with 404 is a proxy's or a maintenance notice
        return Reply(status, _parse(call, body) if is_json and body.strip() else None)
    raise DirectoryUnavailable(f"{call.what}: status {status}, {_name(content_type)}")


def _read_xml(call: Call, status: int, content_type: str, body: bytes) -> Reply:
    """SOAP 1.1 answers 200 with text/xml; a fault is 500 (SOAP 1.1, 6.2), and never "wrong password"."""
    if status == 429:
        return Reply(status)
    if status != 200 or content_type not in ("text/xml", "application/xml", "application/soap+xml"):
        raise DirectoryUnavailable(f"{call.what}: status {status}, {_name(content_type)} in place of XML")
    return Reply(status, body)


def _name(content_type: str) -> str:
    known = content_type.isascii() and content_type.isprintable() and len(content_type) < 60
    return (content_type if known else "an odd content type") or "no content type"


def _parse(call: Call, body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError; RecursionError: nested too deep
        raise DirectoryUnavailable(f"{call.what}: {'JSON that cannot be read' if body.strip() else 'an empty answer'}") from None


def _cause(error: Exception) -> str:
    """What went wrong, in words (F17), without the text of the error."""
    reason = error.args[0] if error.args else None
    if isinstance(error, exceptions.SSLError):
        detail = reason.verify_message if isinstance(reason, ssl.SSLCertVerificationError) else "handshake failed"
        return f"TLS, {detail}"
    causes: tuple[tuple[type[Exception], str], ...] = (
        (exceptions.NameResolutionError, "the host name cannot be resolved"),
        (exceptions.ConnectTimeoutError, "no connection in time"),
        (exceptions.NewConnectionError, "no connection: refused or unreachable"),
        (exceptions.ReadTimeoutError, "no answer in time"),
        (exceptions.IncompleteRead, "the answer broke off"),
        (exceptions.ProtocolError, "the connection broke"),
    )
    return next((words for kind, words in causes if isinstance(error, kind)), type(error).__name__)
