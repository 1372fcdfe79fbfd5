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
from idp.errors import AccessDenied, BadRequest, CannotTell, LoginRequired, Refusal, Unavailable, new_reference
from idp.secret import digest, new_id
from idp.sso.answer import Answer, Login, Page, Resume, hand_over
from idp.sso.client import Client, Clients
from idp.sso.consent import ConsentRequired, Consents, Discloses
from idp.sso.entry import EntryDenied, Objection, objection_to_grant
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol, Grant, SignOnRequest
from idp.sso.session import Participant, Session, Sessions
from idp.sso.subject import Subjects
from idp.store import Record, Store
from idp.store.reading import read_as

_CLIENT = "~"  # stands between a request's own id and its client
_PENDING_LIFE = 86400  # the sign-in page may stay open for a day
_MOST_PENDING = 20  # of one browser: more tabs than anybody signs in from; the oldest make room
_SKEW = 10  # seconds by which the clocks of two of our servers may differ (F16)
_JUST_NOW = 60  # seconds; a login must meet the smallest `max_age` in spite of the way back from the sign-in page


@dataclass(frozen=True)
class Pending:
    """A request that waits since `asked`. `asked_at_login` names the login that was there when a new one was asked for ("" for none);
    None means that the request was not looked at yet, because it came without the browser's cookies. `shown` is what the member was asked
    to share."""

    id: str
    request: SignOnRequest
    asked_at_login: str | None
    asked: int
    shown: tuple[str, ...] = ()


