"""Notice: how one client is told that a session has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from idp.sso.answer import SharedCookie


@dataclass(frozen=True)
class Letter:
    """What goes to a client's server in place of a form, and whether its answer means that it did as it was told."""

    body: bytes = field(repr=False)
    content_type: str
    accepts: Callable[[bytes], bool] = field(repr=False, compare=False)


@dataclass(frozen=True)
class BackChannel:
    """Our server posts a form, or a letter, to the client's server: no browser involved, its answer proves the logout.
    A cookie that the client shared with us is cleared beside."""

    url: str
    fields: Mapping[str, str] = field(repr=False)
    cookie: SharedCookie | None = None
    letter: Letter | None = None


@dataclass(frozen=True)
class FrontChannel:
    """The browser is sent there, top level, and comes back with an answer that names `reply_to`. With `fields` it posts them there."""

    url: str
    reply_to: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Frame:
    """A frame in our logout page: the client is asked, nothing proves that it heard (third-party cookies)."""

    url: str


@dataclass(frozen=True)
class ClearCookie:
    """The shared cookie goes with our own answer."""

    cookie: SharedCookie


Notice = BackChannel | FrontChannel | Frame | ClearCookie


@dataclass(frozen=True)
class Outcome:
    """Whether a client's server said yes, or else the cause, such as `outbound.timeout`."""

    heard: bool
    cause: str = ""

    @property
    def silent(self) -> bool:
        """Whether it may have been understood all the same: only the answer did not come in time."""
        return self.cause == "outbound.timeout"

    @property
    def unreachable(self) -> bool:
        """Whether there was nobody to say yes or no."""
        return self.cause in ("outbound.timeout", "outbound.connection", "outbound.name_unknown", "outbound.tls")


class Messenger(Protocol):
    """Carries back-channel notices; `web/outbound.py` does it over HTTP."""

    def deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        """Posts them all at once, and comes back after that many seconds at the latest, whoever has answered by then."""
