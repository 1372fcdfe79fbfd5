"""/logout: the member's own sign-out, and the page that takes the browser through a logout under way, whoever began it."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from flask import Blueprint, Response

from idp.directory.door import Exit
from idp.errors import BadRequest
from idp.sso.answer import FormPost
from idp.sso.logout import Run
from idp.web.gateway import LOGOUT, Gateway, see
from idp.web.page import allow_frames, render


def logout_pages(gateway: Gateway, exits: Sequence[Exit] = ()) -> Blueprint:
    """GET and POST /logout, GET /logout/<run>, GET /logout/back/<reply>. `exits` are iMIS's own sign-outs, offered to a browser that came
    from iMIS and has no session here."""
    pages = Blueprint("logout", __name__)

    @pages.get("/logout")
    def ask() -> Response:
        """A GET ends nothing: another site could send it unseen (S50)."""
        session = gateway.session()
        if session is None:
            return render("signed_out.html", run=None, names={}, exits=exits)
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
        run = gateway.logout.run(run_id)
        if run is None or not run.belongs_to(gateway.browser.kept(LOGOUT)):
            return see(f"{gateway.url}/logout")
        if frames := gateway.logout.take_frames(run):
            return show(run, frames)
        if row := run.next:
            # when a second tab was quicker with this client, look again what is left
            if not gateway.logout.visited(run, row):
                return see(gateway.run_url(run))
            return gateway.send(FormPost(row.url, row.fields)) if row.fields else see(row.url)
        answer = gateway.logout.answer(run)
        return gateway.send(answer) if answer else result(run)

    @pages.get("/logout/back/<reply_to>")
    def come_back(reply_to: str) -> Response:
        """From iMIS's sign-out."""
        run = gateway.logout.returned(reply_to, gateway.browser.kept(LOGOUT))
        return see(gateway.run_url(run) if run else f"{gateway.url}/logout")

    def show(run: Run, frames: tuple[str, ...]) -> Response:
        """Frames first, for two seconds; then the visits and the end, which leave the page."""
        allow_frames({f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, frames)})
        response = render("logout_frames.html", run=run, frames=frames, names=names_of(run), onward=gateway.run_url(run))
        response.headers["Refresh"] = f"2; url={gateway.run_url(run)}"
        return response

    def result(run: Run) -> Response:
        return render("signed_out.html", run=run, names=names_of(run))

    def names_of(run: Run) -> dict[str, str]:
        known = {row.client_id: gateway.clients.get(row.client_id) for row in run.rows}
        return {client_id: client.name if client else client_id for client_id, client in known.items()}

    return pages
