"""Who is signed in at one vendor. Kept in the vendor's own memory, under a key that its own cookie carries."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from idp.secret import new_secret

_NAMES = ("full_name", "name", "displayName", "username")
Attributes = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Member:
    """What a vendor was told of a member.

    `session` names the sign-in as logout notices name it; `proof` is what the protocol wants back at sign-out.
    """

    subject: str
    attributes: Attributes
    session: str
    proof: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        found = (values[0] for name in _NAMES if (values := self.attributes.get(name)))
        return next(found, self.subject)


class Members:
    """The sessions of one vendor. Several threads may use them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._members: dict[str, Member] = {}

    def open(self, member: Member) -> str:
        """The new session's key."""
        key = new_secret()
        with self._lock:
            self._members[key] = member
        return key

    def get(self, key: str) -> Member | None:
        with self._lock:
            return self._members.get(key)

    def close(self, key: str) -> Member | None:
        """Whoever was signed in under the key."""
        with self._lock:
            return self._members.pop(key, None)

    def close_all_of(self, session: str) -> int:
        """Ends what belongs to one sign-in, in whatever browser; how many there were."""
        with self._lock:
            keys = [key for key, member in self._members.items() if member.session == session]
            for key in keys:
                del self._members[key]
        return len(keys)


def texts(value: object) -> tuple[str, ...]:
    """The values of a claim or field, which may be one or a list."""
    values: Iterable[object] = value if isinstance(value, list | tuple) else [value]
    return tuple(str(each) for each in values if each not in (None, ""))
