"""/imis/...: signing in on iMIS's own page. The browser is sent there, and comes back with a refresh token that iMIS's page has it post
(imis-redirect), or with iMIS's login cookie (imis-cookie).

Neither has a state: anybody's token can be posted by any page. So a token counts only in a browser that was sent to iMIS, and only if
iMIS's own page posted it; in any other case the member is asked first whether the name is theirs (S80). The post comes without our
cookies, which are SameSite=Lax, and iMIS may try the address from its own server (facts on iMIS, 3.3): so it is answered with 200 and a
page that posts it once more, from our own origin, and nothing else is done.
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from idp.directory import Subject
from idp.directory.door import Door
from idp.errors import BadRequest, LoginRequired, Refusal, Unavailable
from idp.secret import Secret
from idp.sso.entrance import Entrance, Entrances
from idp.sso.login import LoginDesk, Throttled, Unnamed
from idp.sso.session import Session
from idp.sso.signon import Pending, wants_dated_login
from idp.web.gateway import Gateway, see
from idp.web.login_page import LoginPage
from idp.web.page import render


class FreshImpossible(LoginRequired):
    """iMIS's own sign-in would go on unasked, and nothing that we know ends it: a new sign-in cannot be promised."""

    def __init__(self) -> None:
        Refusal.__init__(
            self, "imis.fresh_impossible", "The application asked for a new sign-in, and the membership system cannot be made to ask again."
        )


class Doorkeeper:
    """Sends browsers to iMIS, and takes them in when they come back."""

    def __init__(self, gateway: Gateway, desk: LoginDesk, page: LoginPage, entrances: Entrances) -> None:
        self._gateway = gateway
        self._desk = desk
        self.page = page
        self._entrances = entrances

    def door(self, name: str, kind: str = "") -> Door:
        """Raises BadRequest."""
        door = self.page.ways.door(name)
        if door is None or kind not in ("", door.kind):
            raise BadRequest("imis.no_door", "There is no such page here.", status=404)
        return door

    def lead(self, pending: Pending | None) -> Response | None:
        """What is done in place of the sign-in page: by a login cookie that is there, or by going where there is no other way.
        A second time the page is shown, so that nothing goes round in circles."""
        ways = self.page.ways
        if not (pending and wants_dated_login(pending.request)):
            for door in ways.doors:
                if answer := self._by_cookie(door, pending):
                    return answer
        if ways.form or len(ways.doors) != 1:
            return None
        sent = self._entrances.was_sent(self._gateway.browser.secret(), pending.id if pending else "")
        return None if sent else self.depart(ways.doors[0], pending)

    def depart(self, door: Door, pending: Pending | None) -> Response:
        """To iMIS. Where the sign-in must be a new one, by way of iMIS's sign-out."""
        browser = self._gateway.browser.secret()
        leave = pending is not None and wants_dated_login(pending.request)
        if pending is not None and leave and not door.exit.url:
            return self._gateway.send(self._gateway.signon.cancel(pending.id, browser, FreshImpossible()))
        request_id, client_id = (pending.id, pending.request.client_id) if pending else ("", "")
        entrance = self._entrances.depart(browser, door.name, request_id, client_id, leave=leave)
        if leave:
            return see(door.exit.visit(f"{self._gateway.url}/imis/left/{entrance.leaving}"))
        return see(door.visit(self._url("back", door)))

    def come_from_exit(self, leaving: str) -> Response:
        """From iMIS's sign-out to its sign-in. Whether it has signed out, a login cookie tells; otherwise we have its word."""
        browser = self._gateway.browser.secret()
        entrance = self._entrances.come_from_exit(browser, leaving)
        if entrance is None:
            return see(f"{self._gateway.url}/login")
        door = self.door(entrance.door)
        if self._is_still_in(door):
            return self._gateway.send(self._gateway.signon.cancel(entrance.request_id, browser, FreshImpossible()))
        return see(door.visit(self._url("back", door)))

    def come_back(self, door: Door) -> Response:
        """From iMIS's sign-in page, with its login cookie or without."""
        waiting = self._waiting(door)
        if not waiting:
            return see(f"{self._gateway.url}/login")
        return self._arrive(door, Secret(self._gateway.browser.shared(door.cookie)), waiting)

    def take_ticket(self, door: Door) -> Response:
        """The post of iMIS's page, from anywhere; or whoever tries whether the address is there."""
        ticket = request.form.get("refresh_token", "")
        if request.method != "POST" or not ticket:
            return render("imis/callback.html")
        origin = request.headers.get("Origin", "")
        if origin not in ("", "null", *door.origins):
            raise BadRequest(
                "imis.foreign_origin",
                "This sign-in does not come from the membership system.",
                expected=" or ".join(door.origins),
                received=origin,
                status=403,
            )
        fields = {"refresh_token": ticket, "posted_by": "imis" if origin in door.origins else ""}
        return render("post.html", url=self._url("enter", door), fields=fields)

    def enter(self, door: Door) -> Response:
        """The same post from our own page. Another site's has neither our cookies nor this header."""
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            raise BadRequest("imis.foreign_form", "This sign-in does not come from the membership system.", status=403)
        waiting = self._waiting(door)
        sure = request.form.get("posted_by") == "imis" and bool(waiting)
        return self._arrive(door, Secret(request.form.get("refresh_token", "")), waiting, sure=sure)

    def confirm(self, door: Door) -> Response:
        """The member says that the name is theirs."""
        browser = self._gateway.browser
        subject = self._entrances.take(browser.secret(), request.form.get("held", "")) if browser.is_own_form("imis.confirm") else None
        if subject is None:
            raise BadRequest("imis.confirm_stale", "This page was open for too long. Please sign in again.")
        return self._admit(door, subject, self._waiting(door))

    def choices(self) -> list[tuple[str, str]]:
        """Name and address of everything that waits in this browser."""
        pending = [each for door in self.page.ways.doors for each in self._pending(self._waiting(door))]
        return [(self._name(each), self.page.onward(each)) for each in pending]

    def _by_cookie(self, door: Door, pending: Pending | None) -> Response | None:
        """None where there is no cookie, or one that iMIS does not know any more."""
        cookie = self._gateway.browser.shared(door.cookie) if door.kind == "imis-cookie" else ""
        if not cookie:
            return None
        try:
            subject = self._desk.recognise(door.whose, Secret(cookie), address=self._gateway.address())
        except Unnamed:
            return None
        except (Throttled, Unavailable) as error:
            return self.page.show(pending, error=error)
        return self._open(subject, self.page.onward(pending), dated=False)

    def _is_still_in(self, door: Door) -> bool:
        """Raises Unavailable."""
        cookie = self._gateway.browser.shared(door.cookie) if door.kind == "imis-cookie" else ""
        try:
            return bool(cookie) and bool(self._desk.recognise(door.whose, Secret(cookie), address=self._gateway.address()))
        except Unnamed:
            return False

    def _arrive(self, door: Door, proof: Secret, waiting: list[Entrance], *, sure: bool = True) -> Response:
        session = self._gateway.session()
        try:
            subject = self._desk.recognise(door.whose, proof, address=self._gateway.address())
        except (Unnamed, Throttled, Unavailable) as error:
            if session is not None and not waiting:  # by the back button: nothing was asked, and nothing is lost
                return see(f"{self._gateway.url}/")
            return self.page.show(next(iter(self._pending(waiting)), None), error=error)
        if sure:
            return self._admit(door, subject, waiting)
        return self._ask(door, subject, session, waiting)

    def _ask(self, door: Door, subject: Subject, session: Session | None, waiting: list[Entrance]) -> Response:
        """Whether that is them, unless they are here already."""
        if session is not None and session.subject_id == subject.id and not waiting:
            return see(f"{self._gateway.url}/")
        name = next(iter(subject.attributes.get("full_name", ())), subject.username)
        held = self._entrances.hold(self._gateway.browser.secret(), subject)
        token = self._gateway.browser.form_token("imis.confirm")
        action = self._url("confirm", door)
        return render("imis/confirm.html", action=action, name=name, username=subject.username, held=held, form_token=token)

    def _admit(self, door: Door, subject: Subject, waiting: list[Entrance]) -> Response:
        """Goes on with what waits; the member chooses where several tabs do, for nothing tells them apart."""
        pending = self._pending(waiting)
        onward = f"{self._gateway.url}/imis/onward" if len(pending) > 1 else self.page.onward(next(iter(pending), None))
        dated = any(entrance.left for entrance in waiting)
        self._entrances.arrive(self._gateway.browser.secret(), door.name)
        return self._open(subject, onward, dated=dated)

    def _open(self, subject: Subject, onward: str, *, dated: bool) -> Response:
        gateway = self._gateway
        signed = self._desk.admit(subject, address=gateway.address(), previous=gateway.session(), onward=onward, dated=dated)
        return gateway.welcome(signed, onward)

    def _waiting(self, door: Door) -> list[Entrance]:
        """The newest first; without those that were answered meanwhile."""
        browser = self._gateway.browser.secret()
        found = self._entrances.waiting(browser, door.name)
        return [each for each in found if not each.request_id or self._gateway.signon.pending(each.request_id, browser)]

    def _pending(self, waiting: list[Entrance]) -> list[Pending]:
        browser = self._gateway.browser.secret()
        found = [self._gateway.signon.pending(each.request_id, browser) for each in waiting if each.request_id]
        return [pending for pending in found if pending]

    def _name(self, pending: Pending) -> str:
        client = self._gateway.clients.get(pending.request.client_id)
        return client.name if client else pending.request.client_id

    def _url(self, page: str, door: Door) -> str:
        return f"{self._gateway.url}/imis/{page}{f'/{door.name}' if door.name else ''}"


