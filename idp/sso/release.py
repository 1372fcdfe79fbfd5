"""What a client may see of a member, and under which names. Applied once, in `signon`, so that no protocol can forget it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from idp.clock import Now, utc_now
from idp.directory import STANDARD_ATTRIBUTES, Attributes, Subject
from idp.sso.attribute import kind_of, make_attribute, today_of
from idp.sso.settings import AttributeSettings, Kind

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


_ALWAYS_LISTS = ("roles", "committees")


@dataclass(frozen=True)
class Release:
    """Our attribute name -> the client's name for it; and the client's name -> how its value is made."""

    names: Mapping[str, str]
    made: Mapping[str, AttributeSettings] = field(default_factory=dict)

    def apply(self, subject: Subject, now: Now = utc_now) -> dict[str, tuple[str, ...]]:
        """The released values under the client's names; an attribute that the member lacks is left out."""
        today = today_of(now())
        released = {theirs: _values(subject.attributes, ours) for ours, theirs in self.names.items()}
        released |= {name: make_attribute(settings, name, subject.attributes, today=today) for name, settings in self.made.items()}
        return {name: values for name, values in released.items() if values}

    def missing(self, released: Collection[str]) -> list[str]:
        """The names that are required, and not among what was released."""
        return [name for name, settings in self.made.items() if settings.required and name not in released]

    def holds(self, attribute: str) -> bool:
        return attribute in self.names or any(copied(settings) == attribute for settings in self.made.values())

    def kind(self, theirs: str) -> Kind | None:
        """The type of what the client knows by that name; None: as many texts as there are."""
        if theirs in self.made:
            settings = self.made[theirs]
            return kind_of(settings) or ("list" if copied(settings) in _ALWAYS_LISTS else None)
        return "list" if any(name == theirs and ours in _ALWAYS_LISTS for ours, name in self.names.items()) else None


def copied(settings: AttributeSettings) -> str:
    """Our attribute that is passed on as it is; empty when something is made of it."""
    return settings.sources[0] if settings.rule == "copy" and len(settings.sources) == 1 else ""


def read_release(value: Sequence[str] | Mapping[str, str | AttributeSettings] | None) -> Release:
    """From a list of names, each `ours` or `ours=theirs` or a vendor's usual name, or from a table ours -> theirs, in which
    a table in place of a name says how the client's attribute of that name is made."""
    if value is None:
        return Release({name: name for name in BASIC})
    if isinstance(value, Mapping):
        names = {_canonical(ours): theirs for ours, theirs in value.items() if isinstance(theirs, str)}
        return Release(names, {name: _sourced(name, how) for name, how in value.items() if not isinstance(how, str)})
    return Release(dict(_pair(name) for name in value))


def _sourced(name: str, settings: AttributeSettings) -> AttributeSettings:
    return settings.model_copy(update={"sources": tuple(_canonical(source) for source in settings.sources or (name,))})


def _pair(text: str) -> tuple[str, str]:
    ours, _, theirs = text.partition("=")
    ours = ours.strip()
    return _canonical(ours), theirs.strip() or ours


def _canonical(name: str) -> str:
    return name if name in STANDARD_ATTRIBUTES else ALIASES.get(name, name)


def _values(attributes: Attributes, name: str) -> tuple[str, ...]:
    return tuple(value for value in attributes.get(name, ()) if value)
