"""A service provider: where answers go, whose signatures count, what it asks for. `metadata` reads one, `settings` can hold one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from idp.errors import BadRequest, IdpError
from idp.protocols.saml.algorithm import PublicKey, decode_base64, key_is_strong
from idp.protocols.saml.document import POST, REDIRECT
from idp.sso.return_address import origin_of

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_T = TypeVar("_T")


class MetadataProblem(IdpError):
    """The metadata of a service provider cannot be used; the sentence says what is wrong with it."""

    def __init__(self, cause: str, message: str, *, expected: str = "", received: str = "") -> None:
        super().__init__(f"saml.metadata_{cause}", message, expected=expected, received=received)


@dataclass(frozen=True)
class Endpoint:
    """One address of a service provider, with the binding it speaks there."""

    binding: str
    location: str
    response_location: str = ""
    index: int | None = None
    is_default: bool | None = None

    @property
    def answer_location(self) -> str:
        """Where responses go (Metadata section 2.2.2)."""
        return self.response_location or self.location


@dataclass(frozen=True)
class EncryptionKey:
    """A key that assertions may be encrypted for, and the content algorithms that go with it; none listed means any (IIP-MD10)."""

    public: rsa.RSAPublicKey
    methods: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    """Digests of RSA-OAEP that its metadata name."""


@dataclass(frozen=True)
class Certificate:
    """What a certificate says of itself, for warnings ahead of time: only its key counts (IIP-MD12). `ends` in seconds since 1970."""

    use: str
    ends: int
    fingerprint: str
    """SHA-256 of the certificate, in hex."""


@dataclass(frozen=True)
class RequestedAttribute:
    """An attribute that the service provider would like to get."""

    name: str
    name_format: str = ""
    friendly_name: str = ""
    required: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class AttributeService:
    """An AttributeConsumingService: a set of attributes that the service provider asks for by its index (Metadata section 2.4.4.1)."""

    index: int
    is_default: bool = False
    requested: tuple[RequestedAttribute, ...] = ()


@dataclass(frozen=True)
class ServiceProvider:
    """What we know of a service provider; times in seconds since 1970. `warnings` are sentences for whoever connects it."""

    entity_id: str
    acs: tuple[Endpoint, ...]
    slo: tuple[Endpoint, ...] = ()
    signing_keys: tuple[PublicKey, ...] = ()
    encryption_keys: tuple[EncryptionKey, ...] = ()
    authn_requests_signed: bool = False
    want_assertions_signed: bool = False
    name_id_formats: tuple[str, ...] = ()
    requested: tuple[RequestedAttribute, ...] = ()
    services: tuple[AttributeService, ...] = ()
    entity_attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    other_acs: tuple[Endpoint, ...] = ()
    signature_methods: tuple[str, ...] = ()
    digest_methods: tuple[str, ...] = ()
    valid_until: int | None = None
    display_name: str = ""
    initiator: str = ""
    """Address at which the application begins a sign-on by itself (Request Initiation Protocol and Profile), with us where asked to."""
    certificates: tuple[Certificate, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def default_acs(self) -> Endpoint:
        """Marked as default, else the first that is not marked as none, else the first (Metadata section 2.2.3)."""
        return (
            _first(self.acs, lambda each: each.is_default is True) or _first(self.acs, lambda each: each.is_default is None) or self.acs[0]
        )

    @property
    def home(self) -> str:
        """The site that takes our answers, where an application is met that says nothing else of where it begins."""
        return f"{origin_of(self.default_acs.location)}/"

    @property
    def every_acs(self) -> tuple[Endpoint, ...]:
        """All endpoints that take our answers, by whichever binding."""
        return (*self.acs, *self.other_acs)

    def acs_at(self, location: str, binding: str = "") -> Endpoint | None:
        """The endpoint of exactly this address (S52), and of this binding where one is named."""
        return _first(self.every_acs, lambda each: each.location == location and binding in ("", each.binding))

    def acs_of(self, index: int) -> Endpoint | None:
        """The endpoint of this index."""
        return _first(self.every_acs, lambda each: each.index == index)

    def slo_by(self, binding: str) -> Endpoint | None:
        """Where to send logout messages by this binding."""
        return _first(self.slo, lambda each: each.binding == binding)


def make_provider(entity_id: str, *, acs: Iterable[str], slo: str, certificates: Iterable[str]) -> ServiceProvider:
    """A service provider that has no metadata, from the things that matter. Raises MetadataProblem."""
    endpoints = tuple(Endpoint(POST, location, index=index, is_default=index == 0 or None) for index, location in enumerate(acs))
    if not entity_id or not endpoints:
        raise MetadataProblem(
            "incomplete",
            "A service provider without metadata needs its entity ID and an address for answers.",
            expected="entity_id and acs",
        )
    logout = (Endpoint(REDIRECT, slo),) if slo else ()
    for endpoint in (*endpoints, *logout):
        check_address(endpoint.location)
    texts = tuple(certificates)
    signing, weak = strong_keys([certificate_key(text) for text in texts])
    return ServiceProvider(
        entity_id,
        endpoints,
        logout,
        signing_keys=signing,
        encryption_keys=tuple(EncryptionKey(key) for key in signing if isinstance(key, rsa.RSAPublicKey)),
        certificates=tuple(describe_certificate(text) for text in texts),
        warnings=(*address_warnings(endpoints), *weak),
    )


def strong_keys(keys: Iterable[PublicKey]) -> tuple[tuple[PublicKey, ...], list[str]]:
    """The keys that are long enough (SDP-MD06), and a sentence for each that is not: what it signed will be refused."""
    every = list(keys)
    weak = [f"A signing key of {key.key_size} bits is too short and is not used." for key in every if not key_is_strong(key)]
    return tuple(key for key in every if key_is_strong(key)), weak


def certificate_key(pem_or_base64: str) -> PublicKey:
    """The public key of a certificate: in PEM, or its base64 alone. Its dates and issuer say nothing (IIP-MD12). Raises MetadataProblem."""
    try:
        key = _certificate(pem_or_base64).public_key()
    except (BadRequest, ValueError, UnsupportedAlgorithm):
        raise MetadataProblem("certificate", "A certificate cannot be read.", expected="an X.509 certificate in PEM or base64") from None
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise MetadataProblem("certificate", "A certificate holds neither an RSA nor an elliptic curve key.", received=type(key).__name__)
    return key


def describe_certificate(pem_or_base64: str, use: str = "") -> Certificate:
    """Of a certificate that `certificate_key` has read; `use` as its KeyDescriptor says it."""
    certificate = _certificate(pem_or_base64)
    return Certificate(use, int(certificate.not_valid_after_utc.timestamp()), certificate.fingerprint(hashes.SHA256()).hex())


def _certificate(pem_or_base64: str) -> x509.Certificate:
    text = "".join(line for line in pem_or_base64.splitlines() if "-----" not in line)
    return x509.load_der_x509_certificate(decode_base64(text))


def check_address(location: str) -> None:
    """Raises MetadataProblem for what is no web address: `javascript:` would run in our page (S3, V18)."""
    try:
        parts = urlsplit(location)
        good = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise MetadataProblem("address", "An address in the metadata is not a web address.", expected="https://...", received=location)


def address_warnings(endpoints: Iterable[Endpoint]) -> list[str]:
    """A sentence for each address that a member's assertion would reach in clear."""
    return [
        f"{each.location} is not https: anybody on the way can read what is sent there." for each in endpoints if _is_plain(each.location)
    ]


def _is_plain(location: str) -> bool:
    parts = urlsplit(location)
    host = parts.hostname or ""
    return parts.scheme == "http" and host not in _LOOPBACK and not host.endswith(".localhost")


def _first(items: Iterable[_T], wanted: Callable[[_T], bool]) -> _T | None:
    return next((each for each in items if wanted(each)), None)
