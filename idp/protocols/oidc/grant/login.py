"""The way back from a token to the sign-on that it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.protocols.oidc.grant.access_token import Access
from idp.protocols.oidc.grant.refresh_token import Lasting
from idp.sso.session import Session


def session_of(lasting: Lasting) -> Session:
    """The sign-on of a family that outlives its session, as it was."""
    return _as_it_was(lasting.login, lasting.subject_id, ends=lasting.ends)


def session_of_access(access: Access) -> Session:
    """The sign-on that an access token comes from, as it was."""
    return _as_it_was(access.login, access.subject_id, ends=0)


def _as_it_was(login: Mapping[str, Any], subject_id: str, *, ends: int) -> Session:
    return Session(
        login["sid"],
        subject_id,
        username="",
        auth_time=login["auth_time"],
        login_id="",
        ends=ends,
        last_seen=login["auth_time"],
        context=login["acr"],
        methods=tuple(login["amr"]),
        dated=login.get("dated", True),
    )
