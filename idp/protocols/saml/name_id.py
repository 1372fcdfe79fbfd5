"""NameID: which identifier a service provider gets for a member (Core section 8.3, IIP-IDP10).

By default a persistent one that no two service providers share (S64). Nothing is stored for it: it is computed, so
AllowCreate has nothing to allow or forbid.
"""

from __future__ import annotations

from collections.abc import Callable

from idp.directory import Subject
from idp.errors import Refusal
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.provider import Known
from idp.protocols.saml.settings import EMAIL, NO_NAME_ID, PERSISTENT, TRANSIENT, UNSPECIFIED

Pairwise = Callable[[str, str], str]
"""From an entity ID and a subject's id to the member's identifier there: stable, lower-case base32, and no way back (IIP-IDP21)."""


class NameIds:
    """Chooses formats and makes identifiers."""

    def __init__(self, issuer: str, *, pairwise: Pairwise, new_id: Callable[[], str]) -> None:
        self._issuer = issuer
        self._pairwise = pairwise
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

    def make(self, asked: str, known: Known, subject: Subject) -> NameId | None:
        """The member's identifier; None where none is to be sent (IIP-IDP11). Raises Refusal when the member has no such value."""
        chosen = self.format(asked, known)
        if chosen == NO_NAME_ID:
            return None
        source = known.settings.name_id_source or ("email" if chosen == EMAIL else "")
        if source:
            return NameId(_first_value(subject, source), chosen)
        entity_id = known.provider.entity_id
        # a transient identifier is made for one answer and never used again (Core section 8.3.8)
        value = self._new_id() if chosen == TRANSIENT else self._pairwise(entity_id, subject.id)
        return NameId(value, chosen, self._issuer, entity_id)


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
