"""The one guarded door for calls to vendors: logout notices, metadata, jwks_uri. Others wrote the URLs, so the door decides (V47).

A host name is resolved once, every address of it is checked, and the connection goes to an address that was checked: a name
that answers differently a moment later (DNS rebinding) gains nothing. No redirect is followed, no proxy of the environment is used,
and neither a slow nor an endless answer holds us longer or fills us fuller than the settings say.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from idp.audit import Audit
from idp.errors import ConfigError, IdpError
from idp.sso.notice import BackChannel, Letter
from idp.web.public_address import may_call
from idp.web.settings import OutboundSettings

_MOST_AT_ONCE = 32
_PIECE = 65536
_HEADERS = {"User-Agent": "imis-idp", "Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close"}
_PRINTABLE = re.compile(r"[!-~]{1,2000}")

Resolve = Callable[[str, int], Sequence[str]]
"""The network addresses of a host name. Raises OSError when there is none."""


class OutboundRefused(IdpError):
    """The URL leads where our server does not go; nothing was sent."""


class OutboundFailed(IdpError):
    """The other server did not answer as it should."""

    status = 502


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

    def post(self, url: str, fields: Mapping[str, str]) -> None:
        """Posts a form; any answer of 200 to 299 is good. Raises OutboundRefused, OutboundFailed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with self._asked("POST", url, urlencode(fields).encode(), headers):
            pass  # the status says it all

    def send(self, url: str, letter: Letter) -> None:
        """Posts a letter; the answer is good if the letter's own check says so. Raises OutboundRefused, OutboundFailed."""
        with self._asked("POST", url, letter.body, {"Content-Type": letter.content_type}) as response:
            accepted = letter.accepts(self._body(response, url))
        if not accepted:
            raise _failed("outbound.not_accepted", "The other server did not say that it did as it was told.", url)

    def deliver(self, notices: Sequence[BackChannel]) -> list[bool]:
        """Posts all at once. A server whose name does not even resolve in time counts as one that said no."""
        if not notices:
            return []
        pool = ThreadPoolExecutor(max_workers=min(len(notices), _MOST_AT_ONCE), thread_name_prefix="notice")
        sent = [pool.submit(self._deliver_one, notice) for notice in notices]
        rounds = -(-len(notices) // _MOST_AT_ONCE)
        wait(sent, timeout=rounds * (self._settings.timeout + 1))
        pool.shutdown(wait=False, cancel_futures=True)
        return [self._outcome(notice, future) for notice, future in zip(notices, sent, strict=True)]

    def _deliver_one(self, notice: BackChannel) -> IdpError | None:
        try:
            if notice.letter is None:
                self.post(notice.url, notice.fields)
            else:
                self.send(notice.url, notice.letter)
        except (OutboundRefused, OutboundFailed) as error:
            return error
        return None

    def _outcome(self, notice: BackChannel, future: Future[IdpError | None]) -> bool:
        if not future.done() or future.cancelled():
            error: IdpError | None = _failed("outbound.timeout", "The other server did not answer in time.", notice.url)
        else:
            error = future.result()
        if error is not None:
            self._audit.record("outbound.failed", cause=error.cause, server=_server(notice.url), received=error.received)
        return error is None

    @contextmanager
    def _asked(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Iterator[BaseHTTPResponse]:
        """The answer to one request, good so far as its status goes. The connection lives no longer than this."""
        target = self._target(url)
        deadline = time.monotonic() + self._settings.timeout
        connection = self._connected(target, self._addresses(target, url), url)
        held = connection.sock  # the connection lets go of it where the server announces that it will close
        sent = {**_HEADERS, **headers, "Host": target.host_header}
        try:
            with _cut_off_at(deadline, held):
                connection.request(method, target.path, body=body, headers=sent, preload_content=False, decode_content=False)
                with closing(connection.getresponse()) as response:
                    _check_status(response, url)
                    yield response
                if time.monotonic() >= deadline:  # an answer without a length that was cut off looks like a whole one
                    raise TimeoutError
        except (OSError, HTTPError, http.client.HTTPException) as error:
            raise _failed(_cause_of(error, deadline), "The other server did not answer as it should.", url, type(error).__name__) from None
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

    def _connected(self, target: _Target, addresses: Sequence[str], url: str) -> HTTPConnection:
        """A connection to the first address that takes one."""
        deadline = time.monotonic() + self._settings.connect_timeout
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
        if response.headers.get("Content-Encoding", "identity") != "identity":  # what unpacks may unpack to anything
            raise _failed("outbound.encoded", "The other server packed its answer, though it was asked not to.", url)
        body = bytearray()
        while piece := response.read(_PIECE):  # only a read that finds nothing notices that the answer was shorter than announced
            body += piece
            if len(body) > self._settings.max_bytes:
                raise _failed("outbound.too_large", "The other server's answer is too large.", url, f"> {self._settings.max_bytes} bytes")
        return bytes(body)


def _check_status(response: BaseHTTPResponse, url: str) -> None:
    if 300 <= response.status < 400:
        raise _failed("outbound.redirected", "The other server sends us elsewhere; we do not follow.", url, str(response.status))
    if not 200 <= response.status < 300:
        raise _failed("outbound.status", "The other server said no.", url, str(response.status))


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
    timed_out = isinstance(error, ConnectTimeoutError | TimeoutError) and not isinstance(error, NewConnectionError)
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
