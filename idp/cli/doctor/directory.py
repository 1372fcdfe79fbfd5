"""The way to iMIS. Whether it answers, and the service account may ask, is a finding of its own (part `directory`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from idp.cli.doctor.advice import Found, Look, Patient
from idp.cli.doctor.certificate import ending_of
from idp.directory import DriftReader
from idp.directory.choice import DirectorySettings, NamedSettings
from idp.web.settings import is_loopback


def in_clear(patient: Patient) -> Iterator[Found]:
    for name, settings in _directories(patient):
        address = urlsplit(settings.base)
        if address.scheme == "http" and not is_loopback(address.hostname or ""):
            detail = f"{name}passwords travel to iMIS without TLS ({settings.base})"
            yield Found(detail, 'begin the address with "https://", and take allow_http out', serious=patient.config.server.production)


def certificate(patient: Patient) -> Iterator[Found]:
    """F17."""
    for name, settings in _directories(patient):
        address = urlsplit(settings.base)
        if address.scheme == "https":
            for detail, serious in ending_of(address.hostname or "", address.port or 443, now=patient.now, ca_file=settings.ca_file):
                yield Found(f"{name}{settings.base}: {detail}", "ask whoever looks after iMIS for a new one", serious)


def drift(patient: Patient) -> Iterator[Found]:
    if patient.parts is not None and isinstance(patient.parts.directory, DriftReader):
        for each in patient.parts.directory.drift():
            yield Found(each.sentence, "set the IQA in iMIS right again, or [directory] iqa to what it is now")


def _directories(patient: Patient) -> Iterator[tuple[str, DirectorySettings | NamedSettings]]:
    """Those that are asked over the net, with what to put before a sentence about them."""
    given = patient.config.directory
    every = {f"{name}: ": each for name, each in given.named.items()} if given.named else {"": given}
    yield from ((name, each) for name, each in every.items() if each.base)


LOOKS: Mapping[str, Look] = {"directory.in_clear": in_clear, "directory.certificate": certificate, "directory.drift": drift}
