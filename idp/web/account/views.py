"""The account pages. A form that asks for something is answered with the same page whoever exists (S83)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from idp.directory import AccountRefused, NewPerson
from idp.errors import IdpError, Unavailable, new_reference
from idp.secret import Secret
from idp.sso.account import AccountDesk, NotAPerson
from idp.sso.login import BadCredentials, LoginSettings, Throttled
from idp.sso.password import PasswordRefused
from idp.web.gateway import Gateway, see
from idp.web.page import render

_MAY_BE_MENDED = (AccountRefused, BadCredentials, NotAPerson, PasswordRefused, Throttled, Unavailable)
_FIELDS = ("email", "first_name", "last_name", "username")


class _Mistyped(PasswordRefused):
    def __init__(self) -> None:
        super().__init__("The two new passwords are not the same.")


def change_password_redirect(settings: LoginSettings) -> Blueprint:
    """GET /.well-known/change-password: where password managers look."""
    pages = Blueprint("change_password", __name__)

    @pages.get("/.well-known/change-password")
    def lead() -> Response:
        return see(settings.change_password_url)

    return pages


def account_pages(gateway: Gateway, desk: AccountDesk, *, create: bool) -> Blueprint:
    """Everything under /account/."""
    pages = Blueprint("account", __name__, url_prefix="/account")
    form = _Form(gateway, desk)

    @pages.route("/forgot-password", methods=["GET", "POST"])
    def forgot_password() -> Response:
        return form.serve("forgot_password", lambda: desk.ask_reset(_field("email"), address=gateway.address()), _sent_mail)

    @pages.route("/forgot-username", methods=["GET", "POST"])
    def forgot_username() -> Response:
        return form.serve("forgot_username", lambda: desk.ask_usernames(_field("email"), address=gateway.address()), _sent_mail)

    @pages.route("/password", methods=["GET", "POST"])
    def change() -> Response:
        session = gateway.session()
        if session is None:
            return see(f"{gateway.url}/login")

        def act() -> None:
            old, end_others = Secret(request.form.get("password", "")), bool(request.form.get("end_sessions"))
            desk.change(session, old, _new_password(), end_others=end_others, address=gateway.address())

        return form.serve("change", act, lambda: _changed("/", "Go to the start page"), action="password", username=session.username)

    @pages.get("/reset/<token>")
    def open_reset(token: str) -> Response:
        desk.look("reset", token)
        return form.show("reset", action="reset", token=token)

    @pages.post("/reset")
    def reset() -> Response:
        token = _field("token")
        desk.look("reset", token)

        def act() -> None:
            desk.reset(token, _new_password(), end_sessions=bool(request.form.get("end_sessions")))

        return form.serve("reset", act, lambda: _changed("/login", "Sign in"), action="reset", token=token)

    if not create:
        return pages

    @pages.route("/create", methods=["GET", "POST"])
    def create_account() -> Response:
        person = NewPerson(_field("first_name"), _field("last_name"), _field("email"))
        return form.serve("create", lambda: desk.ask_account(person, address=gateway.address()), _sent_mail)

    @pages.get("/confirm/<token>")
    def open_confirm(token: str) -> Response:
        return form.show("confirm", action="confirm", token=token, email=_email_of(token))

    @pages.post("/confirm")
    def confirm() -> Response:
        token = _field("token")

        def act() -> None:
            desk.create(token, _field("username"), _new_password(), address=gateway.address())

        return form.serve("confirm", act, _created, action="confirm", token=token, email=_email_of(token))

    def _email_of(token: str) -> str:
        person = desk.look("confirm", token).person
        return person.email if person else ""

    return pages


class _Form:
    """A form of ours: shown, sent back with what is wrong, or done."""

    def __init__(self, gateway: Gateway, desk: AccountDesk) -> None:
        self._gateway = gateway
        self._desk = desk

    def serve(self, name: str, act: Callable[[], None], done: Callable[[], Response], *, action: str = "", **values: Any) -> Response:
        """A GET shows the form; a POST acts, if the form came from our page in this browser (S120)."""
        action = action or name.replace("_", "-")
        if request.method != "POST":
            return self.show(name, action=action, **values)
        if not self._gateway.browser.is_own_form(f"account.{name}"):
            stale = IdpError("account.form_stale", "This page was open for too long. Please try again.")
            return self.show(name, action=action, error=stale, **values)
        try:
            act()
        except _MAY_BE_MENDED as error:
            return self.show(name, action=action, error=error, **values)
        return done()

    def show(self, name: str, *, action: str, error: IdpError | None = None, **values: Any) -> Response:
        reference = new_reference() if error else ""
        if error:
            self._gateway.audit.record("account.refused", cause=error.cause, reference=reference, page=name)
        response = render(
            f"account/{name}.html",
            status=error.status if error else 200,
            error=error,
            reference=reference,
            rules=self._desk.rules,
            action=f"/account/{action}",
            values=_typed(),
            form_token=self._gateway.browser.form_token(f"account.{name}"),
            **values,
        )
        if error and error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response


def _field(name: str) -> str:
    return request.form.get(name, "").strip()


def _typed() -> Mapping[str, str]:
    """What was typed, to be shown once more; never a password."""
    return {name: _field(name)[:254] for name in _FIELDS}


def _new_password() -> Secret:
    """Raises PasswordRefused when it was not typed the same twice."""
    new = Secret(request.form.get("new_password", ""))
    if new != Secret(request.form.get("again", "")):
        raise _Mistyped
    return new


def _sent_mail() -> Response:
    return _done(
        "Look into your mailbox",
        "If we know what you gave us, a mail is on its way. It may take some minutes; look among the spam, too.",
        "/login",
        "Go to the sign-in page",
    )


def _changed(onward: str, button: str) -> Response:
    return _done("Your password is changed", "From now on, use the new password.", onward, button)


def _created() -> Response:
    return _done("Your account is ready", "You can sign in with your new user name and password.", "/login", "Sign in")


def _done(heading: str, sentence: str, onward: str, button: str) -> Response:
    return render("account/done.html", heading=heading, sentence=sentence, onward=onward, button=button)
