"""Members who are signed in at iMIS itself: by the refresh token that its SSO page posts (facts on iMIS, 3.3), or its login cookie (3.6).

Neither LoginStatusRedirect nor anything else that a browser merely claims is asked: its ID is unsigned (7.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from idp.clock import Now
from idp.directory import DirectoryUnavailable, Subject
from idp.directory.credential import fold, usable
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_fields import text
from idp.directory.imis_soap import MembershipService, cookie_value
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret, digest
from idp.store import Store, StoreUnavailable

_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_LONGEST_LIFE = 14 * 86400  # of a refresh token: 10080 minutes are the longest that was seen (2.4), and twice that
_OUR_FAULT = ("invalid_client", "unauthorized_client", "unsupported_grant_type")  # 2.2: UNKNOWN; invalid_clientId begins alike


class BrowserDoor:
    """Tells whose token or cookie it is. `by_username` reads the contact."""

    def __init__(
        self,
        settings: ImisRestSettings,
        api: ImisApi | None,
        service: MembershipService | None,
        by_username: Callable[[str, Deadline], Subject | None],
        *,
        store: Store,
        now: Now,
    ) -> None:
        self._settings = settings
        self._api = api
        self._service = service
        self._by_username = by_username
        self._store = store
        self._now = now

    def exchange(self, refresh_token: Secret, deadline: Deadline) -> Subject | None:
        """Whose refresh token it is. iMIS may accept one several times (12 row 2, UNKNOWN); we do not."""
        if self._api is None or self._settings.client_secret is None:
            raise DirectoryUnavailable("sign-in at iMIS: client_id, client_secret and the service account are not set")
        if not _TOKEN.fullmatch(refresh_token.reveal()) or not self._first_time(refresh_token):
            return None
        form = {
            "grant_type": "refresh_token",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.reveal(),
            "refresh_token": refresh_token.reveal(),
        }
        reply = self._api.grant(form, deadline)
        body = reply.body if isinstance(reply.body, dict) else {}
        if reply.status != 200:
            _check_refusal(reply.status, text(body.get("error")))
            return None
        if not body.get("access_token") or not text(body.get("userName")):
            raise DirectoryUnavailable("POST /token: an answer without access_token or userName")
        return self._member(text(body.get("userName")), deadline)

    def subject_of_cookie(self, login_cookie: Secret, deadline: Deadline) -> Subject | None:
        """Whose login cookie it is: GetUserName of the membership service answers for the cookie alone (7.2)."""
        if self._service is None or not self._settings.login_cookie:
            raise DirectoryUnavailable("login cookies of iMIS: login_cookie is not set")
        if not cookie_value(login_cookie):
            return None
        found = self._service.call("GetUserName", {}, deadline, cookie=login_cookie)
        if found is not None and len(found) != 1:
            raise DirectoryUnavailable("GetUserName of the membership service: not one name")
        return self._member(found[0], deadline) if found and found[0] else None

    def _member(self, username: str, deadline: Deadline) -> Subject | None:
        """Never a guest, who has a token too (3.3), nor the service account; whoever has no login any more is nobody."""
        nobody = {fold(name) for name in (*self._settings.guest_names, self._settings.service_username)}
        if fold(username) in nobody or not usable(username, Secret("x")):
            return None
        subject = self._by_username(username, deadline)
        return subject if subject is not None and subject.active else None

    def _first_time(self, refresh_token: Secret) -> bool:
        try:
            key = f"imis_refresh:{digest(refresh_token.reveal())}"
            return self._store.put_new("replay", key, {}, expires=self._now() + _LONGEST_LIFE)
        except StoreUnavailable as error:
            raise DirectoryUnavailable(f"the store, where used tokens stand: {error.received}") from None


def _check_refusal(status: int, error: str) -> None:
    """Nothing where the token is not good; DirectoryUnavailable where it is we who are refused."""
    if status != 400 or not error or error.lower().startswith(_OUR_FAULT):
        raise DirectoryUnavailable(f"POST /token: iMIS refuses the client application ({status}): check client_id and client_secret")
