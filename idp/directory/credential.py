"""User names and passwords as they are typed: what may be compared, what may be sent, and the passwords a people file may hold."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from typing import Protocol

from idp.secret import Secret, digest

_LONGEST_NAME = 320  # the longest e-mail address (RFC 3696 erratum 1690); longer than any iMIS user name
_LONGEST_PASSWORD = 1024  # S81 wants 64 at least
_COST, _BLOCK, _LANES = 2**14, 8, 1  # scrypt: 16 MB and some 40 ms for each try
_MOST_MEMORY = 256 * 1024 * 1024


def fold(username: str) -> str:
    """The form in which two spellings of one user name are equal: iMIS ignores case (facts on iMIS 5.1, INFERRED).

    Full-width letters equal plain ones too, as in the usual collations of iMIS's database (INFERRED).
    """
    return unicodedata.normalize("NFKC", username.strip()).casefold()


def usable(username: str, password: Secret) -> bool:
    """Whether the pair can be anybody's: there, of sane length, and writable as UTF-8 (half a surrogate pair is not)."""
    texts = (username.strip(), password.reveal())
    if not all(texts) or len(texts[0]) > _LONGEST_NAME or len(texts[1]) > _LONGEST_PASSWORD:
        return False
    return not any("\ud800" <= character <= "\udfff" for text in texts for character in text)


class StoredPassword(Protocol):
    """What a people file knows of a password."""

    def matches(self, password: Secret) -> bool:
        """Whether this is the password; in constant time."""


@dataclass(frozen=True)
class ClearPassword:
    """A password in the clear: for trials only."""

    text: Secret

    def matches(self, password: Secret) -> bool:
        return password.matches(digest(self.text.reveal()))


@dataclass(frozen=True)
class ScryptPassword:
    """A password as its scrypt hash (RFC 7914)."""

    cost: int
    block: int
    lanes: int
    salt: bytes
    key: bytes

    def matches(self, password: Secret) -> bool:
        return hmac.compare_digest(_scrypt(password, self.salt, self.cost, self.block, self.lanes), self.key)

    def __str__(self) -> str:
        salt, key = (base64.b64encode(part).decode() for part in (self.salt, self.key))
        return f"scrypt${self.cost}${self.block}${self.lanes}${salt}${key}"


def hash_password(password: Secret) -> ScryptPassword:
    """The password's hash with a fresh salt; `str` of it goes into a people file."""
    salt = secrets.token_bytes(16)
    return ScryptPassword(_COST, _BLOCK, _LANES, salt, _scrypt(password, salt, _COST, _BLOCK, _LANES))


def read_hash(text: str) -> ScryptPassword:
    """The hash from its text `scrypt$N$r$p$SALT$KEY`, salt and key in base64. ValueError if it is not one, never with the text in it."""
    try:
        name, cost, block, lanes, salt, key = text.split("$")
        found = ScryptPassword(int(cost), int(block), int(lanes), _decode(salt), _decode(key))
    except (ValueError, binascii.Error):
        raise ValueError('a password_hash looks like "scrypt$16384$8$1$SALT$KEY"') from None
    power_of_two = found.cost > 1 and not found.cost & (found.cost - 1)
    memory = 128 * found.cost * found.block * max(found.lanes, 1)
    if name != "scrypt" or not power_of_two or min(found.block, found.lanes) < 1 or memory > _MOST_MEMORY or len(found.key) != 32:
        raise ValueError("a password_hash is scrypt with a cost that is a power of two, at most 256 MB of memory and a key of 32 bytes")
    return found


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _scrypt(password: Secret, salt: bytes, cost: int, block: int, lanes: int) -> bytes:
    return hashlib.scrypt(password.reveal().encode(), salt=salt, n=cost, r=block, p=lanes, maxmem=2 * _MOST_MEMORY, dklen=32)