def door_pages(keeper: Doorkeeper) -> Blueprint:
    """GET /imis/start, GET and POST /imis/callback, POST /imis/enter and /imis/confirm, GET /imis/back: each with /<name> where there
    are several directories. GET /imis/left/<leaving>, GET /imis/onward."""
    pages = Blueprint("imis", __name__, url_prefix="/imis")

    def route(path: str, view: str, methods: list[str]) -> None:
        act = {"callback": keeper.take_ticket, "enter": keeper.enter, "confirm": keeper.confirm, "back": keeper.come_back}[view]
        kind = {"callback": "imis-redirect", "enter": "imis-redirect", "confirm": "", "back": "imis-cookie"}[view]
        pages.add_url_rule(f"/{path}", f"{view}_only", lambda: act(keeper.door("", kind)), methods=methods)
        pages.add_url_rule(f"/{path}/<name>", view, lambda name: act(keeper.door(name, kind)), methods=methods)

    route("callback", "callback", ["GET", "POST"])
    route("enter", "enter", ["POST"])
    route("confirm", "confirm", ["POST"])
    route("back", "back", ["GET"])

    @pages.get("/start", defaults={"name": ""})
    @pages.get("/start/<name>")
    def start(name: str) -> Response:
        return keeper.depart(keeper.door(name), keeper.page.waiting(request.args.get("request", "")))

    @pages.get("/left/<leaving>")
    def left(leaving: str) -> Response:
        return keeper.come_from_exit(leaving)

    @pages.get("/onward")
    def onward() -> Response:
        choices = keeper.choices()
        return render("imis/onward.html", choices=choices) if len(choices) > 1 else see(choices[0][1] if choices else "/")

    return pages
