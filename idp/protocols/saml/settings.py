"""[saml] for the server, and [clients.ID.saml] for one service provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from idp.protocols.saml.algorithm import SIGNATURE_METHODS, PublicKey
from idp.protocols.saml.context import WEAKEST_FIRST
from idp.protocols.saml.encryption import usable
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider, certificate_key, make_provider
from idp.protocols.saml.metadata import read_metadata
from idp.settings import Duration, PathSetting, Settings
from idp.sso.return_address import origin_of
from idp.sso.settings import ReleaseSetting

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"
NO_NAME_ID = "none"

_FORMATS = {"persistent": PERSISTENT, "transient": TRANSIENT, "email": EMAIL, "unspecified": UNSPECIFIED, "none": NO_NAME_ID, "": ""}


_ALGORITHMS = {
    f"{name}-sha{bits}": next(each for each in SIGNATURE_METHODS if each.endswith(ending.format(bits)))
    for name, ending in (("rsa", "#rsa-sha{}"), ("rsa-pss", "#sha{}-rsa-MGF1"), ("ecdsa", "#ecdsa-sha{}"))
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
    if wanted not in ("", *SIGNATURE_METHODS):
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


def _metadata_url(value: str) -> str:
    if value and not value.startswith(("https://", "http://")):
        raise ValueError("an address begins with https:// (for trials on one machine http://)")
    return value


MetadataUrl = Annotated[str, AfterValidator(_metadata_url)]
FederationName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Source = Literal["file", "text", "url", "federation", "folder", "settings"]
SignatureAlgorithm = Annotated[str, AfterValidator(_signature_algorithm)]
NameIdFormat = Annotated[str, AfterValidator(_format)]
CertificateText = Annotated[str, BeforeValidator(_certificate)]


class SamlSettings(Settings):
    """[clients.ID.saml]: a service provider, by its metadata or, where it has none, by the four things that matter."""

    metadata: PathSetting | None = None
    """File with the application's metadata; a changed file is seen within seconds. Where it is missing or bad, that application alone is
    without sign-in, and `idp check` says so."""
    metadata_xml: str | None = None
    """The metadata themselves, for clients that stand in the database."""
    metadata_url: MetadataUrl = ""
    """Where the application publishes its metadata: they are fetched again and again. What changes is in force at once if it is signed
    (metadata_certificate); else it waits for `idp clients accept`."""
    federation: str = ""
    """Name of the [saml.federation] that describes the application; goes with entity_id."""
    metadata_certificate: CertificateText | None = None
    """Certificate (PEM, or its file) that the metadata must be signed with; without it their signature is not looked at."""
    metadata_validity: Duration | None = None
    """How far ahead validUntil of the metadata may lie at most. Where it is set, metadata without validUntil are refused (SDP-MD03)."""
    entity_id: str = ""
    """The application's entity ID; with metadata, which of several is meant. Alone: its metadata are awaited in the metadata folder."""
    acs: Annotated[tuple[str, ...], BeforeValidator(_list)] = ()
    """Addresses that take our answers (AssertionConsumerService), the default first. Only without metadata."""
    slo: str = ""
    """Address that takes logout messages by HTTP-Redirect. Only without metadata."""
    certificate: Annotated[tuple[CertificateText, ...], BeforeValidator(_list)] = ()
    """The application's certificates (PEM, or their files): to verify what it signs and to encrypt for it. Only without metadata."""
    sign: Literal["assertion", "response", "both"] = "assertion"
    """What we sign. Metadata that want the assertion signed are obeyed in any case."""
    signature_algorithm: SignatureAlgorithm = ""
    """What we sign with: "rsa-sha256", "-sha384", "-sha512", "rsa-pss-sha256", "-sha384", "-sha512", or "ecdsa-sha256", "-sha384",
    "-sha512", which need a key of that kind (idp keys rotate saml --kind p-256). Empty: of what the metadata declare (alg:SigningMethod),
    else rsa-sha256."""
    signing_key: str = ""
    """The key of ours that signs for this application alone, by its kid (`idp keys list`), where it cannot follow a change of key. Its own
    metadata address, /saml/metadata/ID, then shows this key and no other."""
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

    @property
    def source(self) -> Source:
        """Where what we know of the application comes from."""
        if self.metadata is not None:
            return "file"
        if self.metadata_xml is not None:
            return "text"
        if self.metadata_url:
            return "url"
        if self.federation:
            return "federation"
        return "settings" if self.acs else "folder"

    def provider(self) -> ServiceProvider:
        """The service provider that these settings describe by themselves, or the file they name. Raises MetadataProblem."""
        if self.source in ("file", "text"):
            return self.read(self._octets())
        return make_provider(self.entity_id, acs=self.acs, slo=self.slo, certificates=self.certificate)

    _home: str = PrivateAttr(default="")

    def at_home(self, home: str) -> Self:
        """The same, of an application whose metadata are elsewhere and have told its home."""
        told = self.model_copy()
        told._home = home
        return told

    @property
    def start_url(self) -> str:
        """The application's home, if its metadata tell: where a page that leads nowhere leads on. Empty where they are elsewhere."""
        if self._home:
            return self._home
        try:
            if self.source in ("file", "text"):
                return _home(self._octets(), self.entity_id, self.metadata_certificate)
        except MetadataProblem:
            return ""
        return f"{origin_of(self.acs[0])}/" if self.acs else ""

    def _octets(self) -> bytes:
        return _read(self.metadata) if self.metadata is not None else (self.metadata_xml or "").encode()

    def read(self, raw: bytes, *, entity_id: str = "") -> ServiceProvider:
        """The service provider in metadata from elsewhere, signed if these settings want that. Raises MetadataProblem."""
        return _provider(raw, self.entity_id or entity_id, self.metadata_certificate)

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
        given = [self.metadata is not None, self.metadata_xml is not None, bool(self.metadata_url), bool(self.federation), inline]
        if given.count(True) > 1 or not (any(given) or self.entity_id):
            raise ValueError(
                "give one of: metadata (a file), metadata_xml (its text), metadata_url, federation and entity_id, entity_id and acs, "
                "or entity_id alone for a file in the metadata folder"
            )
        if self.federation and not self.entity_id:
            raise ValueError("federation goes with the application's entity_id")
        if self.source not in ("text", "settings"):
            return self  # what they say is read while we run: one vendor's bad file must not keep the server from starting
        try:
            provider = self.provider()
        except MetadataProblem as error:
            raise ValueError(_sentence(error)) from None
        if self.encrypt and usable(provider.encryption_keys) is None:
            raise ValueError(
                "encrypt is on, and the application has no RSA key to encrypt for, or allows none of AES-256-GCM and AES-128-GCM"
            )
        return self


