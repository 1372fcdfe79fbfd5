"""What a vendor's server gets for a token: the member's released fields, as JSON or XML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from idp.clock import Now, utc_now
from idp.directory import Subject
from idp.sso.attribute import json_value
from idp.sso.release import Release
from idp.sso.session import Session

# XML 1.0 §2.2: what is outside Char cannot stand in a document at all, not even as a reference.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Profile:
    """A member for one vendor; the release knows the type of each attribute."""

    session: Session
    attributes: Mapping[str, tuple[str, ...]]
    release: Release

    def as_json(self) -> dict[str, Any]:
        return {
            "subject": self.session.subject_id,
            "session": self.session.id,
            "auth_time": self.session.auth_time,
            "attributes": {name: json_value(self.release.kind(name), values) for name, values in self.attributes.items()},
        }

    def as_xml(self) -> str:
        session = self.session
        head = f"<member subject={_quoted(session.subject_id)} session={_quoted(session.id)} auth_time={_quoted(str(session.auth_time))}>"
        body = "".join(f"<attribute name={_quoted(name)}>{_values(values)}</attribute>" for name, values in self.attributes.items())
        return f"{XML_HEAD}{head}{body}</member>\n"


XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def make_profile(session: Session, subject: Subject, release: Release, now: Now = utc_now) -> Profile:
    """The fields that the client may see, under its own names for them."""
    return Profile(session, release.apply(subject, now), release)


def error_xml(cause: str, message: str, reference: str) -> str:
    return f"{XML_HEAD}<error cause={_quoted(cause)} reference={_quoted(reference)}>{_text(message)}</error>\n"


def _values(values: tuple[str, ...]) -> str:
    return "".join(f"<value>{_text(value)}</value>" for value in values)


def _text(value: str) -> str:
    return escape(_NOT_XML.sub("", value), {"\r": "&#13;"})  # a bare carriage return would be read as a line feed (§2.11)


def _quoted(value: str) -> str:
    return quoteattr(_NOT_XML.sub("", value))
