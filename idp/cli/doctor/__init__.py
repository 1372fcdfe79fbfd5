"""The doctor of `idp check`: each look finds one thing that will go wrong, or that is weaker than it need be, and says the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from idp.cli.doctor import client, directory, file, key, machine, mail, saml, server, sign_in, store
from idp.cli.doctor.advice import Advice, Look, Patient
from idp.errors import IdpError

__all__ = ["CHECKS", "Advice", "Patient", "examine"]

CHECKS: Mapping[str, Look] = {
    check: look
    for group in (server, file, sign_in, key, client, saml, directory, store, mail, machine)
    for check, look in group.LOOKS.items()
}
"""Every check by its stable id, in the order in which they are told."""


def examine(patient: Patient) -> list[Advice]:
    """Everything that was found."""
    found: list[Advice] = []
    for check, look in CHECKS.items():
        try:
            found += [Advice(check, **asdict(each)) for each in look(patient)]
        except (IdpError, OSError):
            continue
    return found
