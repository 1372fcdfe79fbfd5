"""Secrets: a type that does not print itself, the one source of randomness, and the digest that stores keep."""

from __future__ import annotations

import hashlib
import hmac
import secrets


class Secret:
    """A text that must reach neither a log nor an error; `reveal()` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def matches(self, digest_of_other: str) -> bool:
        """Whether this is the secret behind a stored digest, in constant time (S27)."""
        return hmac.compare_digest(digest(self._value).encode(), digest_of_other.encode())

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(_bytes(self._value), _bytes(other._value))

    def __hash__(self) -> int:
        return hash(digest(self._value))

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


def new_secret() -> str:
    """A fresh unguessable text of 256 bits, safe in a URL (S71, S94 ask for 160 bits at least)."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """A fresh public identifier of 128 bits: unique, but proof of nothing. Starts with a letter, as an XML ID must."""
    return "_" + secrets.token_hex(16)


def digest(value: str) -> str:
    """SHA-256 in hex: what the store keeps in place of a secret of full entropy."""
    return hashlib.sha256(_bytes(value)).hexdigest()


def _bytes(value: str) -> bytes:
    """UTF-8; what a stranger sends may hold half a surrogate pair (JSON's `"\\ud800"`), which is a wrong secret and no failure of ours."""
    return value.encode("utf-8", "surrogatepass")
