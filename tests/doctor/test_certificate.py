"""TLS certificates that end, or that nobody vouches for: ours and iMIS's, at a real server (F17)."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.doctor.house import House

Show = Callable[[int], int]


def write_certificate(path: Path, *, days: int) -> Path:
    """For localhost, good for so many days, signed by itself; with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=days, hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def show(tmp_path: Path) -> Iterator[Show]:
    """Starts a server with a certificate for so many days; its port."""
    with contextlib.ExitStack() as open_sockets:

        def start(days: int) -> int:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(write_certificate(tmp_path / "tls.pem", days=days))
            listening = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
            threading.Thread(target=_shake_hands, args=(listening, context), daemon=True).start()
            port: int = listening.getsockname()[1]
            return port

        yield start


def _shake_hands(listening: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            peer, _ = listening.accept()
            with contextlib.suppress(OSError), peer, context.wrap_socket(peer, server_side=True) as secure:
                secure.recv(1)


@pytest.mark.parametrize(("days", "serious"), [(29, [False]), (0, [True]), (90, [])])
def test_F17_our_own_certificate_is_named_before_it_ends(
    house: House, show: Show, days: int, serious: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    house.put("server", url=f'"https://localhost:{show(days)}"')
    monkeypatch.setenv("SSL_CERT_FILE", str(house.folder / "tls.pem"))
    assert [each.serious for each in house.advice() if each.check == "server.certificate"] == serious


def test_F17_a_certificate_that_nobody_vouches_for_is_named(house: House, show: Show) -> None:
    house.put("server", url=f'"https://localhost:{show(90)}"')
    assert "is not accepted" in house.told("server.certificate")


def test_F17_the_certificate_of_imis_is_named_before_it_ends(house: House, show: Show) -> None:
    port = show(20)
    house.settings["directory"] = {
        "kind": '"imis-rest"',
        "site_url": f'"https://localhost:{port}"',
        "ca_file": '"tls.pem"',
        "service_username": '"sso"',
        "service_password": '{ file = "secret" }',
    }
    assert "ends in 20 days" in house.told("directory.certificate")
