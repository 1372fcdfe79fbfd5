"""What a new password must be (S81): long; nothing that everybody knows; not the name of its owner or of the house. No composition rules
of ours. Where iMIS has some, they are said before the first try."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from idp.errors import IdpError
from idp.secret import Secret

_LONGEST = 256
_KNOWN = ("password", "passwort", "qwertyuiop", "letmein", "iloveyou", "welcome", "administrator", "changeme", "1234567890", "abcdefghij")
_FEW = 5  # a password made of fewer different characters is a pattern


class PasswordRefused(IdpError):
    """The new password will not do; the sentence says why."""

    status = 422

    def __init__(self, why: str) -> None:
        super().__init__("account.password_refused", why)


@dataclass(frozen=True)
class PasswordRules:
    """`shortest` counts characters; `more` is what iMIS wants besides, in words."""

    shortest: int = 15
    more: str = ""

    @property
    def sentences(self) -> tuple[str, ...]:
        """For the page, before the first try."""
        own = (f"At least {self.shortest} characters; a few words in a row are good.", "Not your name, and nothing that is easy to guess.")
        return (*own, f"It must be {self.more}.") if self.more else own

    def check(self, password: Secret, *, words: Iterable[str]) -> None:
        """`words` are names that it must not be made of. Raises PasswordRefused."""
        text = password.reveal()
        if not self.shortest <= len(text) <= _LONGEST:
            raise PasswordRefused(f"The password needs at least {self.shortest} characters, and at most {_LONGEST}.")
        if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
            raise PasswordRefused("The password has a character that cannot be stored.")
        if len(set(text.casefold())) < _FEW or self._is_made_of(text.casefold(), words):
            raise PasswordRefused("This password is easy to guess. Please choose another one.")

    def _is_made_of(self, text: str, words: Iterable[str]) -> bool:
        """Whether little is left of it without the names and what everybody knows."""
        known = sorted({word.casefold().strip() for word in words} | set(_KNOWN), key=len, reverse=True)
        for word in (each for each in known if len(each) >= 4):
            text = text.replace(word, "")
        return len(set(text)) < _FEW
