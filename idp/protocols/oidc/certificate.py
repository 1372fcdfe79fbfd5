"""Mutual TLS (RFC 8705): the certificate with which a client's connection was made, as a trusted proxy tells of it.

The proxy asks for client certificates, replaces the header on every request, and for `tls_client_auth` verifies the chain. What it
has not verified still proves a client that registered the certificate itself (`self_signed_tls_client_auth`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc.jwk import Key, OctKey

from idp.protocols.oidc.client_key import ClientKeys
from idp.protocols.oidc.gate import settings_of
from idp.sso.client import Client

_LONGEST = 16_384


def read_certificate(header: str) -> bytes:
    """DER of the header's certificate: RFC 9440's `:base64:`, or PEM, plain or percent-encoded (nginx's `$ssl_client_escaped_cert`).
    Empty when there is none or it cannot be read."""
    text = header.strip()
    if not text or len(text) > _LONGEST:
        return b""
    if not text.startswith(":"):
        text = "".join(line for line in unquote(text).replace("\t", "\n").splitlines() if "-----" not in line)
    try:
        der = base64.b64decode("".join(text.strip(":").split()), validate=True)
        x509.load_der_x509_certificate(der)
    except (ValueError, binascii.Error):
        return b""
    return der


def thumbprint_of(certificate: bytes) -> str:
    """`x5t#S256` (RFC 8705 §3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()


def is_certificate_of(certificate: bytes, client: Client, keys: ClientKeys) -> bool:
    """Whether the client registered this certificate, by its subject (RFC 8705 §2.1) or by itself (§2.2)."""
    settings = settings_of(client)
    parsed = x509.load_der_x509_certificate(certificate)
    if settings.token_endpoint_auth_method == "tls_client_auth":  # noqa: S105
        return _has_subject(parsed, settings.tls_client_auth_subject_dn, settings.tls_client_auth_san_dns)
    public = parsed.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return any(_has_certificate(key.get("x5c"), certificate) and _der(key) == public for key in keys.all(client))


def _der(key: Key) -> bytes:
    return b"" if isinstance(key, OctKey) else key.as_der(private=False)


def _has_subject(certificate: x509.Certificate, subject: str, name: str) -> bool:
    if subject:
        return certificate.subject.rfc4514_string() == subject
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return bool(name) and name in names.get_values_for_type(x509.DNSName)


def _has_certificate(chain: object, certificate: bytes) -> bool:
    return isinstance(chain, list) and bool(chain) and chain[0] == base64.b64encode(certificate).decode()
