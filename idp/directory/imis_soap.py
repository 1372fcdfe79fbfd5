"""iMIS's membership web service (facts on iMIS, 7.2): SOAP 1.1 over our own connections, with their deadlines, limits and breaker.

Public material names neither namespace nor actions, so zeep reads them from the WSDL and writes the messages. Answers are read here, by
local name: zeep takes every text that is not "true" for false, and a broken answer must not be a wrong password (F12).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import zeep
from zeep.loader import parse_xml
from zeep.transports import Transport
from zeep.wsdl.bindings import Soap11Binding
from zeep.wsdl.utils import etree_to_string

from idp.clock import Now
from idp.directory import DirectoryUnavailable, LineState
from idp.directory.deadline import Deadline
from idp.directory.imis_http import Call, ImisHttp
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret

_COOKIE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,4096}")  # RFC 6265, 4.1.1
_HOUR = 3600
_T = TypeVar("_T")
_PARSING = zeep.Settings(strict=True, raw_response=True, forbid_dtd=True, forbid_entities=True, forbid_external=True)


@dataclass(frozen=True)
class _Errand:
    """What a message needs to know besides its text."""

    what: str
    deadline: Deadline
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class MembershipService:
    """One membership service. Threads may share it. Every method raises DirectoryUnavailable."""

    def __init__(self, settings: ImisRestSettings, *, now: Now) -> None:
        self._address = f"{settings.site_url}{settings.soap_path}"
        self._cookie_name = settings.login_cookie or "Login"
        self._transport = _Door(ImisHttp(settings, now=now, base=settings.site_url), settings.soap_path, self._address)
        self._now = now
        self._stale_at = 0
        self._lock = threading.Lock()
        self._client: zeep.Client | None = None

    @property
    def state(self) -> LineState:
        """Of the line to iMIS."""
        return self._transport.state

    def is_late(self) -> bool:
        """Whether iMIS leaves questions unanswered just now."""
        return self._transport.is_late()

    def call(self, operation: str, arguments: Mapping[str, Any], deadline: Deadline, *, cookie: Secret | None = None) -> list[str] | None:
        """The texts in the operation's result, asked once (F13); None where it has no result, which is .NET's null."""
        client = self._described(deadline)
        headers = {"Cookie": f"{self._cookie_name}={cookie.reveal()}"} if cookie else {}
        errand = _Errand(f"{operation} of the membership service", deadline, headers)
        with self._transport.errand(errand):
            service = client.create_service(_soap11(client), self._address)
            content = self._guard(errand.what, lambda: getattr(service, operation)(**arguments))
        return self._guard(errand.what, lambda: _result(parse_xml(content, self._transport, settings=_PARSING), operation))

    def described(self, deadline: Deadline) -> list[str]:
        """The names of the operations that the WSDL has."""
        client = self._described(deadline)
        return sorted(client.wsdl.bindings[_soap11(client)].all())

    def _described(self, deadline: Deadline) -> zeep.Client:
        """The WSDL, read at the first use and again after an hour, for iMIS may have been upgraded; the old one does while none comes."""
        if not self._lock.acquire(timeout=deadline.left()):
            raise DirectoryUnavailable("the WSDL of the membership service: not read in time")
        try:
            if self._client is None:
                self._client = self._read(deadline)
            elif self._now() >= self._stale_at:
                with suppress(DirectoryUnavailable):
                    self._client = self._read(deadline)
            return self._client
        finally:
            self._lock.release()

    def _read(self, deadline: Deadline) -> zeep.Client:
        self._stale_at = self._now() + _HOUR
        errand = _Errand("the WSDL of the membership service", deadline)
        with self._transport.errand(errand):
            return self._guard(errand.what, self._parse)

    def _parse(self) -> zeep.Client:
        client = zeep.Client(f"{self._address}?WSDL", transport=self._transport, settings=_PARSING)
        _soap11(client)
        return client

    def _guard(self, what: str, work: Callable[[], _T]) -> _T:
        """Whatever a broken WSDL or answer makes of the library: its own errors, lxml's, and Python's."""
        try:
            return work()
        except DirectoryUnavailable:
            raise
        except Exception as error:  # its text may hold what was sent
            raise DirectoryUnavailable(f"{what}: {type(error).__name__}") from None


def cookie_value(cookie: Secret) -> bool:
    """Whether the text can stand in a Cookie header."""
    return _COOKIE.fullmatch(cookie.reveal()) is not None


class _Door(Transport):
    """zeep's way to the network is ours: to one address only, whatever a WSDL says."""

    def __init__(self, http: ImisHttp, path: str, address: str) -> None:  # without zeep's own, which opens a session of requests
        self._http = http
        self._path = path
        self._address = address
        self._errand: ContextVar[_Errand] = ContextVar("errand")
        self.binding_classes = [Soap11Binding]  # of HTTP-POST and SOAP 1.2 nothing is read
        self._close_session = False  # zeep's __del__ asks for it

    @property
    def state(self) -> LineState:
        return self._http.state

    def is_late(self) -> bool:
        return self._http.is_late()

    @contextmanager
    def errand(self, errand: _Errand) -> Iterator[None]:
        token = self._errand.set(errand)
        try:
            yield
        finally:
            self._errand.reset(token)

    def load(self, url: str) -> bytes:
        """The WSDL, and nothing that it refers to."""
        errand = self._errand.get()
        if url != f"{self._address}?WSDL":
            raise DirectoryUnavailable(f"{errand.what}: it refers to other documents")
        return self._send(Call(errand.what, "GET", f"{self._path}?WSDL", answer="xml"))

    def post_xml(self, _address: str, envelope: Any, headers: Mapping[str, str]) -> bytes:
        errand = self._errand.get()
        action = {"SOAPAction": headers.get("SOAPAction", '""'), **errand.headers}
        return self._send(Call(errand.what, "POST", self._path, xml=etree_to_string(envelope), headers=action, answer="xml"))

    def _send(self, call: Call) -> bytes:
        reply = self._http.send(call, token=None, deadline=self._errand.get().deadline)
        assert isinstance(reply.body, bytes)  # imis_http gives nothing else for XML
        return reply.body


def _soap11(client: zeep.Client) -> str:
    """The name of the SOAP 1.1 binding. StopIteration if there is none."""
    return next(str(name) for name, binding in client.wsdl.bindings.items() if isinstance(binding, Soap11Binding))


def _result(envelope: Any, operation: str) -> list[str] | None:
    """The texts of `{operation}Result` in Body (7.2). ValueError if this is no answer to the operation."""
    body = _child(envelope, "Body") if _local(envelope) == "Envelope" else None
    response = _child(body, f"{operation}Response") if body is not None else None
    if response is None:
        raise ValueError("no answer to the operation")
    result = _child(response, f"{operation}Result")
    if result is None:
        return None
    return [(each.text or "").strip() for each in result] if len(result) else [(result.text or "").strip()]


def _child(element: Any, name: str) -> Any:
    return next((each for each in element if _local(each) == name), None)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]
