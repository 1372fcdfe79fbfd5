"""SignOn: the one sequence between a client's request and its answer.

1. A live session, fresh enough for this request? Go to 3. None, and the client forbade to ask? Refuse.
2. Keep the request as *pending*, bound to this browser, and show the sign-in page; after a good login `resume` is the only way back.
3. May this client have this member? What may it see of them? If not, the member reads why, and the client is told no when they go on.
4. The protocol makes the answer; the client joins the session's participants; only then does the answer leave, with one audit event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from idp.audit import Audit
from idp.clock import Now
from idp.errors import AccessDenied, BadRequest, LoginRequired, Refusal, new_reference
from idp.secret import digest, new_id
from idp.sso.answer import Answer, Login, Page, Resume
from idp.sso.attribute import today_of
from idp.sso.client import Client, Clients
from idp.sso.entry import EntryDenied, Objection, lacking, objection_to, ungraced
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol, Grant, SignOnRequest
from idp.sso.session import GRACE, Participant, Session, Sessions
from idp.sso.subject import Subjects
from idp.store import Record, Store

_PENDING_LIFE = 86400  # the sign-in page may stay open for a day
_SKEW = 10  # seconds by which the clocks of two of our servers may differ (F16)
_JUST_NOW = 60  # seconds; a login must meet the smallest `max_age` in spite of the way back from the sign-in page


@dataclass(frozen=True)
class Pending:
    """A request that waits since `asked`. `asked_at_login` names the login that was there when a new one was asked for ("" for none);
    None means that the request was not looked at yet, because it came without the browser's cookies."""

    id: str
    request: SignOnRequest
    asked_at_login: str | None
    asked: int


class PendingGone(BadRequest):
    """The request is not waiting any more, or it is another browser's: it was completed, or a day has passed."""

    def __init__(self) -> None:
        super().__init__(
            "signon.pending_gone",
            "This sign-in was completed before, was begun in another browser, or is too old. Go back to the application and start again.",
        )


