"""What service providers ask us by SOAP: to resolve an artifact, and for the attributes of a member (Core sections 3.5 and 3.3.2.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from idp.clock import Now
from idp.directory import Subject
from idp.errors import Refusal
from idp.protocols.saml.artifact import Artifacts
from idp.protocols.saml.assertion import NameId, Statement
from idp.protocols.saml.attribute import Attributes, narrow
from idp.protocols.saml.document import SAML, SAMLP, Element, qualified
from idp.protocols.saml.entity import RequestedAttribute
from idp.protocols.saml.gate import Admitted, Envelope, Gate
from idp.protocols.saml.message import Protection, Status, Writer
from idp.protocols.saml.provider import Known, Providers, naming
from idp.protocols.saml.settings import TRANSIENT, SamlServerSettings
from idp.protocols.saml.signer import Signers
from idp.protocols.saml.soap import to_soap
from idp.protocols.saml.subject_name import SubjectNames
from idp.sso.attribute import today_of
from idp.sso.entry import EntryDenied, objection_to

FindSubject = Callable[[str, int | None], Subject | None]
"""The member, by id, with data of at most that age in seconds where the client sets one; None for one who is gone."""


class Authority:
    """Answers by SOAP, to signed requests of known service providers alone (eGov-070 to eGov-073)."""

    def __init__(
        self,
        settings: SamlServerSettings,
        *,
        url: str,
        issuer: str,
        gate: Gate,
        writer: Writer,
        providers: Providers,
        signers: Signers,
        artifacts: Artifacts,
        attributes: Attributes,
        names: SubjectNames,
        find_subject: FindSubject | None,
        now: Now,
    ) -> None:
        self._settings = settings
        self._url = f"{url}/saml/soap"
        self._issuer = issuer
        self._gate = gate
        self._writer = writer
        self._providers = providers
        self._signers = signers
        self._artifacts = artifacts
        self._attributes = attributes
        self._names = names
        self._find_subject = find_subject
        self._now = now

    def resolve(self, envelope: Envelope) -> bytes:
        """The ArtifactResponse; without a message where there is none for this asker, which is a success all the same (Core 3.5.3)."""
        known, admitted = self._admit(envelope, "ArtifactResolve")
        artifact = admitted.element.findtext(qualified(SAMLP, "Artifact"), "").strip()
        message = self._artifacts.resolve(artifact, known.client.id)
        request_id, signer = str(admitted.element.get("ID")), self._signers.of(known)
        return to_soap(self._writer.artifact_response(message, in_response_to=request_id, key=signer.key, suite=signer.suite))

    def attributes(self, envelope: Envelope) -> bytes:
        """The Response to an AttributeQuery: an assertion without AuthnStatement, or a status that says why there is none."""
        known, admitted = self._admit(envelope, "AttributeQuery")
        request_id, signer = str(admitted.element.get("ID")), self._signers.of(known)
        try:
            statement = self._statement(known, admitted.element, request_id)
        except Refusal as refusal:
            status = Status("Requester", refusal.received, refusal.message)
            return to_soap(self._writer.refusal(status, recipient="", in_response_to=request_id, key=signer.key, suite=signer.suite))
        encrypt_for = known.provider.encryption_keys if known.settings.encrypt else None
        return to_soap(self._writer.response(statement, Protection(True, True, encrypt_for, signer.suite), signer.key))

    def remember(self, known: Known, subject: Subject, name_id: NameId | None, *, ends: int) -> None:
        """Keeps a transient identifier while its session lasts, for applications that may ask about it."""
        if known.settings.attribute_query and name_id is not None and name_id.format == TRANSIENT:
            self._names.remember(known.provider.entity_id, subject.id, name=name_id.value, expires=ends)

    def _statement(self, known: Known, query: Element, request_id: str) -> Statement:
        if not known.settings.attribute_query or self._find_subject is None:
            raise _refused("RequestDenied", "This application may not ask for attributes.")
        name_id = _name_id(query)
        holder = name_id.sp_name_qualifier or known.provider.entity_id
        subject_id = self._names.subject_of(holder, name_id.value) if holder in _holders(known) else None
        subject = self._find_subject(subject_id, known.client.max_age) if subject_id else None
        if subject is None:
            raise _refused("UnknownPrincipal", "The member is not known under this name.")
        attributes = self._chosen(known, subject, query)
        issued = self._now()
        return Statement(
            issuer=self._issuer,
            audience=known.provider.entity_id,
            recipient="",
            in_response_to=request_id,
            issued=issued,
            not_before=issued - self._settings.not_before_margin,
            not_on_or_after=issued + self._settings.assertion_life,
            auth_time=0,
            session_index="",
            session_ends=0,
            context="",
            name_id=name_id,
            attributes=attributes,
            attribute_format=known.settings.attribute_format,
        )

    def _chosen(self, known: Known, subject: Subject, query: Element) -> Mapping[str, tuple[str, ...]]:
        """What is released, and of this what is asked for; all where nothing is named (Core section 3.3.2.3). Who may not enter the
        application is none of its business by this way either; it is told no, and not why (S126)."""
        own = known.client.release.apply(subject, self._now)
        if objection_to(subject, known.client.entry, today=today_of(self._now())) or known.client.release.missing(own):
            raise _refused("RequestDenied", EntryDenied().message)
        released = self._attributes.choose(own, known, subject, index=None)
        asked = tuple(
            RequestedAttribute(str(each.get("Name", "")), values=tuple(value.text.strip() for value in each if value.text))
            for each in query.findall(qualified(SAML, "Attribute"))
        )
        return narrow(released, asked or None)

    def _admit(self, envelope: Envelope, name: str) -> tuple[Known, Admitted]:
        opened = self._gate.open(envelope, name)
        known = self._providers.by_entity(opened.issuer)
        until = known.settings.legacy_algorithms_until
        with naming(known):
            return known, self._gate.admit(opened, known.provider, location=self._url, must_be_signed=True, legacy_until=until)


def _holders(known: Known) -> tuple[str, ...]:
    return known.provider.entity_id, known.settings.affiliation


def _name_id(query: Element) -> NameId:
    element = query.find(f"{qualified(SAML, 'Subject')}/{qualified(SAML, 'NameID')}")
    if element is None:
        raise _refused("RequestUnsupported", "The Subject must be a NameID.")
    names = ("Format", "NameQualifier", "SPNameQualifier")
    return NameId((element.text or "").strip(), *(str(element.get(name, "")) for name in names))


def _refused(second: str, message: str) -> Refusal:
    return Refusal("saml.attribute_query", message, received=second)
