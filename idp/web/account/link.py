"""Linked pages: the addresses of others' account pages, with the way back to us in place of {return}."""

from __future__ import annotations

from urllib.parse import quote

from idp.sso.login import LoginSettings

_PAGES = ("forgot_password_url", "forgot_username_url", "create_account_url", "change_password_url")


def with_way_back(settings: LoginSettings, back: str) -> LoginSettings:
    """[login] as a page that the member is to come back to shows it."""
    there = quote(back, safe="")
    return settings.model_copy(update={name: getattr(settings, name).replace("{return}", there) for name in _PAGES})
