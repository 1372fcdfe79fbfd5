"""The one guarded door for calls to vendors: logout notices, metadata, jwks_uri. Others wrote the URLs, so the door decides (V47).

A host name is resolved once, every address of it is checked, and the connection goes to an address that was checked: a name
that answers differently a moment later (DNS rebinding) gains nothing. No redirect is followed, but those of a download, each of which
goes through the same door; no proxy of the environment is used, and neither a slow nor an endless answer holds us longer or fills us
fuller than the settings say.
"""

from __future__ import annotations

import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from contextvars import copy_context
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlencode, urljoin, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from idp.audit import Audit
from idp.errors import ConfigError, IdpError
from idp.sso.notice import BackChannel, Letter, Outcome
from idp.watch import asking
from idp.web.public_address import may_call
from idp.web.settings import OutboundSettings

_MOST_AT_ONCE = 32
_LAST_WORD = 0.2  # seconds: whoever was cut off at the deadline says so
_PIECE = 65536
_HEADERS = {"User-Agent": "imis-idp", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
_PRINTABLE = re.compile(r"[!-~]{1,2000}")
_MOVED = (301, 302, 303, 307, 308)
_MOST_HOPS = 4
_UNCHANGED = 304

Resolve = Callable[[str, int], Sequence[str]]
"""The network addresses of a host name. Raises OSError when there is none."""


class OutboundRefused(IdpError):
    """The URL leads where our server does not go; nothing was sent."""


class OutboundFailed(IdpError):
    """The other server did not answer as it should."""

    status = 502


@dataclass(frozen=True)
class Download:
    """How a download ended: whether there was anything new, and what to show the server next time (RFC 9110 section 13)."""

    new: bool
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True)
class _Target:
    scheme: str
    host: str
    port: int
    host_header: str
    path: str


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """As the system's resolver has it, /etc/hosts included."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Outbound:
    """Implements `sso.notice.Messenger`; several threads may use it."""

    def __init__(self, settings: OutboundSettings, audit: Audit, *, resolve: Resolve = resolve_by_system) -> None:
        self._settings = settings
        self._audit = audit
        self._resolve = resolve
        self._tls = _trust(os.environ.get("REQUESTS_CA_BUNDLE", ""))

    def get(self, url: str) -> bytes:
        """What is at the URL. Raises OutboundRefused, OutboundFailed."""
        with self._asked("GET", url, None, {}) as response:
            return self._body(response, url)

    def download(self, url: str, into: BinaryIO, *, max_bytes: int, seconds: float, etag: str = "", modified: str = "") -> Download:
        """Writes what is at the URL into a file, unless the server says that it is what we have. Raises OutboundRefused, OutboundFailed.

        Redirects are followed (IIP-MD02), from https to https only; `seconds` is for all of it. After a failure the file holds rubbish.
        """
        headers = _given({"If-None-Match": etag, "If-Modified-Since": modified})
        ends = time.monotonic() + seconds
        for _ in range(_MOST_HOPS):
            with self._asked("GET", url, None, headers, seconds=ends - time.monotonic(), check=_check_download) as response:
                if response.status in _MOVED:
                    url = _next_hop(url, response.headers.get("Location", ""))
                    continue
                kept = Download(response.status != _UNCHANGED, response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
                if kept.new:
                    self._pour(response, into, url, max_bytes=max_bytes)
                return kept
        raise _failed("outbound.redirected", "The other server sends us on and on.", url, f"> {_MOST_HOPS} times")

    def post(self, url: str, fields: Mapping[str, str], *, seconds: float | None = None) -> None:
        """Posts a form; any answer of 200 to 299 is good. Raises OutboundRefused, OutboundFailed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with self._asked("POST", url, urlencode(fields).encode(), headers, seconds=seconds):
            pass  # the status says it all

    def send(self, url: str, letter: Letter, *, seconds: float | None = None) -> None:
        """Posts a letter; the answer is good if the letter's own check says so. Raises OutboundRefused, OutboundFailed."""
        with self._asked("POST", url, letter.body, {"Content-Type": letter.content_type}, seconds=seconds) as response:
            accepted = letter.accepts(self._body(response, url))
        if not accepted:
            raise _failed("outbound.not_accepted", "The other server did not say that it did as it was told.", url)

    def deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        """Posts all at once. A server whose name does not even resolve in time counts as one that did not answer, and so do those of more
        than 32 whose turn does not come."""
        if not notices:
            return []
        deadline = time.monotonic() + within
        pool = ThreadPoolExecutor(max_workers=min(len(notices), _MOST_AT_ONCE), thread_name_prefix="notice")
        sent = [pool.submit(copy_context().run, self._deliver_one, notice, deadline) for notice in notices]  # each knows its request
        wait(sent, timeout=within + _LAST_WORD)
        pool.shutdown(wait=False, cancel_futures=True)
        return [self._outcome(notice, future) for notice, future in zip(notices, sent, strict=True)]

    def _deliver_one(self, notice: BackChannel, deadline: float) -> IdpError | None:
        seconds = min(self._settings.timeout, deadline - time.monotonic())
        try:
            if notice.letter is None:
                self.post(notice.url, notice.fields, seconds=seconds)
            else:
                self.send(notice.url, notice.letter, seconds=seconds)
        except (OutboundRefused, OutboundFailed) as error:
            return error
        return None

    def _outcome(self, notice: BackChannel, future: Future[IdpError | None]) -> Outcome:
        if not future.done() or future.cancelled():
            error: IdpError | None = _failed("outbound.timeout", "The other server did not answer in time.", notice.url)
        else:
            error = future.result()
        if error is not None:
            self._audit.record("outbound.failed", cause=error.cause, server=_server(notice.url), received=error.received)
        return Outcome(error is None, error.cause if error else "")

    @contextmanager
    def _asked(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        seconds: float | None = None,
        check: Callable[[BaseHTTPResponse, str], None] | None = None,
    ) -> Iterator[BaseHTTPResponse]:
        """The answer to one request, good so far as its status goes. The connection lives no longer than this."""
        target = self._target(url)
        with asking(method, _server(url)) as answered:
            deadline = time.monotonic() + (self._settings.timeout if seconds is None else seconds)
            connection = self._connected(target, self._addresses(target, url), url, deadline)
            held = connection.sock  # the connection lets go of it where the server announces that it will close
            sent = {**_HEADERS, **headers, "Host": target.host_header}
            try:
                with _cut_off_at(deadline, held):
                    connection.request(method, target.path, body=body, headers=sent, preload_content=False, decode_content=False)
                    with closing(connection.getresponse()) as response:
                        answered(response.status)
                        (check or _check_status)(response, url)
                        yield response
                    if time.monotonic() >= deadline:  # an answer without a length that was cut off looks like a whole one
                        raise TimeoutError
            except (OSError, HTTPError, http.client.HTTPException) as error:
                reason = type(error).__name__
                raise _failed(_cause_of(error, deadline), "The other server did not answer as it should.", url, reason) from None
            finally:
                connection.close()

    def _target(self, url: str) -> _Target:
        """The URL's parts. Raises OutboundRefused when it is not one that we ask."""
        schemes = ("https", "http") if self._settings.allow_private else ("https",)
        try:
            parts = urlsplit(url) if _PRINTABLE.fullmatch(url) else None
            port = parts.port if parts else None
        except ValueError:
            parts = port = None
        if parts is None or parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or "\\" in url:
            raise OutboundRefused(
                "outbound.url_refused",
                "Our server does not call this address.",
                expected=f"{' or '.join(schemes)}://host/path without a user name",
                received=_server(url),
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return _Target(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80), parts.netloc, path)

    def _addresses(self, target: _Target, url: str) -> Sequence[str]:
        """The host's addresses, all of them checked. Raises OutboundRefused, OutboundFailed."""
        try:
            found = self._resolve(target.host, target.port)
        except (OSError, UnicodeError):
            found = ()
        if not found:
            raise _failed("outbound.name_unknown", "The other server's name leads nowhere.", url)
        for address in found:
            if not may_call(address, allow_private=self._settings.allow_private):
                raise OutboundRefused(
                    "outbound.address_refused",
                    "Our server does not call this address.",
                    expected="a public address; outbound.allow_private allows private ones",
                    received=f"{target.host} is at {address}",
                )
        return found

    def _connected(self, target: _Target, addresses: Sequence[str], url: str, deadline: float) -> HTTPConnection:
        """A connection to the first address that takes one."""
        deadline = min(deadline, time.monotonic() + self._settings.connect_timeout)
        failure: Exception | None = None
        for address in addresses:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            connection = self._connection(target, address, timeout=left)
            try:
                connection.connect()  # of a TLS handshake, too, the timeout is that of the whole: it need not be cut off
                connection.timeout = self._settings.timeout
                return connection
            except (OSError, HTTPError) as error:
                failure = error
                connection.close()
        failure = failure or TimeoutError()
        raise _failed(_cause_of(failure, deadline), "The other server cannot be reached.", url, type(failure).__name__)

    def _connection(self, target: _Target, address: str, *, timeout: float) -> HTTPConnection:
        if target.scheme == "http":
            return HTTPConnection(address, target.port, timeout=timeout)
        # The certificate is asked of the name in the URL, though the connection goes to the address that was checked.
        return HTTPSConnection(address, target.port, timeout=timeout, ssl_context=self._tls, server_hostname=target.host)

    def _body(self, response: BaseHTTPResponse, url: str) -> bytes:
        body = io.BytesIO()
        self._pour(response, body, url, max_bytes=self._settings.max_bytes)
        return body.getvalue()

    def _pour(self, response: BaseHTTPResponse, into: BinaryIO, url: str, *, max_bytes: int) -> None:
        if response.headers.get("Content-Encoding", "identity") != "identity":  # what unpacks may unpack to anything
            raise _failed("outbound.encoded", "The other server packed its answer, though it was asked not to.", url)
        size = 0
        while piece := response.read(_PIECE):  # only a read that finds nothing notices that the answer was shorter than announced
            size += len(piece)
            if size > max_bytes:
                raise _failed("outbound.too_large", "The other server's answer is too large.", url, f"> {max_bytes} bytes")
            into.write(piece)


