"""Stories: what at random would hardly ever meet, told as one step. Each is made of the rules of the machine, which compare everything."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .model import Issued, Sitting, Waiting
from .rules import BROWSERS, CLIENTS, SessionMachine
from .world import MEMBERS, OIDC, VENDORS

WHO = st.sampled_from(MEMBERS)


class StoryMachine(SessionMachine):
    """The machine with stories."""

    @rule(browser=BROWSERS, client=CLIENTS, kind=st.sampled_from(["plain", "fresh"]), posted=st.booleans(), member=WHO, first=st.booleans())
    def another_browser_goes_on_with_a_request(self, browser: int, client: str, kind: str, posted: bool, member: str, first: bool) -> None:
        """Somebody is signed in there, before the request was made or after; it is none of their business."""
        other = 1 - browser
        if first:
            self.is_signed_in(other, member)
        waiting = self.asks(browser, client, kind, posted)
        if waiting is None:
            return
        if not first:
            self.is_signed_in(other, member)
        self.goes_on(other, waiting)
        self.goes_on(browser, waiting)
        self.met["a request in another browser" + (" that was posted" if posted else "")] += 1

    @rule(browser=BROWSERS, client=CLIENTS, thief=CLIENTS, member=WHO, keep=st.booleans())
    def a_code_or_ticket_is_found_by_another_client(self, browser: int, client: str, thief: str, member: str, keep: bool) -> None:
        """It gets nothing for it; and as it has leaked, neither does its own client. Of the other kind of client nothing is learnt."""
        issued = self.is_answered(browser, client, member)
        if issued is None:
            return
        self.redeemed(issued, thief, keep)
        self.step()
        self.redeemed(issued, client, keep)
        self.step()
        self.met["a code or ticket that another client brings"] += thief != client

    @rule(client=st.sampled_from(OIDC), browser=BROWSERS, member=WHO, refreshed=st.integers(0, 2))
    def a_code_is_played_back_when_much_has_come_of_it(self, client: str, browser: int, member: str, refreshed: int) -> None:
        issued = self.is_answered(browser, client, member)
        if issued is None:
            return
        self.redeemed(issued, client, keep=False)
        for _ in range(refreshed if issued.family else 0):
            self.a_client_refreshes(number=0, older=0)
        self.redeemed(issued, client, keep=False)
        if issued.family:
            self.an_access_token_is_used(number=0, other=0)
            self.a_client_refreshes(number=0, older=0)
            self.met["a code that is played back"] += 1
        self.step()

    @rule(clients=st.tuples(CLIENTS, CLIENTS), kinds=st.tuples(*[st.sampled_from(["plain", "fresh"])] * 2), browser=BROWSERS, member=WHO)
    def two_tabs_wait_for_one_login(self, clients: tuple[str, str], kinds: tuple[str, str], browser: int, member: str) -> None:
        """One login does for both, each gets its own answer, and a double click gets none."""
        tabs = [self.asks(browser, client, kind, False) for client, kind in zip(clients, kinds, strict=True)]
        waiting = [each for each in tabs if each]
        if not waiting:
            return
        self.signs_in(browser, waiting[-1], member)
        for each in waiting * 2:
            self.goes_on(browser, each)
        self.met["tabs that wait together"] += len(waiting) == 2

    @rule(
        clients=st.tuples(CLIENTS, CLIENTS), member=WHO, ending=st.sampled_from(["operator", "operator", "disabled", "refresh", "sign-out"])
    )
    def a_member_of_two_browsers_is_ended(self, clients: tuple[str, str], member: str, ending: str) -> None:
        """Everywhere, unless it was their own sign-out in one of them."""
        for browser, client in enumerate(clients):
            self.is_signed_in(browser, member)
            self.is_answered(browser, client, member)
        both = len({id(each) for each in map(self.sitting_in, (0, 1)) if each}) == 2
        if ending == "operator":
            self.an_operator_ends_everything_of_a_member(member=member)
        elif ending == "sign-out":
            self.a_member_signs_out(browser=0, twice=False)
        else:
            self.is_disabled(member)
            if ending == "disabled" or not self.model.families:
                self.a_client_asks(browser=1, client=clients[0], kind="plain", posted=False)
            else:
                self.a_client_refreshes(number=0, older=0)
            self.a_login_is_disabled_or_enabled(member=member)
        for browser in (0, 1):
            self.look_who_is_there(browser)
        self.met[f"two browsers of one member, {ending}"] += both

    @rule(browser=BROWSERS, vendor=st.sampled_from(VENDORS), others=st.lists(CLIENTS, max_size=2), member=WHO, back=st.booleans())
    def a_vendor_signs_out_who_came_to_it(self, browser: int, vendor: str, others: list[str], member: str, back: bool) -> None:
        """The vendor that began and is led back to is not told; all the others are."""
        for client in (*others, vendor):
            self.is_answered(browser, client, member)
        self.a_vendor_signs_out(browser=browser, client=vendor, followed=True, back=back)

    @rule(browser=BROWSERS, client=st.sampled_from(OIDC), other=CLIENTS, member=WHO, theirs=st.booleans())
    def an_openid_client_signs_out_who_came_to_it(self, browser: int, client: str, other: str, member: str, theirs: bool) -> None:
        """With its ID token, in the browser that it was made for or in the other one."""
        self.is_answered(browser, other, member)
        issued = self.is_answered(browser, client, member)
        if issued:
            self.redeemed(issued, client, keep=False)
        if self.model.hints:
            self.an_openid_client_signs_out(browser=1 - browser if theirs else browser, number=0)

    @rule(browser=BROWSERS, client=CLIENTS, members=st.tuples(WHO, WHO))
    def an_old_cookie_comes_back_after_a_login(self, browser: int, client: str, members: tuple[str, str]) -> None:
        """I9: of a session that was renewed, or ended for another member's, the latest cookie alone is good."""
        self.is_signed_in(browser, members[0])
        old = self.jars[browser].session
        waiting = self.asks(browser, client, "fresh", False)
        if waiting is None or not old:
            return
        self.signs_in(browser, waiting, members[1])
        latest, self.jars[browser].session = self.jars[browser].session, old
        self.look_who_is_there(browser)
        self.goes_on(browser, waiting)
        self.jars[browser].session = latest
        self.goes_on(browser, waiting)
        self.met["an old cookie after a login"] += 1

    @rule(browser=BROWSERS, client=CLIENTS, member=WHO)
    def a_member_cancels_and_goes_back(self, browser: int, client: str, member: str) -> None:
        """What was cancelled is over, also for a login that comes after."""
        waiting = self.asks(browser, client, "fresh", False)
        if waiting is None:
            return
        self.the_browser_opens_the_sign_in_page(browser=browser, number=1)
        self.a_member_cancels(browser=browser, number=0)
        self.is_signed_in(browser, member)
        self.goes_on(browser, waiting)

    # what stories are made of

    def asks(self, browser: int, client: str, kind: str, posted: bool) -> Waiting | None:
        """The request, if it waits; None when it was answered, or refused."""
        known = len(self.model.waiting)
        self.a_client_asks(browser=browser, client=client, kind=kind, posted=posted)
        return self.model.waiting[-1] if len(self.model.waiting) > known else None

    def sitting_in(self, browser: int) -> Sitting | None:
        """To look at, where no request comes next."""
        return self.model.of_cookie(self.jars[browser].session, self.now)

    def signs_in(self, browser: int, waiting: Waiting, member: str) -> None:
        """In the form of this request."""
        if self.model.found(waiting.id, browser) is not waiting:
            return
        number = len(self.model.waiting) - self.model.waiting.index(waiting)
        known = len(self.model.forms)
        self.the_browser_opens_the_sign_in_page(browser=browser, number=number)
        if len(self.model.forms) > known:
            self.a_member_submits_a_form(browser=browser, number=0, member=member, right=True)

    def is_signed_in(self, browser: int, member: str) -> Sitting | None:
        """This member, unless the login is disabled."""
        session = self.sitting_in(browser)
        if session is None or session.member != member:
            self.is_answered(browser, "wiki", member)
        return self.sitting_in(browser)

    def is_answered(self, browser: int, client: str, member: str) -> Issued | None:
        """The code or ticket of this client for this member, where all goes well."""
        session, known = self.sitting_in(browser), len(self.model.issued)
        waiting = self.asks(browser, client, "plain" if session and session.member == member else "fresh", False)
        if waiting:
            self.signs_in(browser, waiting, member)
            self.goes_on(browser, waiting)
        return self.model.issued[-1] if len(self.model.issued) > known else None

    def is_disabled(self, member: str) -> None:
        if member not in self.model.disabled:
            self.a_login_is_disabled_or_enabled(member=member)
