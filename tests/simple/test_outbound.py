"""The guarded door: which addresses our server calls, whom it believes, and how long and how much it bears."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from idp.errors import ConfigError
from idp.sso.notice import BackChannel, Letter, Outcome
from idp.web.outbound import Outbound, OutboundFailed, OutboundRefused
from idp.web.public_address import may_call
from idp.web.settings import OutboundSettings

from .wiring import Events

HEARD = Outcome(True)
QUICK = OutboundSettings(allow_private=True, connect_timeout=1, timeout=1, max_bytes=1000)


class Server:
    """An HTTP server on loopback; `answer` writes what it likes."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None], tls: ssl.SSLContext | None = None) -> None:
        seen = self.seen = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length).decode()))
                answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # we hang up on it in many a test
        self.http.block_on_close = False
        if tls:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Listener:
    """A port that must not be called."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.create_server((address, 0), family=family)
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def was_called(self) -> bool:
        try:
            self.socket.accept()[0].close()
        except BlockingIOError:
            return False
        return True


MakeServer = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[MakeServer]:
    made: list[Server] = []

    def make(answer: Callable[[BaseHTTPRequestHandler], None] | None = None, tls: ssl.SSLContext | None = None) -> Server:
        made.append(Server(answer or say(200, b"hello"), tls))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    listening = Listener()
    yield listening
    listening.socket.close()


def say(status: int, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def door(settings: OutboundSettings = QUICK, *, at: Sequence[str] = ("127.0.0.1",)) -> Outbound:
    """A door for which every name is at these addresses."""
    return Outbound(settings, Events(), resolve=lambda _host, _port: at)


NOT_OURS_TO_CALL = [
    "https://127.0.0.1:{port}/",
    "https://127.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://0.0.0.0:{port}/",
    "https://0:{port}/",
    "https://localhost:{port}/",
    "https://LOCALHOST:{port}/",
    "https://localhost.:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://[::127.0.0.1]:{port}/",
    "https://[::]:{port}/",
    "https://[64:ff9b::7f00:1]:{port}/",
    "https://[2002:7f00:1::]:{port}/",
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "https://user@127.0.0.1:{port}/",
    "https://login.example.org:{port}@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@login.example.org/",
    "https://127.0.0.1:{port}#@login.example.org/",
    "//127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/\r\nHost: x",
    "https://127.0.0.1:99999/",
    "https://",
    "",
]


@pytest.mark.parametrize("url", NOT_OURS_TO_CALL)
def test_V47_nothing_on_this_machine_is_called(url: str, listener: Listener) -> None:
    outbound = Outbound(OutboundSettings(), Events())
    with pytest.raises((OutboundRefused, OutboundFailed)) as caught:
        outbound.get(url.format(port=listener.port))
    assert caught.value.cause in ("outbound.address_refused", "outbound.url_refused", "outbound.name_unknown")
    assert not listener.was_called()


def test_V47_the_listener_of_these_tests_can_be_called(listener: Listener) -> None:
    with pytest.raises(OutboundFailed):
        door().get(f"http://vendor.example:{listener.port}/")
    assert listener.was_called()


@pytest.mark.parametrize("at", [("127.0.0.1",), ("8.8.8.8", "127.0.0.1"), ("127.0.0.1", "8.8.8.8"), ("fe80::1%lo",), ("169.254.169.254",)])
def test_V47_a_name_is_refused_if_any_of_its_addresses_is_not_public(at: tuple[str, ...], listener: Listener) -> None:
    with pytest.raises(OutboundRefused) as caught:
        door(OutboundSettings(), at=at).get(f"https://vendor.example:{listener.port}/")
    assert caught.value.cause == "outbound.address_refused"
    assert not listener.was_called()


def test_V47_a_name_is_resolved_once_and_called_at_the_address_that_was_checked(serve: MakeServer, listener: Listener) -> None:
    server = serve()
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["::1"]

    assert Outbound(QUICK, Events(), resolve=rebinding).get(f"http://vendor.example:{server.port}/") == b"hello"
    assert asked == ["vendor.example"]


PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "127.255.255.254", "::1", "fd12::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"]
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::",
    "fd00:ec2::254",
    "100.100.100.200", "100.64.0.1", "192.0.0.192", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::",
    "::8.8.8.8", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "2001:0:1::1", "64:ff9b:1::1", "4000::1", "", "localhost", "127.1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_V47_public_addresses_may_be_called(address: str) -> None:
    assert may_call(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_V47_private_addresses_only_when_allowed(address: str) -> None:
    assert (may_call(address, allow_private=False), may_call(address, allow_private=True)) == (False, True)


@pytest.mark.parametrize("address", NEVER)
def test_V47_some_addresses_never(address: str) -> None:
    assert (may_call(address, allow_private=False), may_call(address, allow_private=True)) == (False, False)


def test_a_name_that_leads_nowhere_is_said_to(listener: Listener) -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(OutboundFailed) as caught:
        Outbound(QUICK, Events(), resolve=unknown).get("https://vendor.example/")
    assert caught.value.cause == "outbound.name_unknown"


def test_the_next_address_is_tried_when_one_does_not_answer(serve: MakeServer) -> None:
    assert door(at=("127.0.0.2", "127.0.0.1")).get(f"http://vendor.example:{serve().port}/") == b"hello"


def test_V47_a_redirect_is_not_followed(serve: MakeServer, listener: Listener) -> None:
    server = serve(say(302, Location=f"http://127.0.0.1:{listener.port}/"))
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"http://vendor.example:{server.port}/")
    assert caught.value.cause == "outbound.redirected"
    assert not listener.was_called()


def test_V47_proxies_of_the_environment_are_not_used(serve: MakeServer, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    assert door().get(f"http://vendor.example:{serve().port}/") == b"hello"
    assert not listener.was_called()


def test_the_server_sees_the_name_it_was_called_by(serve: MakeServer) -> None:
    server = serve()
    door().get(f"http://vendor.example:{server.port}/a/b?c=d#e")
    ((method, path, headers, _),) = server.seen
    assert (method, path, headers["Host"]) == ("GET", "/a/b?c=d", f"vendor.example:{server.port}")


@pytest.mark.parametrize(
    ("status", "cause"), [(300, "outbound.redirected"), (400, "outbound.status"), (404, "outbound.status"), (503, "outbound.status")]
)
def test_what_is_not_200_to_299_is_no(serve: MakeServer, status: int, cause: str) -> None:
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"http://vendor.example:{serve(say(status)).port}/")
    assert caught.value.cause == cause


def test_an_answer_that_is_larger_than_allowed_is_not_read_on(serve: MakeServer) -> None:
    assert len(door().get(f"http://vendor.example:{serve(say(200, b'x' * 1000)).port}/")) == 1000
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"http://vendor.example:{serve(say(200, b'x' * 1001)).port}/")
    assert caught.value.cause == "outbound.too_large"


def test_an_endless_answer_in_chunks_is_not_read_on(serve: MakeServer) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")

    with pytest.raises(OutboundFailed) as caught:
        door().get(f"http://vendor.example:{serve(endless).port}/")
    assert caught.value.cause == "outbound.too_large"


def test_a_packed_answer_is_not_unpacked(serve: MakeServer) -> None:
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"http://vendor.example:{serve(say(200, b'x', Content_Encoding='gzip')).port}/")
    assert caught.value.cause == "outbound.encoded"


def test_a_broken_answer_is_a_failure(serve: MakeServer) -> None:
    for nonsense in (b"nonsense\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"):

        def answer(handler: BaseHTTPRequestHandler, nonsense: bytes = nonsense) -> None:
            handler.wfile.write(nonsense)
            handler.close_connection = True

        with pytest.raises(OutboundFailed) as caught:
            door().get(f"http://vendor.example:{serve(answer).port}/")
        assert caught.value.cause == "outbound.connection"


def drip(head: bytes, drop: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    """Byte after byte, each soon enough for a timeout that begins anew with every one."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while True:
            handler.wfile.write(drop)
            gone.wait(0.05)

    gone = threading.Event()
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"),
        drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", b"x"),
        drip(b"HTTP/1.0 200 OK\r\n\r\n", b"x"),
        drip(b"", b""),
    ],
    ids=["headers that do not end", "a body that does not end", "a body without a length", "silence"],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_V47_a_server_that_drips_is_cut_off(serve: MakeServer, authority: Authority, answer: Callable[..., None], scheme: str) -> None:
    server = serve(answer, authority.server_context("vendor.example") if scheme == "https" else None)
    with pytest.raises(OutboundFailed) as caught:
        authority.door().get(f"{scheme}://vendor.example:{server.port}/")
    assert caught.value.cause == "outbound.timeout"