def _check_status(response: BaseHTTPResponse, url: str) -> None:
    if 300 <= response.status < 400:
        raise _failed("outbound.redirected", "The other server sends us elsewhere; we do not follow.", url, str(response.status))
    if not 200 <= response.status < 300:
        raise _failed("outbound.status", "The other server said no.", url, str(response.status))


def _check_download(response: BaseHTTPResponse, url: str) -> None:
    if response.status not in (*_MOVED, _UNCHANGED):
        _check_status(response, url)


def _next_hop(url: str, location: str) -> str:
    """Where a redirect leads. Raises OutboundRefused when it leaves https; the rest is looked at as any URL is."""
    further = urljoin(url, location)
    if not location or (url.startswith("https:") and not further.startswith("https:")):
        raise OutboundRefused(
            "outbound.url_refused", "Our server does not call this address.", expected="a redirect to https", received=_server(further)
        )
    return further


def _given(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that have a value which a header can carry: servers chose them."""
    return {name: value for name, value in headers.items() if value.isascii() and value.isprintable() and 0 < len(value) <= 500}


@contextmanager
def _cut_off_at(deadline: float, held: socket.socket) -> Iterator[None]:
    """Shuts the socket down at the deadline. A timeout of the socket alone begins anew with every byte that drips in."""
    alarm = threading.Timer(max(0.0, deadline - time.monotonic()), _cut_off, args=(held,))
    alarm.daemon = True
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _cut_off(held: socket.socket) -> None:
    # The plain socket's own method: that of a TLS socket would pull the session from under the thread that reads.
    with suppress(OSError):  # it was closed a moment ago
        socket.socket.shutdown(held, socket.SHUT_RDWR)


def _cause_of(error: Exception, deadline: float) -> str:
    timed_out = isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError) and not isinstance(error, NewConnectionError)
    if timed_out or time.monotonic() >= deadline:
        return "outbound.timeout"
    return "outbound.tls" if isinstance(error, ssl.SSLError) else "outbound.connection"


def _trust(bundle: str) -> ssl.SSLContext:
    """The system's authorities; OpenSSL reads SSL_CERT_FILE by itself. A bundle, file or folder, as REQUESTS_CA_BUNDLE names it, stands
    in their place: that is what administrators of Python servers often set. Raises ConfigError."""
    try:
        if os.path.isdir(bundle):
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle or None)
    except OSError as error:
        raise ConfigError([f"REQUESTS_CA_BUNDLE names {bundle}, which cannot be read: {type(error).__name__}"]) from None


def _failed(cause: str, message: str, url: str, detail: str = "") -> OutboundFailed:
    return OutboundFailed(cause, message, received=f"{_server(url)} {detail}".strip())


def _server(url: str) -> str:
    """Scheme and host of a URL: the rest may hold what is not for logs."""
    return "/".join(url.partition("?")[0].split("/")[:3]).rpartition("@")[2][:100]
