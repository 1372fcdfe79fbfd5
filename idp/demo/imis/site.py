"""Pages of the simulated iMIS that a browser sees: sign-in, sign-out, the SSO content item (facts on iMIS, 3.3, 3.5, 6 and 7.3)."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as Redirect

from idp.demo.imis.association import Association
from idp.demo.imis.session import COOKIE, LoginSessions
from idp.demo.imis.settings import SimulatorSettings
from idp.demo.imis.token import GUEST, Tokens
from idp.directory.people_file import Person
from idp.secret import new_secret

_FORMS = "/asicommon/controls/shared/formsauthentication"
_PLAIN = {
    "/forgotpassword.aspx": "Reset your password: this simulator sends no mail.",
    "/forgotusername.aspx": "Request your user name: this simulator sends no mail.",
    "/createaccount.aspx": "Create an account: this simulator makes them by its REST interface only.",
}


class Site:
    """iMIS's own web site."""

    def __init__(self, settings: SimulatorSettings, association: Association, tokens: Tokens, logins: LoginSessions) -> None:
        self._settings = settings
        self._association = association
        self._tokens = tokens
        self._logins = logins

    def pages(self) -> Blueprint:
        blueprint = Blueprint("site", __name__)
        for path in ("/signin", "/sign-in.aspx", f"{_FORMS}/login.aspx"):
            blueprint.add_url_rule(path, f"sign_in{path}".replace(".", "_"), self.sign_in, methods=["GET", "POST"])
        blueprint.add_url_rule(f"{_FORMS}/logout.aspx", "sign_out", self.sign_out)
        blueprint.add_url_rule(f"{_FORMS}/loginstatusredirect.aspx", "status", self.tell_status)
        blueprint.add_url_rule("/sso/<page>", "sso_folder", self.single_sign_on)
        for path, text in _PLAIN.items():
            blueprint.add_url_rule(path, path[1:-5], lambda text=text: self._page(f"<p>{text}</p>"))
        blueprint.add_url_rule("/<page>.aspx", "sso", self.single_sign_on)
        return blueprint

    def sign_in(self) -> Response | Redirect:
        """The Contact Sign In item. The way back is a path of this site, unless a setting lets it lead elsewhere."""
        back = request.args.get("returnurl") or request.args.get("ReturnUrl") or "/"
        if request.method == "POST":
            username = request.form.get("username", "")
            person = self._association.by_username(username)
            if self._association.check_password(username, request.form.get("password", "")) == "right" and person:
                own = back.startswith("/") and not back.startswith(("//", "/\\"))
                response = redirect(back if own or self._settings.foreign_returns else "/")
                domain = self._settings.cookie_domain or None
                response.set_cookie(COOKIE, self._logins.begin(person.id), httponly=True, samesite="Lax", domain=domain)
                return response
        failed = "<p role=alert>The user name or password is incorrect.</p>" if request.method == "POST" else ""
        fields = "<label>User name <input name=username></label> <label>Password <input name=password type=password></label>"
        return self._page(f"<h1>Sign in</h1>{failed}<form method=post>{fields} <button>Sign in</button></form>")

    def sign_out(self) -> Redirect | Response:
        """2017: to `returnurl`, which is not looked at (SEEN); Redirect=0: an empty page; otherwise the sign-in page."""
        asked = {name.lower(): value for name, value in request.args.items()}
        self._logins.end(request.cookies.get(COOKIE))
        response: Redirect | Response = Response("") if asked.get("redirect") == "0" else redirect(asked.get("returnurl") or "/SignIn")
        response.delete_cookie(COOKIE, domain=self._settings.cookie_domain or None)
        return response

    def tell_status(self) -> Redirect:
        """7.3, SEEN: the ID is unsigned; nobody may trust it."""
        asked = {name.upper(): value for name, value in request.args.items()}
        person = self._visitor()
        if person is None:
            return redirect(asked.get("LURL") or "/SignIn")
        nonce = {"QKEY": asked["QKEY"]} if asked.get("QKEY") else {}
        return redirect(f"{asked.get('RETURL', '/')}?{urlencode({'ID': person.id, **nonce})}")

    def single_sign_on(self, page: str) -> Response | Redirect:
        """The page is named for its client application. It posts one value, refresh_token, and nothing else (3.3, SEEN)."""
        urls = {name.casefold(): url for name, url in self._settings.login_redirect_urls}
        target = urls.get(page.removesuffix(".aspx").casefold())
        if target is None:
            return Response("There is no such page.", 404, content_type="text/plain")
        person = self._visitor()
        if person is None and not self._settings.guest_mode:
            return redirect(f"/SignIn?LoginRedirect=true&returnurl={quote(request.full_path.rstrip('?'), safe='')}")
        token = self._tokens.issue_refresh(person or Person(GUEST, username=self._settings.guest_name))
        value = f'<input type=hidden name=refresh_token value="{token}">'
        form = f'<form method=post action="{escape(target)}">{value}<button>Continue</button></form>'
        return self._page(f"{form}<script>document.forms[0].submit()</script>")

    def _visitor(self) -> Person | None:
        holder = self._logins.holder(request.cookies.get(COOKIE))
        return self._association.by_id(holder) if holder else None

    def _page(self, content: str) -> Response:
        """Every page has the two hidden fields of section 6."""
        person = self._visitor()
        context = {"baseUrl": "/", "websiteRoot": request.host_url, "isAnonymous": person is None}
        context |= {"loggedInPartyId": person.id if person else "", "selectedPartyId": person.id if person else ""}
        hidden = "".join(
            f'<input type=hidden id={name} name={name} value="{escape(value)}">'
            for name, value in (("__RequestVerificationToken", new_secret()), ("__ClientContext", json.dumps(context)))
        )
        return Response(f"<!DOCTYPE html><html lang=en><title>iMIS (simulated)</title>{content}{hidden}</html>", content_type="text/html")