class SignOn:
    """The sequence. `browser` is the secret of the browser's own cookie: it alone may finish what it began (S11)."""

    def __init__(
        self,
        *,
        clients: Clients,
        sessions: Sessions,
        subjects: Subjects,
        protocols: Mapping[str, ClientProtocol],
        logout: Logout,
        store: Store,
        audit: Audit,
        now: Now,
    ) -> None:
        self._clients = clients
        self._sessions = sessions
        self._subjects = subjects
        self._protocols = protocols
        self._logout = logout
        self._store = store
        self._audit = audit
        self._now = now

    def start(self, request: SignOnRequest, browser: str, session: Session | None) -> Answer:
        """The answer to a request of which this browser's session is known."""
        return self._start(request, browser, session, new_id())

    def _start(self, request: SignOnRequest, browser: str, session: Session | None, request_id: str) -> Answer:
        if session is not None and self._is_fresh_enough(request, session):
            return self._answer(request, browser, session, request_id)
        if request.passive:
            return self.refuse(request, LoginRequired())
        return Login(self._keep(request, browser, session.login_id if session else ""))

    def hold(self, request: SignOnRequest, browser: str) -> Resume:
        """Keeps a request that came by a cross-site POST, and asks the browser to come back with its cookies. As its own secret
        cannot be seen now, `browser` is a secret made for this request."""
        return Resume(self._keep(request, browser, None))

    def pending(self, request_id: str, browser: str) -> Pending | None:
        """The waiting request, if it is this browser's."""
        stored = self._store.get("pending", request_id)
        if stored is None or stored.record["browser"] != digest(browser):
            return None
        return Pending(request_id, _request(stored.record["request"]), stored.record["asked_at_login"], stored.record["asked"])

    def needs_login(self, pending: Pending, session: Session | None) -> bool:
        """Whether the member still has to sign in before the request goes on.

        By the login's own id, since within one second an old login could meet a fresh request; and by the clock, since the request
        may have been sent without the session's cookie, so that the login there was is not known.
        """
        if pending.asked_at_login is None:
            return False
        if session is None or session.login_id == pending.asked_at_login:
            return True
        if _wants_new_login(pending.request):
            return session.auth_time < pending.asked - _SKEW
        return pending.request.max_age is not None and self._now() - session.auth_time > max(pending.request.max_age, _JUST_NOW)

    def resume(self, request_id: str, browser: str, session: Session | None, *, held: str = "") -> Answer:
        """Goes on with a waiting request; `held` is the secret of one that was held. Raises PendingGone."""
        pending = self.pending(request_id, browser) or self.pending(request_id, held)
        if pending is None:
            raise PendingGone
        if self.needs_login(pending, session):
            return Login(request_id)
        if self._store.take("pending", request_id) is None:
            raise PendingGone  # a second tab or a double click was quicker
        if pending.asked_at_login is None or session is None:
            return self._start(pending.request, browser, session, request_id)
        return self._answer(pending.request, browser, session, request_id)

    def cancel(self, request_id: str, browser: str) -> Answer:
        """The member does not want to sign in; the session, if there is one, stays as it was (V61). Raises PendingGone."""
        pending = self.pending(request_id, browser)
        if pending is None or self._store.take("pending", request_id) is None:
            raise PendingGone
        return self.refuse(pending.request, AccessDenied("signon.cancelled", "The member chose not to sign in."))

    def decline(self, request_id: str, browser: str) -> Answer:
        """The member, who may not enter, goes back to the client, which is told no and nothing else. Raises PendingGone."""
        pending = self.pending(request_id, browser)
        if pending is None or self._store.take("pending", request_id) is None:
            raise PendingGone
        return self.refuse(pending.request, EntryDenied())

    def refuse(self, request: SignOnRequest, refusal: Refusal) -> Answer:
        """Tells the client no in its own protocol, and the audit log why. Raises BadRequest when the client is gone, address and all."""
        self._client(request)
        reference = new_reference()
        self._audit.record(
            "signon.refused",
            cause=refusal.cause,
            reference=reference,
            client=request.client_id,
            protocol=request.protocol,
            expected=refusal.expected,
            received=refusal.received,
        )
        return self._protocols[request.protocol].refuse(request, refusal, reference)

    def _answer(self, request: SignOnRequest, browser: str, session: Session, request_id: str) -> Answer:
        client = self._client(request)
        subject = self._subjects.current(session.subject_id, max_age=client.max_age)
        if subject is None:
            self._logout.end_all_of(session.subject_id, reason="subject_gone")  # S49: wherever they are signed in
            return self.start(request, browser, None)
        grant = Grant(client, session, subject, client.release.apply(subject, self._now))
        if objection := self._objection(grant):
            return self._turn_away(request, browser, grant, objection, request_id)
        try:
            answer, state = self._protocols[request.protocol].respond(request, grant)
        except Refusal as refusal:
            return self.refuse(request, refusal)
        # also a client that is on the list already: when the session ended meanwhile it was told so, and nobody would tell it again
        if not self._sessions.join(session.id, Participant(client.id, request.protocol, state)):
            return self.start(request, browser, None)  # what was made for it must not leave
        self._audit.record(
            "signon.ok",
            client=client.id,
            protocol=request.protocol,
            subject=subject.id,
            session=session.id,
            released=sorted(grant.attributes),
        )
        return answer

    def _objection(self, grant: Grant) -> Objection | None:
        if grant.session.context == GRACE and not grant.client.grace:
            return ungraced()
        objection = objection_to(grant.subject, grant.client.entry, today=today_of(self._now()))
        missing = grant.client.release.missing(grant.attributes)
        return objection or (lacking(missing) if missing else None)

    def _turn_away(self, request: SignOnRequest, browser: str, grant: Grant, objection: Objection, request_id: str) -> Answer:
        """A page of ours with the reason, or the refusal at once where no page may be shown. The request waits under its id: the member
        may renew and come back to it, or go back to the client, which is refused then."""
        reference = new_reference()
        self._audit.record(
            "signon.turned_away",
            cause=objection.cause,
            reference=reference,
            client=grant.client.id,
            subject=grant.subject.id,
            session=grant.session.id,
            missing=", ".join(objection.missing),
        )
        if request.passive:
            return self.refuse(request, EntryDenied())
        self._keep(request, browser, "", request_id=request_id)
        shown = {"client": grant.client, "session": grant.session, "objection": objection, "reference": reference}
        return Page("turned_away.html", {"request_id": request_id, **shown}, status=403)

    def _client(self, request: SignOnRequest) -> Client:
        client = self._clients.get(request.client_id)
        if client is None or client.protocol != request.protocol:  # removed, or made another, while the member was signing in
            raise BadRequest("client.unknown", "This application is no longer known here.", received=request.client_id)
        return client

    def _is_fresh_enough(self, request: SignOnRequest, session: Session) -> bool:
        if _wants_new_login(request):
            return False
        return request.max_age is None or self._now() - session.auth_time <= request.max_age

    def _keep(self, request: SignOnRequest, browser: str, asked_at_login: str | None, *, request_id: str = "") -> str:
        request_id = request_id or new_id()
        record: Record = {"request": asdict(request), "browser": digest(browser), "asked_at_login": asked_at_login, "asked": self._now()}
        self._store.put("pending", request_id, record, expires=self._now() + _PENDING_LIFE)
        return request_id


def _wants_new_login(request: SignOnRequest) -> bool:
    """OpenID Connect Core §3.1.2.1: max_age=0 is prompt=login; by the clock alone a login of this second would do."""
    return request.fresh or request.max_age == 0


def _request(fields: Mapping[str, Any]) -> SignOnRequest:
    return SignOnRequest(**fields)