def test_V47_a_server_that_does_not_take_part_in_the_handshake_is_cut_off(listener: Listener) -> None:
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"https://vendor.example:{listener.port}/")
    assert caught.value.cause == "outbound.timeout"


def test_V47_a_server_that_drips_in_the_handshake_is_cut_off(listener: Listener) -> None:
    over = threading.Event()

    def answer() -> None:
        over.wait(0.2)  # until the listener, which does not wait, has somebody to accept
        caller = listener.socket.accept()[0]
        with caller, suppress(OSError):
            caller.sendall(b"\x16\x03\x03\x40\x00")  # a handshake record of 16 KiB is announced
            while not over.wait(0.05):
                caller.sendall(b"x")

    dripping = threading.Thread(target=answer)
    dripping.start()
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"https://vendor.example:{listener.port}/")
    over.set()
    dripping.join()
    assert caught.value.cause == "outbound.timeout"


class Authority:
    """A certificate authority of the test's own, and a door that believes it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.file = folder / "authority.pem"
        may_sign = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        is_authority = x509.BasicConstraints(ca=True, path_length=None)
        self.file.write_bytes(self._signed(self._name, self._key.public_key(), is_authority, may_sign))

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(self._name).public_key(key).serial_number(x509.random_serial_number())
        )
        builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        # Python 3.13 verifies as RFC 5280 has it: without these two no chain is built
        identifiers = (
            x509.SubjectKeyIdentifier.from_public_key(key),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
        )
        for extension in (*extensions, *identifiers):
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints | x509.KeyUsage))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server_context(self, host: str) -> ssl.SSLContext:
        """A server's TLS with a certificate for the host."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        file = self._folder / f"{host}.pem"
        file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + self._signed(name, key.public_key(), x509.SubjectAlternativeName([x509.DNSName(host)]))
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def door(self, variable: str = "SSL_CERT_FILE") -> Outbound:
        self._monkeypatch.setenv(variable, str(self.file))
        return door()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    return Authority(tmp_path, monkeypatch)


