"""What the servers of token, cookie and JSONP vendors do alike: where they send members, and how they redeem what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import requests
from flask import Response

from idp.demo.vendors.member import Member, texts
from idp.demo.vendors.site import SignInFailed, Site, see

_DEADLINE = 5  # seconds for one call


class Service:
    """The sign-in service, as such a vendor sees it. `protocol` is "token", "cookie" or "jsonp"."""

    def __init__(self, site: Site, protocol: str, secret: str) -> None:
        self._site = site
        self._address = f"{site.idp}/{protocol}"
        self._secret = secret

    def signon_url(self, return_url: str) -> str:
        """Where a member signs in and comes back from."""
        return f"{self._address}/signon?{urlencode({'client': self._site.vendor.id, 'return': return_url})}"

    def ping_url(self, callback: str) -> str:
        """What a script element asks (JSONP)."""
        return f"{self._address}/ping?{urlencode({'client': self._site.vendor.id, 'callback': callback})}"

    def redeem(self, token: str) -> Member:
        """The member behind a single-use token: asked by this server of that one, with this vendor's secret. Raises SignInFailed."""
        try:
            answer = requests.post(
                f"{self._site.idp}/service/redeem", data={"token": token}, auth=(self._site.vendor.id, self._secret), timeout=_DEADLINE
            )
            told = answer.json()
        except (requests.RequestException, ValueError):
            raise SignInFailed("The sign-in service does not answer.") from None
        if answer.status_code != 200:
            raise SignInFailed(f"{told.get('message', 'The sign-in service said no.')} (reference {told.get('reference', 'unknown')})")
        attributes = {name: texts(value) for name, value in told["attributes"].items()}
        return Member(told["subject"], attributes, told["session"])

    def add_sign_out(self) -> None:
        """POST /sign-out: first here, then everywhere."""

        @self._site.app.post("/sign-out")
        def sign_out() -> Response:
            self._site.let_out()
            return see(f"{self._address}/logout?{urlencode({'client': self._site.vendor.id, 'return': f'{self._site.url}/'})}")


def check_refusal(parameters: Mapping[str, str]) -> None:
    """The sign-in service sends a member back with `signed_in=0` and why. Raises SignInFailed."""
    if parameters.get("signed_in") == "0":
        cause, reference = parameters.get("error", "nobody is signed in"), parameters.get("reference", "none")
        raise SignInFailed(f"The sign-in service says: {cause} (reference {reference})")
