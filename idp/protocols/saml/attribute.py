"""Which attributes an assertion carries: the client's release, more by entity category, fewer by what the application requests, and
the two standard subject identifiers (IIP-IDP02 to IIP-IDP04, SDP-IDP13 to SDP-IDP17)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from saml2.attributemaps import saml_uri

from idp.directory import Subject
from idp.errors import Refusal
from idp.protocols.saml.entity import AttributeService, RequestedAttribute
from idp.protocols.saml.provider import Known
from idp.protocols.saml.settings import SamlServerSettings
from idp.protocols.saml.subject_name import SubjectNames
from idp.sso.release import ALIASES, read_release

SUBJECT_ID = "urn:oasis:names:tc:SAML:attribute:subject-id"
PAIRWISE_ID = "urn:oasis:names:tc:SAML:attribute:pairwise-id"
_WANTED = "urn:oasis:names:tc:SAML:profiles:subject-id:req"
_CATEGORY = "http://macedir.org/entity-category"
_OID: Mapping[str, str] = saml_uri.MAP["to"]
_NAME: Mapping[str, str] = saml_uri.MAP["fro"]
_PLAIN_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,126}")

Values = Mapping[str, tuple[str, ...]]


class Attributes:
    """Chooses attributes for the service providers of one server."""

    def __init__(self, settings: SamlServerSettings, *, names: SubjectNames) -> None:
        self._scope = settings.scope
        self._by_category = {category: read_release(names) for category, names in settings.category_release.items()}
        self._names = names

    def choose(self, released: Values, known: Known, subject: Subject, *, index: int | None) -> Values:
        """The attributes of one answer; `index` is AttributeConsumingServiceIndex."""
        found = {**self._of_categories(known, subject), **released} if known.settings.trust_categories else released
        if known.settings.release_requested != "ignore":
            found = narrow(found, requested(known, index), only_required=known.settings.release_requested == "required")
        return {**found, **self._identifiers(known, subject)} if self._scope else found

    def _of_categories(self, known: Known, subject: Subject) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for category in known.provider.entity_attributes.get(_CATEGORY, ()):
            if category in self._by_category:
                found |= self._by_category[category].apply(subject)
        return found

    def _identifiers(self, known: Known, subject: Subject) -> dict[str, tuple[str, ...]]:
        """subject-id or pairwise-id, as the setting says, or else as the application's metadata ask (SDP-IDP15)."""
        wanted: str = known.settings.subject_identifier
        if wanted == "asked":
            wanted = next(iter(known.provider.entity_attributes.get(_WANTED, ())), "none")
        if wanted == "subject-id":
            return {SUBJECT_ID: (f"{_unique(subject.id)}@{self._scope}",)}
        if wanted in ("pairwise-id", "any"):
            return {PAIRWISE_ID: (f"{self._names.establish(known.provider.entity_id, subject.id)}@{self._scope}",)}
        return {}


def requested(known: Known, index: int | None) -> tuple[RequestedAttribute, ...] | None:
    """What the service of this index asks for, or the default service; None when there is none. Raises Refusal for a wrong index."""
    services = known.provider.services
    if index is None:
        chosen = next((each for each in services if each.is_default), next(iter(services), None))
        return chosen.requested if chosen else None
    return _of_index(services, index).requested


def _of_index(services: tuple[AttributeService, ...], index: int) -> AttributeService:
    for each in services:
        if each.index == index:
            return each
    raise Refusal(
        "saml.attribute_service",
        "The application names a set of attributes that its metadata do not describe.",
        expected=" or ".join(str(each.index) for each in services) or "no AttributeConsumingServiceIndex",
        received=str(index),
    )


def narrow(released: Values, wanted: tuple[RequestedAttribute, ...] | None, *, only_required: bool = False) -> dict[str, tuple[str, ...]]:
    """What is both released and requested; an application that requests nothing gets all that is released to it."""
    if wanted is None:
        return dict(released)
    found = {}
    for name, values in released.items():
        asked = next((each for each in wanted if _keys(name) & _keys(each.name, each.friendly_name)), None)
        if asked is None or (only_required and not asked.required):
            continue
        kept = tuple(value for value in values if not asked.values or value in asked.values)
        if kept:
            found[name] = kept
    return found


def _keys(*names: str) -> set[str]:
    """An attribute by all the names that it goes by: `mail`, its object identifier, and our own name for it."""
    every = {name for name in names if name}
    every |= {_OID[name] for name in every if name in _OID} | {_NAME[name] for name in every if name in _NAME}
    return every | {ALIASES[name] for name in every if name in ALIASES}


def _unique(subject_id: str) -> str:
    """The left side of a subject-id: letters and digits that do not differ by case alone (subject-id profile, section 3.3.1)."""
    if _PLAIN_ID.fullmatch(subject_id):
        return subject_id
    return "b32-" + base64.b32encode(subject_id.encode()).decode().rstrip("=").lower()[:120]


def asked_index(message: Any) -> int | None:
    """AttributeConsumingServiceIndex of a request."""
    text = message.attribute_consuming_service_index
    return None if text is None else int(text)