@pytest.mark.parametrize(("accepted", "asked"), [(True, b"hello"), (False, b"other")])
def test_a_letter_counts_as_heard_only_if_its_answer_says_so(serve: MakeServer, accepted: bool, asked: bytes) -> None:
    server = serve()
    letter = Letter(b"<a/>", "text/xml", lambda answer: answer == asked)
    notice = BackChannel(f"http://vendor.example:{server.port}/soap", {}, letter=letter)
    (outcome,) = door(OutboundSettings(allow_private=True)).deliver([notice], within=1)
    assert outcome == Outcome(accepted, "" if accepted else "outbound.not_accepted")
    command, path, headers, body = server.seen[0]
    assert (command, path, headers["Content-Type"], body) == ("POST", "/soap", "text/xml", "<a/>")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_an_authority_is_believed_by_the_usual_variables(serve: MakeServer, authority: Authority, variable: str) -> None:
    server = serve(tls=authority.server_context("vendor.example"))
    assert authority.door(variable).get(f"https://vendor.example:{server.port}/") == b"hello"


def test_a_bundle_that_is_not_there_is_said_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        door()


def test_a_certificate_for_another_name_is_refused(serve: MakeServer, authority: Authority) -> None:
    server = serve(tls=authority.server_context("other.example"))
    with pytest.raises(OutboundFailed) as caught:
        authority.door().get(f"https://vendor.example:{server.port}/")
    assert caught.value.cause == "outbound.tls"
    assert server.seen == []


