"""Doors: the directories whose members sign in at iMIS itself; and iMIS's own sign-out. What a browser is to visit, said without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from idp.directory import Subject
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret

_LOGIN_2017 = "/AsiCommon/Controls/Shared/FormsAuthentication/Login.aspx?ReturnUrl={return}"  # 7.1: the path is SEEN
WAY_BACK = "{return}"


@dataclass(frozen=True)
class Exit:
    """iMIS's own sign-out, of one directory; without `url` it has none that we know of, and iMIS keeps its sign-in."""

    name: str
    label: str
    url: str = ""

    def visit(self, back: str) -> str:
        """Where the browser is sent, so that it comes to `back` then."""
        return self.url.replace(WAY_BACK, quote(back, safe=""))


@dataclass(frozen=True)
class Door:
    """A sign-in page of iMIS. `name` is the directory's among several, or empty; `label` what members call their account there.

    `whose` tells who is behind a refresh token (imis-redirect) or a login cookie named `cookie` (imis-cookie): None for nobody. It
    raises DirectoryUnavailable. `origins` are those from which iMIS's pages post.
    """

    name: str
    kind: Literal["imis-redirect", "imis-cookie"]
    label: str
    url: str
    whose: Callable[[Secret], Subject | None] = field(repr=False)
    exit: Exit
    cookie: str = ""
    origins: tuple[str, ...] = ()

    def visit(self, back: str) -> str:
        """Where the browser is sent to sign in. "imis-redirect" knows its way back: it is written down in iMIS (3.2)."""
        return self.url.replace(WAY_BACK, quote(back, safe=""))


@dataclass(frozen=True)
class Ways:
    """How members may sign in, and of what else they are signed out. `form`: whether our own page takes passwords."""

    doors: tuple[Door, ...] = ()
    form: bool = True
    exit_of: Callable[[str], Exit | None] = lambda _: None
    """The exit of a member's directory, by the member's id; None where nothing is to be said of it."""
    exits: tuple[Exit, ...] = ()
    """All that can be visited."""

    def door(self, name: str) -> Door | None:
        return next((door for door in self.doors if door.name == name), None)


def make_door(name: str, settings: ImisRestSettings, whose: Callable[[Secret], Subject | None]) -> Door:
    """The door that the settings describe."""
    assert settings.sign_in != "form"
    own = f"/{settings.client_id}.aspx" if settings.sign_in == "imis-redirect" else _LOGIN_2017  # 3.2, SEEN: named like the Client ID
    url = settings.sign_in_url or settings.site_url + own
    return Door(
        name,
        settings.sign_in,
        settings.account_name,
        url,
        whose,
        Exit(name, settings.account_name, settings.logout_url),
        cookie=settings.login_cookie,
        origins=tuple({_origin(each) for each in (url, settings.site_url)}),
    )


def make_exit(name: str, settings: ImisRestSettings) -> Exit | None:
    """None where our own page takes the password and iMIS's sign-out is not known: there may be nothing to leave."""
    if settings.sign_in == "form" and not settings.logout_url:
        return None
    return Exit(name, settings.account_name, settings.logout_url)


def _origin(url: str) -> str:
    """As a browser writes it (RFC 6454 §6.1): in small letters, without the usual port."""
    parts = urlsplit(url)
    usual = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else str(parts.hostname)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, usual) else "")
