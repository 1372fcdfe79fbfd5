"""What a look of the doctor is given, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from idp.clock import Now, utc_now
from idp.config import Config, Loaded
from idp.keys import KeyRing, Use
from idp.parts import Parts
from idp.sso.client import Client

DAY = 86400
MONTH = 30  # days


@dataclass(frozen=True)
class Found:
    """One thing that is wrong, or weaker than it need be; a `serious` one makes the command fail."""

    detail: str
    fix: str
    serious: bool = False


@dataclass(frozen=True)
class Advice:
    """The same with the stable id of the check that found it."""

    check: str
    detail: str
    fix: str
    serious: bool = False


@dataclass(frozen=True)
class Patient:
    """All that may be looked at. `parts` is None while the store does not answer."""

    loaded: Loaded
    parts: Parts | None
    now: Now = utc_now

    @property
    def config(self) -> Config:
        return self.loaded.config

    def ring(self, use: Use) -> KeyRing:
        return KeyRing(self.config.keys.folder, use=use, now=self.now)

    def clients(self, protocol: str = "") -> list[Client]:
        """Those of one protocol, or all. While the store does not answer, those of the file alone."""
        known = self.parts.clients.snapshot().clients.values() if self.parts else self.loaded.file_clients()
        return [client for client in known if protocol in ("", client.protocol)]


Look = Callable[[Patient], Iterator[Found]]
"""Looks at one thing. What cannot be looked at (IdpError, OSError) is left out: other parts of `idp check` say that."""
