"""/logout: the member's own sign-out, and the page that takes the browser through a logout under way, whoever began it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

from flask import Blueprint, Response

from idp.directory.door import Exit
from idp.errors import BadRequest
from idp.sso.answer import FormPost
from idp.sso.logout import Run
from idp.web.gateway import LOGOUT, Gateway, see
from idp.web.page import allow_frames, render

_FRAMES = 1  # seconds that frames are given where the browser has to go on


def logout_pages(gateway: Gateway, exits: Sequence[Exit] = ()) -> Blueprint:
    """GET and POST /logout, GET /logout/<run>, GET /logout/back/<reply>. `exits` are iMIS's own sign-outs, offered to a browser that came
    from iMIS and has no session here."""
    pages = Blueprint("logout", __name__)

    @pages.get("/logout")
    def ask() -> Response:
        """A GET ends nothing: another site could send it unseen (S50). It goes on with what was ended."""
        session = gateway.session()
        if session is None:
            return go_on_with_ended()
        names = [client.name for each in session.participants if (client := gateway.clients.get(each.client_id))]
        return render("logout.html", session=session, names=names, form_token=gateway.browser.form_token("logout"))

    @pages.post("/logout")
    def end() -> Response:
        session = gateway.session()
        if session is None:
            return see(f"{gateway.url}/logout")
        if not gateway.browser.is_own_form("logout"):
            raise BadRequest("logout.form_stale", "This page was open for too long. Please try again.")
        return gateway.end(session.id, reason="member")

    @pages.get("/logout/<run_id>")
    def go_on(run_id: str) -> Response:
        run = gateway.run_under_way()
        if run is None or run.id != run_id:
            return see(f"{gateway.url}/logout")
        run = gateway.logout.refreshed(run)
        answer = gateway.logout.answer(run)
        if run.next is None and answer is None:
            return result(run)
        if frames := gateway.logout.take_frames(run):
            return show(run, frames)
        if row := run.next:
            # when a second tab was quicker with this client, look again what is left
            if not gateway.logout.visited(run, row):
                return see(gateway.run_url(run))
            return gateway.send(FormPost(row.url, row.fields)) if row.fields else see(row.url)
        return gateway.send(answer) if answer else result(run)

    @pages.get("/logout/back/<reply_to>")
    def come_back(reply_to: str) -> Response:
        """From iMIS's sign-out."""
        run = gateway.logout.returned(reply_to, gateway.browser.kept(LOGOUT))
        return see(gateway.run_url(run) if run else f"{gateway.url}/logout")

    def go_on_with_ended() -> Response:
        """The answer to the first of two clicks may be lost, and with it the way to the clients; or somebody else ended the session."""
        ended = gateway.browser.ended()
        if ended is not None and not ended.told:
            response = render("logout_wait.html")
            response.headers["Refresh"] = f"1; url={gateway.url}/logout"
            return response
        further = gateway.take_up(ended) if ended else None
        run = gateway.run_under_way()
        if further is None and run is not None and run.next:
            further = see(gateway.run_url(run))
        return further or render("signed_out.html", run=None, names={}, exits=exits)

    def show(run: Run, frames: tuple[str, ...]) -> Response:
        """Frames first, for a moment; then the visits and the end, which leave the page."""
        response = render("logout_frames.html", run=run, frames=framed(frames), names=names_of(run), onward=gateway.run_url(run))
        response.headers["Refresh"] = f"{_FRAMES}; url={gateway.run_url(run)}"
        return response

    def result(run: Run) -> Response:
        """The browser stays here, so frames have all the time they need."""
        frames = framed(gateway.logout.take_frames(run))
        return render("signed_out.html", run=run, names=names_of(run), frames=frames, again=gateway.run_url(run))

    def framed(frames: tuple[str, ...]) -> tuple[str, ...]:
        allow_frames({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, frames)})
        return frames

    def names_of(run: Run) -> dict[str, str]:
        known = {row.client_id: gateway.clients.get(row.client_id) for row in run.rows}
        return {client_id: client.name if client else client_id for client_id, client in known.items()}

    @pages.app_context_processor
    def of_endings() -> dict[str, object]:
        """What other pages say of a session that somebody else has ended."""
        return {"unvisited": unvisited, "moment": moment}

    def unvisited() -> list[str]:
        """Applications that this browser's ended session still has to sign out of, by name."""
        ended = gateway.browser.ended()
        run = gateway.logout.take_up(ended) if ended else None
        names = names_of(run) if run else {}
        return [names[row.client_id] for row in run.rows if row.state == "waiting" and not row.is_imis] if run else []

    return pages


def moment(seconds: int) -> datetime:
    """In the server's own time zone (TZ): most members live where their association is."""
    return datetime.fromtimestamp(seconds).astimezone()
