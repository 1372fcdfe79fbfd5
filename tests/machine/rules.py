"""The session machine: hypothesis lets two browsers, their members, the clients, an operator and the clock do what they like, in any
order, with everything that was ever seen; after each step the model says what must be so. The invariants I1... stand in
idp/sso/README.md.

A number that picks among things seen so far counts from the latest, so that small numbers, to which hypothesis shrinks, mean "the last".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, TypeVar
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from .model import Family, Form, Handle, Issued, Model, Sitting, Waiting
from .world import (
    ACCESS_LIFE,
    CODE_LIFE,
    IDLE,
    MEMBERS,
    OIDC,
    PASSWORD,
    TICKET_LIFE,
    VENDORS,
    Jar,
    Reply,
    World,
    client_headers,
    form_token,
    session_named_in,
    sign_on_path,
)

Thing = TypeVar("Thing")
BROWSERS = st.integers(0, 1)
PICKS = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 3, 7])
CLIENTS = st.sampled_from(OIDC + VENDORS)
_MOST_WAITING = 15  # of one browser; with more, the oldest make room, which tests/sso/test_pending.py is about


def pick(things: Sequence[Thing], number: int) -> Thing | None:
    return things[-1 - number % len(things)] if things else None


class SessionMachine(RuleBasedStateMachine):
    """Subclasses say in `make_world` against what it runs."""

    world: World
    met: ClassVar[Counter[str]]
    """How often each thing was met in all machines of this class, "a step" among them: what was never met is not proven."""

    def make_world(self) -> World:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.world = self.make_world()
        self.model = Model(self.world.now)
        self.jars = [Jar(self.world), Jar(self.world)]
        self.before = self.world.notices()

    # what a browser and a client do

    @rule(browser=BROWSERS, clients=st.tuples(CLIENTS, CLIENTS), members=st.tuples(st.sampled_from(MEMBERS), st.sampled_from(MEMBERS)))
    def two_logins_in_one_browser(self, browser: int, clients: tuple[str, str], members: tuple[str, str]) -> None:
        self.a_member_goes_to_a_client(browser=browser, client=clients[0], member=members[0], fresh=False)
        self.a_member_goes_to_a_client(browser=browser, client=clients[1], member=members[1], fresh=True)

    @rule(browser=BROWSERS, client=CLIENTS, member=st.sampled_from(MEMBERS), fresh=st.booleans())
    def a_member_goes_to_a_client(self, browser: int, client: str, member: str, fresh: bool) -> None:
        """All the way, as most do; the other rules go astray from here."""
        known, asked = len(self.model.issued), len(self.model.waiting)
        self.a_client_asks(browser=browser, client=client, kind="fresh" if fresh else "plain", posted=False)
        if len(self.model.waiting) > asked:
            self.the_browser_opens_the_sign_in_page(browser=browser, number=1)
            self.a_member_submits_a_form(browser=browser, number=0, member=member, right=True)
            self.the_browser_goes_on(browser=browser, number=0)
        if len(self.model.issued) > known:
            self.a_code_or_ticket_is_redeemed(number=0, client="", keep=True)

    @rule(browser=BROWSERS, client=CLIENTS, kind=st.sampled_from(["plain", "plain", "fresh", "passive"]), posted=st.booleans())
    def a_client_asks(self, browser: int, client: str, kind: str, posted: bool) -> None:
        if sum(not each.over for each in self.model.waiting) >= _MOST_WAITING:
            return
        path, asked = sign_on_path(client, kind)
        if posted:
            reply = self.jars[browser].ask("POST", path, asked)
            assert reply.path.startswith("/signon/"), "I5: what comes across sites is looked at when the browser's cookies are there"
            held = Waiting(reply.path.removeprefix("/signon/"), client, kind, browser, self.now, None)
            self.model.waiting.append(held)
        else:
            session = self.session_of(browser)
            reply = self.jars[browser].ask("GET", f"{path}?{urlencode(asked)}")
            self.started(browser, client, kind, session, reply)
        self.step()

    @precondition(lambda self: self.model.waiting)
    @rule(browser=BROWSERS, number=PICKS)
    def the_browser_goes_on(self, browser: int, number: int) -> None:
        """Forward, or back to what it did before; also to what the other browser does."""
        waiting = pick(self.model.waiting, number)
        if waiting:
            self.goes_on(browser, waiting)

    def goes_on(self, browser: int, waiting: Waiting) -> None:
        session = self.session_of(browser)
        mine = self.model.found(waiting.id, browser)
        reply = self.jars[browser].ask("GET", f"/signon/{waiting.id}")
        if mine is None:
            assert reply.status == 400, "I6, I7: a request is finished once, and only by the browser that began it"
            self.met["a request that is over or another browser's"] += 1
        elif mine.wants_login(session, self.now):
            assert reply.asked.get("request") == mine.id, "I4: a fresh request is never met by an old login"
            self.met["a request that still wants a login"] += 1
        else:
            mine.over = True
            if mine.at_login is None:
                self.started(browser, mine.client, mine.kind, session, reply)
            else:
                assert session is not None
                self.answered(browser, mine.client, mine.kind, session, reply)
        self.step()

    @rule(browser=BROWSERS, number=PICKS)
    def the_browser_opens_the_sign_in_page(self, browser: int, number: int) -> None:
        waiting = pick(self.model.waiting, number - 1) if number else None
        session = self.session_of(browser)
        reply = self.jars[browser].ask("GET", f"/login?request={waiting.id}" if waiting else "/login")
        mine = self.model.found(waiting.id, browser) if waiting else None
        if (waiting and mine is None) or (mine and mine.at_login is None):
            self.look_who_is_there(browser)
            return self.step()
        if session and not (mine and mine.wants_login(session, self.now)):
            assert reply.path == (f"/signon/{mine.id}" if mine else "/"), "the page and the way back agree"
            self.met["a sign-in page that is not needed"] += 1
        else:
            assert reply.status == 200
            assert form_token(reply.text)
            self.model.forms.append(Form(browser, form_token(reply.text), mine.id if mine else ""))
        return self.step()

    @precondition(lambda self: self.model.forms)
    @rule(browser=BROWSERS, number=PICKS, member=st.sampled_from(MEMBERS), right=st.sampled_from([True, True, True, False]))
    def a_member_submits_a_form(self, browser: int, number: int, member: str, right: bool) -> None:
        """The one that is open, or any that was ever open, here or in the other browser: once more."""
        form = pick(self.model.forms, number)
        if form is None:
            return
        jar, session, now = self.jars[browser], self.session_of(browser), self.now
        before = jar.session
        fields = {"form_token": form.token, "request": form.request, "username": member, "password": PASSWORD if right else "wrong"}
        reply = jar.ask("POST", "/login", fields)
        good = form.owner == browser and right and member not in self.model.disabled
        if good and (not form.request or self.model.found(form.request, browser)):
            assert reply.status == 303
            assert jar.session not in self.model.cookies, "I9: every login has a cookie of its own"
            self.met["a login over a session" if session else "a login"] += 1
            after = self.model.sign_in(member, jar.session, session, now)
            assert not (before and self.greeted(before)), "I9: the cookie before is dead"
            assert jar.session.partition(".")[0] == after.id, "I10: the same member's session goes on, another's does not"
            assert sum(each.id == after.id for each in self.model.sittings) == 1, "I10: a new session has a new id"
        else:
            assert reply.status != 303, "I8: nobody is signed in without a good password in this browser's own form"
            self.met["a login that fails"] += 1
            assert jar.session == before
        self.look_who_is_there(browser)
        self.step()

    @precondition(lambda self: self.model.waiting)
    @rule(browser=BROWSERS, number=PICKS)
    def a_member_cancels(self, browser: int, number: int) -> None:
        waiting = pick(self.model.waiting, number)
        form = next((each for each in reversed(self.model.forms) if each.owner == browser), None)
        if waiting is None or form is None:
            return
        mine = self.model.found(waiting.id, browser) if waiting.at_login is not None else None
        reply = self.jars[browser].ask("POST", "/login/cancel", {"form_token": form.token, "request": waiting.id})
        if mine:
            assert reply.client == mine.client
            assert not secret_in(reply), "I13: who cancels gives nothing away"
            self.met["a cancel"] += 1
            mine.over = True
        else:
            assert reply.status == 400, "I7"
        self.look_who_is_there(browser)
        self.step()

    @precondition(lambda self: self.model.cookies)
    @rule(browser=BROWSERS, number=PICKS)
    def a_cookie_is_played_back(self, browser: int, number: int) -> None:
        """A value that was once good in this browser or in the other."""
        cookie = pick(self.model.cookies, number)
        if cookie is None or not self.jars[browser].session:
            return
        self.jars[browser].session = cookie
        self.look_who_is_there(browser)
        self.step()

    # what clients' servers do

    @precondition(lambda self: self.model.issued)
    @rule(number=PICKS, client=st.sampled_from([*OIDC, *VENDORS, "", "", "", "", ""]), keep=st.booleans())
    def a_code_or_ticket_is_redeemed(self, number: int, client: str, keep: bool) -> None:
        """By its own client (""), or by whoever has found it."""
        issued = pick(self.model.issued, number)
        if issued is None:
            return
        self.redeemed(issued, client or issued.client, keep)
        self.step()

    def redeemed(self, issued: Issued, by: str, keep: bool) -> None:
        fresh, now = not issued.spent, self.now
        if not self.world.exact and abs(issued.until - now) <= 2:
            return  # the server's second may be another
        known = now < issued.until
        good = fresh and known and by == issued.client and issued.session.lives(now)
        reply = self.redeem(issued.secret, by, keep)
        if (by in OIDC) != (issued.client in OIDC):
            assert reply.status >= 400, "I15: a code is no ticket, and a ticket no code"
            return
        if known and not (issued.session.told and fresh):
            issued.spent = True
        if not fresh and issued.family:
            issued.family.revoked = True
        if not good:
            assert reply.status >= 400, "I1, I14, I15: once, by its own client, in its time, while the session lives"
            self.met["a replay" if not fresh else "a redeemer too late or not meant"] += 1
        elif issued.client in VENDORS and self.is_gone(issued.session):
            assert reply.status >= 400, "I17"
            self.met["a redeemer of one who is gone"] += 1
            self.model.end(issued.session)
        else:
            assert reply.status == 200, reply.text
            self.received(issued, json.loads(reply.text), now)
            self.met["a redeemer"] += 1

    @precondition(lambda self: self.model.families)
    @rule(number=PICKS, older=st.integers(0, 2))
    def a_client_refreshes(self, number: int, older: int) -> None:
        """With the token that is good, or with one that was."""
        family = pick(self.model.families, number)
        if family is None:
            return
        latest = older % len(family.refresh) == 0
        good = latest and not family.revoked and family.session.lives(self.now) and self.now < family.ends
        reply = self.token(
            family.client, {"grant_type": "refresh_token", "refresh_token": family.refresh[-1 - older % len(family.refresh)]}
        )
        if good and not self.is_gone(family.session):
            assert reply.status == 200, reply.text
            told = json.loads(reply.text)
            family.refresh.append(told["refresh_token"])
            self.met["a refresh"] += 1
            family.access.append((told["access_token"], self.now + ACCESS_LIFE))
        else:
            assert reply.status == 400, "I2, I16: not after the end, and not twice"
            self.met["a refresh that fails"] += 1
            family.revoked = True
            if good:
                self.model.end_all_of(family.session.member, self.now)
        self.step()

    @precondition(lambda self: self.model.families)
    @rule(number=PICKS, other=PICKS)
    def an_access_token_is_used(self, number: int, other: int) -> None:
        family = pick(self.model.families, number)
        if family is None:
            return
        token, until = family.access[-1 - other % len(family.access)]
        good = not family.revoked and family.session.lives(self.now) and self.now < until
        reply = self.world.ask("GET", "/oauth/userinfo", {}, {"Authorization": f"Bearer {token}"})
        assert reply.status == (200 if good else 401), "I2: no token outlives its session or its family"
        self.met["an access token" if good else "a dead access token"] += 1
        self.step()

    @precondition(lambda self: self.model.handles)
    @rule(number=PICKS, client=st.sampled_from([*VENDORS, "", ""]))
    def a_handle_is_used(self, number: int, client: str) -> None:
        handle = pick(self.model.handles, number)
        if handle is None:
            return
        by = client or handle.client
        good = by == handle.client and handle.session.lives(self.now)
        reply = self.world.ask("POST", "/service/profile", {"handle": handle.secret}, client_headers(by))
        if good and self.is_gone(handle.session):
            good = False
            self.model.end(handle.session)
        assert (reply.status == 200) == good, "I2, I15: a handle is good for its client while the session lives"
        self.met["a handle" if good else "a dead handle"] += 1
        self.step()

    # endings

    @precondition(lambda self: self.model.sittings)
    @rule(browser=BROWSERS, twice=st.booleans())
    def a_member_signs_out(self, browser: int, twice: bool) -> None:
        jar, session = self.jars[browser], self.session_of(browser)
        token = form_token(jar.ask("GET", "/logout").text)
        kept = dict(jar.cookies)
        reply = jar.ask("POST", "/logout", {"form_token": token})
        if session:
            assert reply.path.startswith("/logout/")
            self.met["a sign-out"] += 1
            self.model.end(session)
        if twice:
            self.world.ask("POST", "/logout", {"form_token": token}, {"Cookie": "; ".join(f"{k}={v}" for k, v in kept.items())})
        self.look_who_is_there(browser)
        self.step()

    @precondition(lambda self: self.model.hints)
    @rule(browser=BROWSERS, number=PICKS)
    def an_openid_client_signs_out(self, browser: int, number: int) -> None:
        """With an ID token of any session: it ends the session of this browser alone."""
        found = pick(self.model.hints, number)
        if found is None:
            return
        hint, named = found
        session = self.session_of(browser)
        self.jars[browser].ask("GET", f"/oauth/logout?{urlencode({'id_token_hint': hint})}")
        if session and session is named:
            self.met["a sign-out by an OpenID client"] += 1
            self.model.end(session)
        self.look_who_is_there(browser)
        self.step()

    @precondition(lambda self: self.model.issued)
    @rule(browser=BROWSERS, client=st.sampled_from(VENDORS), followed=st.booleans(), back=st.booleans())
    def a_vendor_signs_out(self, browser: int, client: str, followed: bool, back: bool) -> None:
        """By its link; it ends something only where it was followed from the vendor's own page."""
        session = self.session_of(browser)
        home = f"https://{client}.example.org/back"
        asked = {"client": client, **({"return": home} if back else {})}
        self.jars[browser].ask("GET", f"/token/logout?{urlencode(asked)}", headers={"Referer": home} if followed else {})
        if session and followed and client in session.clients:
            self.met["a sign-out by a vendor"] += 1
            self.model.end(session, besides=client if back else "")
        self.look_who_is_there(browser)
        self.step()

    @precondition(lambda self: self.model.sittings)
    @rule(member=st.sampled_from(MEMBERS))
    def an_operator_ends_everything_of_a_member(self, member: str) -> None:
        self.world.end_all_of(member)
        self.model.end_all_of(member, self.now)
        self.step()

    @precondition(lambda self: self.model.sittings)
    @rule(member=st.sampled_from(MEMBERS))
    def a_login_is_disabled_or_enabled(self, member: str) -> None:
        self.model.disabled ^= {member}
        self.world.set_disabled(self.model.disabled)
        self.world.pass_time(1)  # what was read in this second still counts
        self.step()

    @precondition(lambda self: self.model.sittings or self.model.waiting)
    @rule(seconds=st.sampled_from([1, 9, 12, 31, 61, 61, 700, 1900, 3601, 43_000]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)
        if seconds > 120:
            self.the_server_looks_for_expired()
        self.step()

    def the_server_looks_for_expired(self) -> None:
        self.world.look_for_expired()
        self.met["an expiry"] += self.model.look_for_expired() if self.world.exact else 0

    @precondition(lambda self: self.world.exact and self.model.sittings)
    @rule(browser=BROWSERS)
    def a_member_stays_all_day(self, browser: int) -> None:
        """Never idle for long; the day ends all the same."""
        self.look_who_is_there(browser)
        while self.model.of_cookie(self.jars[browser].session, self.now):
            self.world.pass_time(IDLE - 1)
            self.look_who_is_there(browser)
            self.met["an hour of a long day"] += 1
        self.step()

    # what must be so

    @property
    def now(self) -> int:
        return self.world.now()

    def session_of(self, browser: int) -> Sitting | None:
        """The session that this browser's request, which comes next, will meet."""
        session = self.model.of_cookie(self.jars[browser].session, self.now)
        if session:
            session.touch(self.now)
        return session

    def is_gone(self, session: Sitting) -> bool:
        return session.member in self.model.disabled

    def started(self, browser: int, client: str, kind: str, session: Sitting | None, reply: Reply) -> None:
        """After a request of which the browser's session is known."""
        if session and session.will_do(kind, self.now):
            return self.answered(browser, client, kind, session, reply)
        assert not secret_in(reply), "I1, I4: no answer without a live session, nor by an old login to a fresh request"
        if kind == "passive":
            assert reply.client == client, "I12: who may not be asked is refused"
            self.met["a refusal"] += 1
            return None
        assert reply.asked.get("request"), reply
        kept = Waiting(reply.asked["request"], client, kind, browser, self.now, session.login if session else 0)
        self.model.waiting.append(kept)
        return None

    def answered(self, browser: int, client: str, kind: str, session: Sitting, reply: Reply) -> None:
        if self.is_gone(session):
            self.model.end_all_of(session.member, self.now)
            self.met["a session of one who is gone"] += 1
            return self.started(browser, client, kind, None, reply)
        assert reply.client == client, f"I11: the answer goes to the client that asked: {reply}"
        secret = secret_in(reply)
        assert secret, f"I3: a live session answers: {reply}"
        self.met["an answer"] += 1
        assert all(each.secret != secret for each in self.model.issued)
        session.clients.add(client)
        life = TICKET_LIFE if client in VENDORS else CODE_LIFE
        self.model.issued.append(Issued(secret, client, session, self.now + life))
        return None

    def redeem(self, secret: str, by: str, keep: bool) -> Reply:
        if by in VENDORS:
            return self.world.ask("POST", "/service/redeem", {"token": secret, "handle": "1" if keep else "0"}, client_headers(by))
        fields = {"grant_type": "authorization_code", "code": secret, "redirect_uri": f"https://{by}.example.org/back"}
        return self.token(by, fields)

    def token(self, client: str, fields: dict[str, str]) -> Reply:
        return self.world.ask("POST", "/oauth/token", fields, client_headers(client))

    def received(self, issued: Issued, told: dict[str, str], now: int) -> None:
        if issued.client in VENDORS:
            if told.get("handle"):
                self.model.handles.append(Handle(told["handle"], issued.client, issued.session))
            return
        name = session_named_in(told["id_token"])
        assert name == issued.session.names.setdefault(issued.client, name), "I18: a client knows a session by one name"
        assert sum(each.names.get(issued.client) == name for each in self.model.sittings) == 1, "I18: and no other by that name"
        family = Family(issued.session, issued.client, issued.session.ends)
        family.access.append((told["access_token"], now + ACCESS_LIFE))
        family.refresh.append(told["refresh_token"])
        issued.family = family
        self.model.families.append(family)
        self.model.hints.append((told["id_token"], issued.session))

    def look_who_is_there(self, browser: int) -> None:
        """Our own page notices that a member is gone when it reads the member anew, or another request has."""
        session = self.session_of(browser)
        who = self.jars[browser].who()
        if session and not who and self.is_gone(session):
            self.model.end_all_of(session.member, self.now)
            self.met["a session of one who is gone"] += 1
            return
        assert who == (session.member if session else ""), "I2, I9: a cookie is good while it is its session's latest"

    def step(self) -> None:
        self.met["a step"] += 1
        told, due = self.told(), self.model.due
        assert all(count == 1 for count in told.values()), f"I20: nobody is told twice of one ending: {told}"
        assert Counter(client for client, _ in told) == Counter(client for client, _ in due), f"I19: each client is told: {told}, {due}"
        for session in self.model.sittings:
            for client, name in session.names.items():
                assert told[client, name] == due[client, session.id], "I19: of the right session"

        for session in self.model.sittings:
            if session.ended and not session.proven:
                session.proven = True
                self.prove_dead(session)

    def prove_dead(self, session: Sitting) -> None:
        """I2, at once after the end: its cookie, and the latest of what was issued in it."""
        assert self.greeted(session.cookie) == "", "I2: no cookie outlives its session"
        for family in [each for each in self.model.families if each.session is session][-1:]:
            reply = self.world.ask("GET", "/oauth/userinfo", {}, {"Authorization": f"Bearer {family.access[-1][0]}"})
            assert reply.status == 401, "I2: no access token outlives its session"
            reply = self.token(family.client, {"grant_type": "refresh_token", "refresh_token": family.refresh[-1]})
            assert reply.status == 400, "I2: no refresh token outlives its session"
            family.revoked = True
        for handle in [each for each in self.model.handles if each.session is session][-1:]:
            reply = self.world.ask("POST", "/service/profile", {"handle": handle.secret}, client_headers(handle.client))
            assert reply.status >= 400, "I2: no handle outlives its session"
        for issued in [each for each in self.model.issued if each.session is session and not each.spent][-1:]:
            assert self.redeem(issued.secret, issued.client, keep=False).status >= 400, "I2: no code outlives its session"

    def greeted(self, cookie: str) -> str:
        """As whom the start page greets whoever has this session cookie."""
        jar = Jar(self.world, {"__Host-idp_session": cookie, "idp_session": cookie})
        return jar.who()

    def told(self) -> Counter[tuple[str, str]]:
        """The notices of this run."""
        return self.world.notices() - self.before


def secret_in(reply: Reply) -> str:
    """The code or the ticket of a good answer; empty for a refusal, a page, the sign-in page."""
    return (reply.asked.get("code") or reply.asked.get("token") or "") if reply.client else ""
