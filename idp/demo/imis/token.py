"""iMIS's token endpoint (facts on iMIS, section 2): password and refresh grants, one living access token for each user."""

from __future__ import annotations

import email.utils
import hmac
import threading
from collections import Counter
from dataclasses import dataclass

from flask import Blueprint, Response, request

from idp.clock import Now
from idp.demo.imis.answer import reply
from idp.demo.imis.association import Association, Verdict
from idp.demo.imis.settings import SimulatorSettings
from idp.directory.people_file import Person
from idp.secret import new_secret

GUEST = "guest"
"""Whom a refresh token is for when nobody is signed in (3.3, SEEN)."""


@dataclass(frozen=True)
class _Grant:
    """To whom a token was given, and until when it is good."""

    person_id: str
    expires: int


class Tokens:
    """All tokens that are alive."""

    def __init__(self, settings: SimulatorSettings, *, now: Now) -> None:
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._access: dict[str, _Grant] = {}
        self._refresh: dict[str, _Grant] = {}
        self.issued: Counter[str] = Counter()
        """Access tokens given out, by user name."""

    def issue(self, person: Person) -> str:
        """A new access token. The previous one of the same user is dead from now on (2.4, SEEN)."""
        token = new_secret()
        with self._lock:
            self._access = {old: grant for old, grant in self._access.items() if grant.person_id != person.id}
            self._access[token] = _Grant(person.id, self._now() + self._settings.token_seconds)
            self.issued[person.username] += 1
        return token

    def issue_refresh(self, person: Person) -> str:
        """A refresh token, as the password grant and the SSO page give it (2.3, 3.3)."""
        token = new_secret()
        with self._lock:
            self._refresh[token] = _Grant(person.id, self._now() + self._settings.refresh_seconds)
        return token

    def holder(self, token: str) -> str | None:
        """The id of the user that an access token was given to."""
        return self._living(self._access.get(token))

    def refresh_holder(self, token: str) -> str | None:
        """The same of a refresh token, which this may use up."""
        with self._lock:
            grant = self._refresh.pop(token, None) if self._settings.refresh_reuse == "once" else self._refresh.get(token)
        return self._living(grant)

    def purge(self) -> None:
        """Somebody presses "Purge System Cache", or the site restarts: every token is dead, refresh tokens too (2.4, SEEN)."""
        with self._lock:
            self._access = {}
            self._refresh = {}

    def _living(self, grant: _Grant | None) -> str | None:
        return grant.person_id if grant and grant.expires > self._now() else None


class TokenEndpoint:
    """POST /token. Field names in any case (2.1, SEEN); so is the path, by `app`."""

    def __init__(self, settings: SimulatorSettings, association: Association, tokens: Tokens, *, now: Now) -> None:
        self._settings = settings
        self._association = association
        self._tokens = tokens
        self._now = now

    def pages(self) -> Blueprint:
        blueprint = Blueprint("token", __name__)
        blueprint.add_url_rule("/token", "token", self.answer, methods=["POST"])
        return blueprint

    def answer(self) -> Response:
        fields = {name.lower(): value for name, value in request.form.items()}
        grant = fields.get("grant_type", "").lower()
        if grant == "password":
            return self._password_grant(fields)
        if grant == "refresh_token":
            return self._refresh_grant(fields)
        return _refuse("unsupported_grant_type")  # 2.2, INFERRED

    def _password_grant(self, fields: dict[str, str]) -> Response:
        username = fields.get("username", "")
        verdict = self._association.check_password(username, fields.get("password", ""))
        person = self._association.by_username(username)
        if person is None or verdict != "right":
            return self._invalid_grant(verdict)
        if self._settings.remote_service_role not in ("", *person.attributes.get("roles", ())):
            return self._invalid_grant("no RemoteService")
        return self._give(person)

    def _refresh_grant(self, fields: dict[str, str]) -> Response:
        """The exchange after the SSO page (2.3): client and secret in the body."""
        secret = dict(self._settings.client_applications).get(fields.get("client_id", ""))
        if secret is None or not hmac.compare_digest(secret.encode(), fields.get("client_secret", "").encode()):
            return _refuse("invalid_clientId")  # 2.2, UNKNOWN
        person_id = self._tokens.refresh_holder(fields.get("refresh_token", ""))
        if person_id == GUEST:
            return self._give(Person(GUEST, username=self._settings.guest_name))
        person = self._association.by_id(person_id) if person_id else None
        return self._give(person) if person and person.active else self._invalid_grant("wrong")

    def _give(self, person: Person) -> Response:
        seconds = self._settings.token_seconds
        body = {
            "access_token": self._tokens.issue(person),
            "token_type": "bearer",  # INFERRED
            "expires_in": seconds,
            "refresh_token": self._tokens.issue_refresh(person),
            "userName": person.username,
            ".issued": email.utils.formatdate(self._now(), usegmt=True),  # INFERRED: OWIN
            ".expires": email.utils.formatdate(self._now() + seconds, usegmt=True),
        }
        return reply(body)

    def _invalid_grant(self, why: Verdict | str) -> Response:
        """400 for all; whether a lock or a disabled login has a text of its own is UNKNOWN (2.2)."""
        text = self._settings.refused_text
        return _refuse("invalid_grant", f"{text} ({why})" if self._settings.verbose_refusals else text)


def _refuse(error: str, description: str = "") -> Response:
    return reply({"error": error, **({"error_description": description} if description else {})}, 400)