class PendingGone(BadRequest):
    """The request is not waiting any more, or it is another browser's: it was completed, or a day has passed. Its id still names the
    client, so that the page can lead there."""

    def __init__(self, request_id: str = "") -> None:
        super().__init__(
            "signon.pending_gone",
            "This sign-in was completed before, was begun in another browser, or is too old. Go back to the application and start again.",
            client_id=request_id.partition(_CLIENT)[2][:128],
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
        self.consents = Consents(store, now=now)

    def start(self, request: SignOnRequest, browser: str, session: Session | None) -> Answer:
        """The answer to a request of which this browser's session is known."""
        return self._start(request, browser, session, _id_for(request))

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
        record = stored.record
        shown = tuple(record.get("shown", ()))
        return Pending(request_id, _request(record["request"]), record["asked_at_login"], record["asked"], shown)

    def needs_login(self, pending: Pending, session: Session | None) -> bool:
        """Whether the member still has to sign in before the request goes on.

        By the login's own id, since within one second an old login could meet a fresh request; and by the clock, since the request
        may have been sent without the session's cookie, so that the login there was is not known.
        """
        if pending.asked_at_login is None:
            return False
        if session is None or session.login_id == pending.asked_at_login:
            return True
        if wants_dated_login(pending.request) and not session.dated:
            return True
        if _wants_new_login(pending.request):
            return session.auth_time < pending.asked - _SKEW
        return pending.request.max_age is not None and self._now() - session.auth_time > max(pending.request.max_age, _JUST_NOW)

    def resume(self, request_id: str, browser: str, session: Session | None, *, held: str = "") -> Answer:
        """Goes on with a waiting request; `held` is the secret of one that was held. Raises PendingGone."""
        pending = self.pending(request_id, browser) or self.pending(request_id, held)
        if pending is None:
            raise PendingGone(request_id)
        if self.needs_login(pending, session):
            return Login(request_id)
        if self._store.take("pending", request_id) is None:
            raise PendingGone(request_id)  # a second tab or a double click was quicker
        if pending.asked_at_login is None or session is None:
            return self._start(pending.request, browser, session, request_id)
        return self._answer(pending.request, browser, session, request_id)

    def cancel(self, request_id: str, browser: str, refusal: Refusal | None = None) -> Answer:
        """The member does not want to sign in, or cannot for the reason given; the session, if there is one, stays as it was (V61).
        Raises PendingGone."""
        pending = self.pending(request_id, browser)
        if pending is None or self._store.take("pending", request_id) is None:
            raise PendingGone(request_id)
        return self.refuse(pending.request, refusal or AccessDenied("signon.cancelled", "The member chose not to sign in."))

    def agree(self, request_id: str, browser: str, session: Session | None) -> Answer:
        """The member lets the client see what the page showed. Raises PendingGone."""
        pending = self.pending(request_id, browser)
        if pending is None:
            raise PendingGone(request_id)
        if session is None or self.needs_login(pending, session):
            return Login(request_id)
        if self._store.take("pending", request_id) is None:
            raise PendingGone(request_id)
        return self._answer(pending.request, browser, session, request_id, agreed=pending.shown)

    def disagree(self, request_id: str, browser: str) -> Answer:
        """The member does not want the client to see that. Raises PendingGone."""
        return self.cancel(request_id, browser, AccessDenied("consent.refused", "The member does not want to share this."))

    def revoke_consent(self, session: Session, client_id: str) -> None:
        """The member takes a yes back: with it goes what was issued under it."""
        client = self._clients.get(client_id)
        if not self.consents.revoke(session.subject_id, client_id):
            return
        protocol: object = self._protocols.get(client.protocol) if client else None
        if isinstance(protocol, Discloses):
            protocol.withdraw(session.subject_id, client_id)
        self._audit.record("consent.revoked", client=client_id, subject=session.subject_id, session=session.id)

    def decline(self, request_id: str, browser: str) -> Answer:
        """The member, who may not enter, goes back to the client, which is told no and nothing else. Raises PendingGone."""
        pending = self.pending(request_id, browser)
        if pending is None or self._store.take("pending", request_id) is None:
            raise PendingGone(request_id)
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
        answer = self._protocols[request.protocol].refuse(request, refusal, reference)
        return hand_over(answer, refusal.cause) if request.hand_over else answer

    def _answer(
        self, request: SignOnRequest, browser: str, session: Session, request_id: str, *, agreed: tuple[str, ...] | None = None
    ) -> Answer:
        client = self._client(request)
        try:
            subject = self._subjects.current(session.subject_id, max_age=client.max_age)
        except Unavailable:
            if not request.passive:
                raise
            return self.refuse(request, CannotTell())
        if subject is None:
            self._logout.end_all_of(session.subject_id, reason="subject_gone")  # S49: wherever they are signed in
            return self.start(request, browser, None)
        grant = Grant(client, session, subject, client.release.apply(subject, self._now))
        if objection := objection_to_grant(grant, now=self._now()):
            return self._turn_away(request, browser, grant, objection, request_id)
        if (question := self._question(request, grant, agreed)) is not None:
            return self._ask(request, browser, grant, question, request_id)
        try:
            answer, state = self._protocols[request.protocol].respond(request, grant)
        except Refusal as refusal:
            return self.refuse(request, refusal)
        # also a client that is on the list already: when the session ended meanwhile it was told so, and nobody would tell it again
        if state is not None and not self._sessions.join(session.id, Participant(client.id, request.protocol, state, client.incarnation)):
            return self.start(request, browser, None)  # what was made for it must not leave
        self._audit.record(
            "signon.ok",
            client=client.id,
            protocol=request.protocol,
            subject=subject.id,
            session=session.id,
            released=sorted(grant.attributes),
        )
        return hand_over(answer) if request.hand_over else answer

    def _question(self, request: SignOnRequest, grant: Grant, agreed: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """What the member must be asked about; None when there is nothing to ask. What they have just agreed to is remembered."""
        if not request.ask_consent and not grant.client.asks_consent:
            return None
        protocol = self._protocols[request.protocol]
        things = tuple(sorted(protocol.discloses(request, grant) if isinstance(protocol, Discloses) else grant.attributes))
        owner = grant.subject.id, grant.client
        if agreed is not None and set(things) <= set(agreed):
            self.consents.give(*owner, things)
            self._audit.record(
                "consent.given", client=grant.client.id, subject=grant.subject.id, session=grant.session.id, things=list(things)
            )
            return None
        return None if not request.ask_consent and self.consents.covers(*owner, things) else things

    def _ask(self, request: SignOnRequest, browser: str, grant: Grant, things: tuple[str, ...], request_id: str) -> Answer:
        """The page with the question; the request waits under its id for the answer (`agree`, `disagree`)."""
        if request.passive:
            return self.refuse(request, ConsentRequired())
        self._keep(request, browser, "", request_id=request_id, shown=things)
        shown = {"client": grant.client, "session": grant.session, "things": things}
        return Page("consent.html", {"request_id": request_id, **shown})

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
        return request.max_age is None or (session.dated and self._now() - session.auth_time <= request.max_age)

    def _keep(
        self, request: SignOnRequest, browser: str, asked_at_login: str | None, *, request_id: str = "", shown: tuple[str, ...] = ()
    ) -> str:
        request_id, owner = request_id or _id_for(request), digest(browser)
        record: Record = {"request": asdict(request), "browser": owner, "asked_at_login": asked_at_login, "asked": self._now()}
        record |= {"shown": list(shown)} if shown else {}
        others = [each for each in self._store.find("pending", "browser", owner) if each.key != request_id]
        for each in sorted(others, key=lambda each: -int(each.record["asked"]))[_MOST_PENDING - 1 :]:
            self._store.delete("pending", each.key)
        self._store.put("pending", request_id, record, expires=self._now() + _PENDING_LIFE)
        return request_id


def _id_for(request: SignOnRequest) -> str:
    """It names the client for the time when nothing else of the request is left; it proves nothing."""
    return f"{new_id()}{_CLIENT}{request.client_id}"


def wants_dated_login(request: SignOnRequest) -> bool:
    """Whether it matters when the password was typed."""
    return request.fresh or request.max_age is not None


def _wants_new_login(request: SignOnRequest) -> bool:
    """OpenID Connect Core §3.1.2.1: max_age=0 is prompt=login; by the clock alone a login of this second would do."""
    return request.fresh or request.max_age == 0


def _request(fields: Mapping[str, Any]) -> SignOnRequest:
    return read_as(SignOnRequest, fields)
