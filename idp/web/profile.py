"""What a vendor's server gets for a token: the member's released fields, as JSON or XML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.clock import Now, utc_now
from idp.directory import Subject
from idp.secret import Secret
from idp.sso.attribute import json_value
from idp.sso.release import Release
from idp.sso.session import Session
from idp.web import xml


@dataclass(frozen=True)
class Profile:
    """A member for one vendor; the release knows the type of each attribute. With the handle, if there is one, the vendor may ask again."""

    session: Session
    attributes: Mapping[str, tuple[str, ...]]
    release: Release
    handle: Secret | None = field(default=None, repr=False)

    def as_json(self) -> dict[str, Any]:
        return {
            **self._head(),
            "auth_time": self.session.auth_time,
            "attributes": {name: json_value(self.release.kind(name), values) for name, values in self.attributes.items()},
        }

    def as_xml(self) -> str:
        """As a document."""
        return f"{xml.HEAD}{self.as_element('member')}\n"

    def as_element(self, name: str, namespace: str = "") -> str:
        """As one element in a document of others."""
        head = {"xmlns": namespace} if namespace else {}
        body = "".join(xml.element("attribute", _values(values), {"name": name}) for name, values in self.attributes.items())
        return xml.element(name, body, {**head, **self._head(), "auth_time": str(self.session.auth_time)})

    def _head(self) -> dict[str, str]:
        handle = {"handle": self.handle.reveal()} if self.handle else {}
        return {"subject": self.session.subject_id, "session": self.session.id, **handle}


def make_profile(session: Session, subject: Subject, release: Release, now: Now = utc_now) -> Profile:
    """The fields that the client may see, under its own names for them."""
    return Profile(session, release.apply(subject, now), release)


def error_xml(cause: str, message: str, reference: str) -> str:
    return f"{xml.HEAD}{xml.element('error', xml.text(message), {'cause': cause, 'reference': reference})}\n"


def _values(values: tuple[str, ...]) -> str:
    return "".join(xml.element("value", xml.text(value)) for value in values)
