"""NameID: which identifier a service provider gets for a member (Core section 8.3, IIP-IDP10).

By default a persistent one that no two service providers share (S64).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from idp.directory import Subject
from idp.errors import Refusal
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.provider import Known
from idp.protocols.saml.settings import EMAIL, NO_NAME_ID, PERSISTENT, TRANSIENT, UNSPECIFIED
from idp.protocols.saml.subject_name import SubjectNames
from idp.store.reading import read_as


@dataclass(frozen=True)
class Policy:
    """What a request says of the identifier: NameIDPolicy (Core section 3.4.1.1), and the Subject that it asks for, if any.

    `create` is False only where AllowCreate says so in plain words: most requests leave it out and would have nobody sign in.
    """

    format: str = ""
    qualifier: str = ""
    create: bool = True
    subject: Mapping[str, Any] | None = None


class NameIds:
    """Chooses formats and makes identifiers."""

    def __init__(self, issuer: str, *, names: SubjectNames, new_id: Callable[[], str]) -> None:
        self._issuer = issuer
        self._names = names
        self._new_id = new_id

    def format(self, asked: str, known: Known) -> str:
        """The format to send when a request asks for `asked` (empty: for none). Raises Refusal when it cannot be had."""
        wanted = "" if asked == UNSPECIFIED else asked  # "unspecified" leaves the choice to us (Core section 3.4.1.1)
        own = known.settings.name_id_format
        if own and (known.settings.name_id_always or wanted in ("", own)):
            return own
        if own or (wanted and not _can_give(wanted, known)):
            raise Refusal(
                "saml.name_id_policy",
                "The application asks for a kind of identifier that it is not given here.",
                expected=own or " or ".join((PERSISTENT, TRANSIENT)),
                received=asked,
            )
        named = (each for each in known.provider.name_id_formats if each != UNSPECIFIED and _can_give(each, known))
        return wanted or next(named, PERSISTENT)

    def object_to(self, policy: Policy, known: Known) -> Refusal | None:
        """What can be said against the policy before anybody signs in."""
        if policy.qualifier not in ("", known.provider.entity_id, known.settings.affiliation):
            # another service provider's pairwise identifier would let the two compare notes
            expected = " or ".join(filter(None, (known.provider.entity_id, known.settings.affiliation)))
            return Refusal("saml.name_qualifier", "SPNameQualifier is another's.", expected=expected, received=policy.qualifier)
        try:
            self.format(policy.format, known)
        except Refusal as refusal:
            return refusal
        return None

    def make(self, policy: Policy, known: Known, subject: Subject, *, before: NameId | None = None) -> NameId | None:
        """The member's identifier; None where none is to be sent (IIP-IDP11). `before` is the one of an earlier answer in this session.

        Raises Refusal when the member has no such value, or is not the one who was asked for.
        """
        made = self._make(self.format(policy.format, known), policy, known, subject, before)
        if policy.subject is not None and (made is None or not is_same(made, read_as(NameId, policy.subject))):
            raise Refusal(
                "saml.subject_other",
                "The application asks for another member than the one who is signed in here.",
                received=made_of(policy),
            )
        return made

    def preview(self, known: Known, subject: Subject) -> NameId | None:
        """What the member would get without being asked for anything; nothing is stored. Raises Refusal."""
        if self.format("", known) == PERSISTENT and not known.settings.name_id_source:
            entity_id = known.provider.entity_id
            return NameId(self._names.would_be(entity_id, subject.id), PERSISTENT, self._issuer, entity_id)
        return self.make(Policy(), known, subject)

    def _make(self, chosen: str, policy: Policy, known: Known, subject: Subject, before: NameId | None) -> NameId | None:
        if chosen == NO_NAME_ID:
            return None
        source = known.settings.name_id_source or ("email" if chosen == EMAIL else "")
        if source:
            return NameId(_first_value(subject, source), chosen)
        holder = policy.qualifier or known.provider.entity_id
        if chosen == TRANSIENT:  # made for one answer and never used again (Core section 8.3.8)
            return NameId(self._new_id(), chosen, self._issuer, holder)
        if before is not None and (before.format, before.sp_name_qualifier) == (chosen, holder):
            return before  # no need to ask the store again
        if not self._may_create(policy, known) and self._names.find(holder, subject.id) is None:
            raise Refusal(
                "saml.name_id_not_there", "The application does not know this member yet, and asked not to make a new acquaintance."
            )
        return NameId(self._names.establish(holder, subject.id), chosen, self._issuer, holder)

    def _may_create(self, policy: Policy, known: Known) -> bool:
        return policy.create or known.settings.allow_create == "always"


def is_same(given: NameId, asked: NameId) -> bool:
    """Whether the identifier that we give strongly matches the one that is asked for (Core section 3.3.4); what is left out matches."""
    return (
        given.value == asked.value
        and asked.format in ("", UNSPECIFIED, given.format)
        and asked.name_qualifier in ("", given.name_qualifier)
        and asked.sp_name_qualifier in ("", given.sp_name_qualifier)
    )


def read_name_id(element: Any) -> NameId:
    """The NameID of a message."""
    return NameId(str(element.text or "").strip(), element.format or "", element.name_qualifier or "", element.sp_name_qualifier or "")


def made_of(policy: Policy) -> str:
    """The format of the Subject that was asked for: its value may be a person's address, and has no place in a log."""
    return f"a Subject of the format {policy.subject['format'] or UNSPECIFIED}" if policy.subject else ""


def _can_give(asked: str, known: Known) -> bool:
    """The e-mail address goes only to those who get it anyway, or by our own setting: asking is not enough (S64)."""
    if asked in (PERSISTENT, TRANSIENT):
        return True
    return bool(known.settings.name_id_source) or (asked == EMAIL and known.client.release.holds("email"))


def _first_value(subject: Subject, source: str) -> str:
    values = subject.attributes.get(source, ())
    if not values or not values[0]:
        raise Refusal(
            "saml.name_id_missing",
            "Your membership record lacks what this application knows you by. Please ask us to complete it.",
            expected=f"a value for {source}",
        )
    return values[0]
