"""RequestedAuthnContext: whether a sign-in meets what a request asks for, and which class the answer states (Core section 3.3.2.2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from idp.sso.session import Session

_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
PREVIOUS_SESSION = _CLASSES + "PreviousSession"
"""Somebody signed in at some time, in some way (Authentication Context section 3.4.8)."""
WEAKEST_FIRST = tuple(_CLASSES + name for name in ("unspecified", "PreviousSession", "Password", "PasswordProtectedTransport"))
"""The order where nothing else is configured. A class that does not stand in the order is met by itself alone."""


class ContextOrder:
    """Authentication context classes, the weakest first; each counts as every weaker one, too."""

    def __init__(self, weakest_first: Sequence[str] = WEAKEST_FIRST) -> None:
        self._ranks = {name: rank for rank, name in enumerate(weakest_first)}

    def state(self, asked: Sequence[str] | None, comparison: str, achieved: str) -> str | None:
        """The class to state after a sign-in of the class `achieved`; None when that is not what was asked for (S66, IIP-IDP08).

        With "exact" and "maximum" it is the class that was asked for, even when more was achieved: the asker compares texts.
        """
        if asked is None:
            return achieved
        match comparison:
            case "better":
                return achieved if asked and all(self._exceeds(achieved, each) for each in asked) else None
            case "minimum":
                return achieved if any(self._meets(achieved, each) for each in asked) else None
            case "maximum":
                return self._at_most(asked, achieved)
            case _:
                return next((each for each in asked if self._meets(achieved, each)), None)

    def names(self) -> tuple[str, ...]:
        """All classes of the order, the weakest first."""
        return tuple(self._ranks)

    def _at_most(self, asked: Sequence[str], achieved: str) -> str | None:
        """What was achieved if it does not exceed every class asked for, else the strongest of these: it was achieved on the way."""
        if any(each == achieved or self._exceeds(each, achieved) for each in asked):
            return achieved
        met = [each for each in asked if self._meets(achieved, each)]
        return max(met, key=lambda each: self._ranks[each], default=None)

    def _meets(self, achieved: str, asked: str) -> bool:
        return achieved == asked or self._exceeds(achieved, asked)

    def _exceeds(self, one: str, other: str) -> bool:
        return one in self._ranks and other in self._ranks and self._ranks[one] > self._ranks[other]


def achieved_in(session: Session) -> str:
    """The class of what AuthnInstant dates. Where iMIS vouched for the member, that was no password: it was typed at some other time."""
    return session.context if session.dated else PREVIOUS_SESSION


def read_context(message: Any) -> tuple[list[str] | None, str]:
    """The classes that a request asks for, None when it leaves that open, and its Comparison; declarations are not supported."""
    asked = message.requested_authn_context
    if asked is None:
        return None, "exact"
    return [str(each.text or "").strip() for each in asked.authn_context_class_ref], str(asked.comparison or "exact")
