"""[saml] for the server, and [clients.ID.saml] for one service provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from idp.protocols.saml.algorithm import OUR_METHODS
from idp.protocols.saml.context import WEAKEST_FIRST
from idp.protocols.saml.encryption import usable
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider, certificate_key, make_provider
from idp.protocols.saml.metadata import read_metadata
from idp.settings import Duration, PathSetting, Settings

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
NO_NAME_ID = "none"

_FORMATS = {"persistent": PERSISTENT, "transient": TRANSIENT, "email": EMAIL, "unspecified": UNSPECIFIED, "none": NO_NAME_ID, "": ""}


_ALGORITHMS = {
    f"{name}-sha{bits}": next(each for each in OUR_METHODS if each.endswith(ending.format(bits)))
    for name, ending in (("rsa", "#rsa-sha{}"), ("rsa-pss", "#sha{}-rsa-MGF1"))
    for bits in (256, 384, 512)
}


def _format(value: str) -> str:
    """The URI of a NameID format, from its short name or as it is."""
    if value in _FORMATS:
        return _FORMATS[value]
    if ":" not in value:
        raise ValueError('a NameID format is "persistent", "transient", "email", "unspecified", "none" or the URI of another')
    return value


def _signature_algorithm(value: str) -> str:
    """The URI of a signature algorithm, from its short name or as it is."""
    wanted = _ALGORITHMS.get(value, value)
    if wanted not in ("", *OUR_METHODS):
        raise ValueError(f"signature_algorithm is one of {', '.join(_ALGORITHMS)}")
    return wanted


def _list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _certificate(value: Any, info: ValidationInfo) -> Any:
    """The text of a certificate; a short text without a PEM line is the path of its file."""
    if not isinstance(value, str) or "-----BEGIN" in value or len(value) > 512:
        return value
    try:
        return (Path((info.context or {}).get("folder") or ".") / value).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"the certificate's file {value} cannot be read: {error.strerror}") from None


SignatureAlgorithm = Annotated[str, AfterValidator(_signature_algorithm)]
NameIdFormat = Annotated[str, AfterValidator(_format)]
CertificateText = Annotated[str, BeforeValidator(_certificate)]


class SamlSettings(Settings):
    """[clients.ID.saml]: a service provider, by its metadata or, where it has none, by the four things that matter."""

    metadata: PathSetting | None = None
    """File with the application's metadata; a changed file is seen within seconds."""
    metadata_xml: str | None = None
    """The metadata themselves, for clients that stand in the database."""
    metadata_certificate: CertificateText | None = None
    """Certificate (PEM, or its file) that the metadata must be signed with; without it their signature is not looked at."""
    entity_id: str = ""
    """The application's entity ID; with metadata, which of several is meant."""
    acs: Annotated[tuple[str, ...], BeforeValidator(_list)] = ()
    """Addresses that take our answers (AssertionConsumerService), the default first. Only without metadata."""
    slo: str = ""
    """Address that takes logout messages by HTTP-Redirect. Only without metadata."""
    certificate: Annotated[tuple[CertificateText, ...], BeforeValidator(_list)] = ()
    """The application's certificates (PEM, or their files): to verify what it signs and to encrypt for it. Only without metadata."""
    sign: Literal["assertion", "response", "both"] = "assertion"
    """What we sign. Metadata that want the assertion signed are obeyed in any case."""
    signature_algorithm: SignatureAlgorithm = ""
    """What we sign with: "rsa-sha256", "-sha384", "-sha512" or "rsa-pss-sha256", "-sha384", "-sha512". Empty: of what the metadata declare
    (alg:SigningMethod), else rsa-sha256."""
    legacy_algorithms_until: date | None = None
    """Last day on which signatures with SHA-1 are still taken from this application; not set: never. Money can buy a forged one."""
    encrypt: bool = False
    """Encrypts assertions for the application's key."""
    name_id_format: NameIdFormat = ""
    """What the application knows a member by: "persistent" (stable, and another for each application), "transient", "email", "unspecified",
    "none", or the URI of a format. Empty: what it asks for, else the first of its metadata that we can give, else persistent."""
    name_id_source: str = ""
    """Attribute whose value is sent, such as "imis_id". Empty: the e-mail address for "email", else an identifier of our making."""
    name_id_always: bool = False
    """True sends name_id_format even when a request asks for another, for applications that ask for what they do not mean."""
    affiliation: str = ""
    """Entity ID of an affiliation whose applications share persistent identifiers: a request may then ask for one by SPNameQualifier."""
    allow_create: Literal["asked", "always"] = "asked"
    """"always" passes over AllowCreate="false", by which an application asks for no member that it has not met before."""
    subject_identifier: Literal["asked", "subject-id", "pairwise-id", "none"] = "asked"
    """Standard subject identifier attribute to send where [saml] has a scope; "asked": the one that the metadata ask for."""
    attribute_format: Literal["auto", "uri", "oid", "basic", "unspecified", "microsoft", "plain"] = "auto"
    """NameFormat of attributes. "auto": "uri" for names that are URIs, else "basic". "uri" also sends known names, such as `mail`, by
    their object identifiers; "oid" our own names, such as `email`, as well; "microsoft" by their addresses in Microsoft's products; "plain"
    as they are, without NameFormat."""
    release_requested: Literal["ignore", "requested", "required"] = "ignore"
    """Narrows the release to the attributes that the metadata request, or to those of them that are marked as required."""
    trust_categories: bool = False
    """Releases also what [saml.category_release] says for the entity categories in the metadata. For metadata of a federation that you
    trust: an application can write any category into its own."""
    consent: Literal["", "unspecified", "obtained", "prior", "current-implicit", "current-explicit", "unavailable", "inapplicable"] = ""
    """Whether the member agreed that data are sent, as the Response shall say it (Consent); empty leaves it out."""
    logout_choice: bool = False
    """Asks a member who signs out in the application whether that means everywhere, or there alone."""
    attribute_query: bool = False
    """Lets the application ask for a member's attributes by SOAP, for as long as it knows the member."""
    logout_binding: Literal["auto", "redirect", "post", "soap"] = "auto"
    """How the application is told that a session has ended. "auto": by the first of redirect, soap and post that its metadata have."""
    require_signed_requests: bool | None = None
    """Whether sign-in requests must be signed. Not set: as the metadata say. A signature that is there is verified in any case."""
    idp_initiated: bool = False
    """Allows members to start from our side, by /saml/start?sp=ENTITYID (S62: off unless the application needs it)."""
    relay_state: str = ""
    """RelayState for sign-ons that start from our side and give none."""
    expired_metadata: Literal["warn", "refuse"] = "warn"
    """What becomes of metadata whose validUntil has passed. A file that nobody refreshes would otherwise stop the application one night."""

    def provider(self) -> ServiceProvider:
        """The service provider that these settings describe. Raises MetadataProblem."""
        if self.metadata is not None:
            return self._from_metadata(_read(self.metadata))
        if self.metadata_xml is not None:
            return self._from_metadata(self.metadata_xml.encode())
        return make_provider(self.entity_id, acs=self.acs, slo=self.slo, certificates=self.certificate)

    def _from_metadata(self, raw: bytes) -> ServiceProvider:
        trusted = (certificate_key(self.metadata_certificate),) if self.metadata_certificate else ()
        return read_metadata(raw, entity_id=self.entity_id, trusted=trusted)

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if self.name_id_format not in _FORMATS.values() and not self.name_id_source:
            raise ValueError("this name_id_format needs a name_id_source: the attribute whose value is sent")
        if self.name_id_format in (TRANSIENT, NO_NAME_ID) and self.name_id_source:
            raise ValueError("a transient NameID, or none, has no name_id_source")
        return self

    @model_validator(mode="after")
    def _describes_a_provider(self) -> Self:
        inline = bool(self.acs or self.slo or self.certificate)
        if [self.metadata is not None, self.metadata_xml is not None, inline].count(True) != 1:
            raise ValueError("give one of: metadata (a file), metadata_xml (its text), or entity_id and acs")
        try:
            provider = self.provider()
        except MetadataProblem as error:
            raise ValueError(_sentence(error)) from None
        if self.encrypt and usable(provider.encryption_keys) is None:
            raise ValueError(
                "encrypt is on, and the application has no RSA key to encrypt for, or allows none of AES-256-GCM and AES-128-GCM"
            )
        return self


