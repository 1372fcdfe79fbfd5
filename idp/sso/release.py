"""What a client may see of a member, and under which names. Applied once, in `signon`, so that no protocol can forget it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idp.directory import STANDARD_ATTRIBUTES, Attributes, Subject

ALIASES: Mapping[str, str] = {
    "given_name": "first_name",
    "givenName": "first_name",
    "firstName": "first_name",
    "family_name": "last_name",
    "sn": "last_name",
    "lastName": "last_name",
    "name": "full_name",
    "displayName": "full_name",
    "display_name": "full_name",
    "nickname": "informal_name",
    "preferred_username": "username",
    "uid": "username",
    "mail": "email",
    "phone_number": "phone",
    "groups": "committees",
    "id": "imis_id",
}
"""Names that vendors use for our attributes: `release = ["mail"]` means our `email` under the name `mail`."""

BASIC = ("username", "email", "full_name", "first_name", "last_name")
"""What a client gets whose `release` is not given: who the member is, and nothing about the membership."""


@dataclass(frozen=True)
class Release:
    """Our attribute name -> the client's name for it."""

    names: Mapping[str, str]

    def apply(self, subject: Subject) -> dict[str, tuple[str, ...]]:
        """The released values under the client's names; an attribute that the member lacks is left out."""
        released = {}
        for ours, theirs in self.names.items():
            values = _values(subject.attributes, ours)
            if values:
                released[theirs] = values
        return released

    def holds(self, attribute: str) -> bool:
        return attribute in self.names


def read_release(value: Sequence[str] | Mapping[str, str] | None) -> Release:
    """From a list of names, each `ours` or `ours=theirs` or a vendor's usual name, or from a table ours -> theirs."""
    if value is None:
        return Release({name: name for name in BASIC})
    if isinstance(value, Mapping):
        return Release({_canonical(ours): theirs for ours, theirs in value.items()})
    return Release(dict(_pair(name) for name in value))


def _pair(text: str) -> tuple[str, str]:
    ours, _, theirs = text.partition("=")
    ours = ours.strip()
    return _canonical(ours), theirs.strip() or ours


def _canonical(name: str) -> str:
    return name if name in STANDARD_ATTRIBUTES else ALIASES.get(name, name)


def _values(attributes: Attributes, name: str) -> tuple[str, ...]:
    return tuple(value for value in attributes.get(name, ()) if value)