class FederationSettings(Settings):
    """[saml.federation.NAME]: many service providers, described by somebody whom we trust."""

    url: MetadataUrl = ""
    """Where the metadata of all of them are, in one document (an aggregate)."""
    mdq: MetadataUrl = ""
    """Where those of one are, by the Metadata Query Protocol: the address before /entities/."""
    file: PathSetting | None = None
    """A file with the metadata of all of them; a changed file is seen within minutes."""
    certificate: Annotated[tuple[CertificateText, ...], BeforeValidator(_list)] = ()
    """The federation's certificate (PEM, or its file); several while it changes over. What none of these keys has signed is refused."""
    members: Literal["named", "all"] = "named"
    """Which service providers may ask us: "named", those that a client names with its entity_id, or "all"."""
    release: ReleaseSetting = ()
    """With "all": what each of them may see of a member, beside what [saml.category_release] says for its categories."""
    client: Mapping[str, Any] = Field(default_factory=dict)
    """With "all": settings of [clients.ID.saml] for each of them, such as { sign = "both" }."""
    validity: Duration = 30 * 86400
    """How far ahead validUntil may lie at most; metadata without validUntil are refused (SDP-MD03)."""
    refresh: Duration = 3600
    """How often to look for new metadata, where they do not say it themselves (cacheDuration)."""
    timeout: Duration = 120
    """Seconds that fetching may take."""
    max_bytes: int = 128 * 1024 * 1024
    """Largest document that is read."""

    def keys(self) -> tuple[PublicKey, ...]:
        """The pinned keys. Raises MetadataProblem."""
        return tuple(certificate_key(each) for each in self.certificate)

    def member(self, name: str, entity_id: str) -> SamlSettings:
        """The settings of a service provider of this federation that no client names. ValidationError: `client` is wrong."""
        own = {"trust_categories": True, "expired_metadata": "refuse", **self.client}
        return SamlSettings.model_validate({**own, "federation": name, "entity_id": entity_id})

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        if [bool(self.url), bool(self.mdq), self.file is not None].count(True) != 1:
            raise ValueError("give one of: url (an aggregate), mdq, or file")
        if not self.certificate:
            raise ValueError("needs the certificate that its metadata are signed with")
        try:
            self.keys()
        except MetadataProblem as error:
            raise ValueError(_sentence(error)) from None
        self.member("x", "urn:x")
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
    relay_state_limit: Annotated[int, Field(ge=80, le=8192)] = 2048
    """Octets that a RelayState may have; it goes back unchanged. The standard says 80, and many vendors send more."""
    scope: str = ""
    """Domain behind the @ of subject-id and pairwise-id (SDP-IDP14), such as "assoc.example". Empty: neither is sent. Never change it."""
    ecp: bool = False
    """Enhanced clients (programs, no browsers) may sign members in by SOAP with name and password, at applications whose metadata have an
    address for that (PAOS)."""
    context_order: tuple[str, ...] = WEAKEST_FIRST
    """Authentication context classes, the weakest first: a sign-in of one class is good for every weaker one."""
    category_release: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """Entity category -> attributes that applications with `trust_categories` get for it."""
    federation: Mapping[FederationName, FederationSettings] = Field(default_factory=dict)
    """[saml.federation.NAME], by url, mdq or file, with the certificate that signs it: many applications at once. metadata/README.md."""
    metadata_folder: PathSetting = Path("metadata")
    """Folder where an operator drops applications' metadata; a file is known within seconds to the client with its entity_id."""
    metadata_refresh: Duration = 3600
    """How often metadata_url of an application is looked at, where its metadata do not say it themselves (cacheDuration)."""
    display_name: str = ""
    """What applications call us where they let members choose (mdui:DisplayName). Empty: `organization`, or our host name."""
    organization: str = ""
    """The association's name in our metadata; empty leaves it out."""
    organization_url: str = ""
    """The association's site; goes with `organization`."""
    technical_contact: str = ""
    """E-mail address for vendors' technicians (SDP-MD11)."""
    support_contact: str = ""
    """E-mail address to which applications may send members who need help."""
    security_contact: str = ""
    """E-mail address for security incidents (REFEDS)."""
    logo_url: str = ""
    """https address of a logo (SDP-MD10)."""
    logo_width: int = 80
    """Width of the logo, in pixels."""
    logo_height: int = 60
    """Height of the logo, in pixels."""
    information_url: str = ""
    """Page about this sign-in service (mdui:InformationURL)."""
    privacy_url: str = ""
    """Privacy statement (mdui:PrivacyStatementURL)."""
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


def _provider(raw: bytes, entity_id: str, certificate: str | None) -> ServiceProvider:
    return read_metadata(raw, entity_id=entity_id, trusted=(certificate_key(certificate),) if certificate else ())


@lru_cache(maxsize=64)
def _home(raw: bytes, entity_id: str, certificate: str | None) -> str:
    """Kept, for anybody can have the page shown that wants to know."""
    return _provider(raw, entity_id, certificate).home


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MetadataProblem("unreadable", f"The metadata file {path} cannot be read: {error.strerror}.") from None


def _sentence(error: MetadataProblem) -> str:
    details = [f"{word} {value}" for word, value in (("expected", error.expected), ("received", error.received)) if value]
    return f"{error.message} ({'; '.join(details)})" if details else error.message
