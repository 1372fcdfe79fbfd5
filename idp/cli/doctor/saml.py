"""SAML service providers: what ends, what could not be fetched, what waits for an operator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from idp.cli.doctor.advice import Found, Look, Patient
from idp.protocols.saml.source.expiry import endings, source_warnings
from idp.sso.attribute import today_of


def ending(patient: Patient) -> Iterator[Found]:
    """What has stopped members already is a finding of its own (part `clients`)."""
    for each in endings(patient.parts.protocols.saml.known(), now=patient.now()) if patient.parts else ():
        if not each.grave:
            yield Found(each.sentence, f"ask the vendor of {each.client_id} for new metadata")


def sources(patient: Patient) -> Iterator[Found]:
    if patient.parts:
        for sentence in source_warnings(patient.parts.refresher, now=patient.now()):
            yield Found(sentence, "idp clients refresh looks again at once, and says more")


def folder(patient: Patient) -> Iterator[Found]:
    for sentence in patient.parts.protocols.saml.folder_problems() if patient.parts else ():
        yield Found(sentence, "put a good copy in its place, or take the file away")


def sha1(patient: Patient) -> Iterator[Found]:
    today = today_of(patient.now())
    for client in patient.clients("saml"):
        until = client.settings.legacy_algorithms_until
        if until and until >= today:
            detail = f"signatures with SHA-1 are still taken from {client.id}, for {(until - today).days} more days"
            yield Found(detail, f"ask its vendor for SHA-256; then take legacy_algorithms_until out of [clients.{client.id}.saml]")


LOOKS: Mapping[str, Look] = {"saml.ending": ending, "saml.sources": sources, "saml.folder": folder, "saml.sha1": sha1}