def test_a_certificate_of_an_unknown_authority_is_refused(serve: MakeServer, authority: Authority) -> None:
    server = serve(tls=authority.server_context("vendor.example"))
    with pytest.raises(OutboundFailed) as caught:
        door().get(f"https://vendor.example:{server.port}/")
    assert caught.value.cause == "outbound.tls"


def test_S45_plain_http_is_refused_unless_private_addresses_are_allowed() -> None:
    with pytest.raises(OutboundRefused) as caught:
        door(OutboundSettings(), at=("8.8.8.8",)).get("http://vendor.example/")
    assert caught.value.cause == "outbound.url_refused"


def test_a_notice_is_a_form_that_is_posted(serve: MakeServer) -> None:
    server = serve(say(204))
    notice = BackChannel(f"http://vendor.example:{server.port}/gone?x=1", {"logout_token": "a.b+c/d=&e"})
    assert door().deliver([notice], within=1) == [HEARD]
    ((method, path, headers, body),) = server.seen
    assert (method, path, headers["Content-Type"]) == ("POST", "/gone?x=1", "application/x-www-form-urlencoded")
    assert parse_qs(body) == {"logout_token": ["a.b+c/d=&e"]}


def test_S47_notices_go_out_together(serve: MakeServer) -> None:
    """Each of eight servers answers only when all have been called."""
    together = threading.Barrier(8)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        together.wait(5)
        say(200)(handler)

    server = serve(answer)
    notices = [BackChannel(f"http://v{i}.example:{server.port}/", {}) for i in range(8)]
    assert door(OutboundSettings(allow_private=True)).deliver(notices, within=5) == [HEARD] * 8


def test_S47_a_dead_vendor_holds_up_nobody_and_each_gets_its_own_result(serve: MakeServer, listener: Listener) -> None:
    events = Events()
    outbound = Outbound(QUICK, events, resolve=lambda host, _: ["127.0.0.1"] if host != "private.example" else ["169.254.169.254"])
    urls = [
        f"http://good.example:{serve().port}/",
        f"http://no.example:{serve(say(500)).port}/secret-path?secret=query",
        f"http://silent.example:{listener.port}/",
        "http://private.example/",
        "http://user:secret-password@good.example/",
        f"http://good.example:{serve().port}/",
    ]
    outcomes = outbound.deliver([BackChannel(url, {"logout_token": "secret-token"}) for url in urls], within=1)
    assert [each.heard for each in outcomes] == [True, False, False, False, False, True]
    causes = [line["cause"] for line in events.of("outbound.failed")]
    assert causes == ["outbound.status", "outbound.timeout", "outbound.address_refused", "outbound.url_refused"]
    assert causes == [each.cause for each in outcomes if not each.heard]
    assert "secret" not in str(events.lines)


def test_S47_a_name_that_does_not_resolve_in_time_holds_up_nobody(serve: MakeServer) -> None:
    never = threading.Event()

    def resolve(host: str, port: int) -> Sequence[str]:
        if host == "slow.example":
            never.wait(20)
        return ["127.0.0.1"]

    outbound = Outbound(QUICK, Events(), resolve=resolve)
    port = serve().port
    outcomes = outbound.deliver([BackChannel(f"http://{host}.example:{port}/", {}) for host in ("slow", "quick")], within=1)
    assert outcomes == [Outcome(False, "outbound.timeout"), HEARD]
    never.set()


def test_many_more_notices_than_go_out_at_once_all_go_out(serve: MakeServer) -> None:
    port = serve().port
    notices = [BackChannel(f"http://vendor.example:{port}/", {})] * 70
    assert door(OutboundSettings(allow_private=True, connect_timeout=10)).deliver(notices, within=10) == [HEARD] * 70


def test_no_notices_are_no_work() -> None:
    assert door().deliver([], within=1) == []