class SamlServerSettings(Settings):
    """[saml]: this identity provider, as service providers see it."""

    entity_id: str = ""
    """Our entity ID. Empty: the address of our metadata. Service providers keep it: never change it later."""
    message_window: Duration = 300
    """How far the clock of a service provider may be off, and how old a message may be (S60)."""
    assertion_life: Duration = 300
    """How long a service provider may take to read an assertion; at most five minutes (S51)."""
    not_before_margin: Duration = 60
    """How far back NotBefore is set, for service providers whose clocks are slow."""
    metadata_life: Duration = 365 * 86400
    """validUntil of our metadata. Long, because many vendors take them once, as a file."""
    scope: str = ""
    """Domain behind the @ of subject-id and pairwise-id (SDP-IDP14), such as "assoc.example". Empty: neither is sent. Never change it."""
    ecp: bool = False
    """Enhanced clients (programs, no browsers) may sign members in by SOAP with name and password, at applications whose metadata have an
    address for that (PAOS)."""
    context_order: tuple[str, ...] = WEAKEST_FIRST
    """Authentication context classes, the weakest first: a sign-in of one class is good for every weaker one."""
    category_release: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Entity category -> attributes that applications with `trust_categories` get for it."""
    display_name: str = ""
    """What applications call us where they let members choose (mdui:DisplayName). Empty: `organization`, or our host name."""
    organization: str = ""
    """The association's name in our metadata; empty leaves it out."""
    organization_url: str = ""
    """The association's site; goes with `organization`."""
    technical_contact: str = ""
    """E-mail address for vendors' technicians (SDP-MD11)."""
    logo_url: str = ""
    """https address of a logo (SDP-MD10)."""
    error_url: str = ""
    """Page for members whom an application sends away (errorURL, SDP-MD12). Empty: our start page."""

    @field_validator("assertion_life")
    @classmethod
    def _is_short(cls, value: int) -> int:
        if not 30 <= value <= 300:
            raise ValueError("an assertion lives between 30 seconds and 5 minutes")
        return value

    @model_validator(mode="after")
    def _has_both_of_organization(self) -> Self:
        if bool(self.organization) != bool(self.organization_url):
            raise ValueError("organization and organization_url go together")
        return self


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MetadataProblem("unreadable", f"The metadata file {path} cannot be read: {error.strerror}.") from None


def _sentence(error: MetadataProblem) -> str:
    details = [f"{word} {value}" for word, value in (("expected", error.expected), ("received", error.received)) if value]
    return f"{error.message} ({'; '.join(details)})" if details else error.message
